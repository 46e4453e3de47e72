"""Limits how fast a listener takes new connections (``max_conn_rate``)."""

from __future__ import annotations

from typing import Protocol

_ROUNDING = 1e-9
"""A token that is missing only by the rounding of floats is there."""


class RateLike(Protocol):
    """``count`` connections in ``interval`` seconds."""

    @property
    def count(self) -> float:
        """Connections, above 0."""

    @property
    def interval(self) -> float:
        """Seconds, above 0."""


class ConnectionRate:
    """A token bucket: full at first, filled again at the rate, one token a connection.

    ``burst`` is the size of the bucket, in connections; without it one interval's worth.
    A bucket always holds at least one token, or a rate below one an interval would let nobody in.
    """

    __slots__ = ("_capacity", "_filled_at", "_per_second", "_tokens")

    def __init__(self, rate: RateLike, burst: float | None = None) -> None:
        self._per_second = rate.count / rate.interval
        self._capacity = max(1.0, rate.count if burst is None else burst)
        self._tokens = self._capacity
        self._filled_at: float | None = None

    def take(self, now: float) -> bool:
        """Say whether a connection arriving at ``now`` (seconds, monotonic) is within the rate."""
        filled_at = self._filled_at
        if filled_at is None or now > filled_at:
            if filled_at is not None:
                gained = (now - filled_at) * self._per_second
                self._tokens = min(self._capacity, self._tokens + gained)
            self._filled_at = now
        if self._tokens < 1.0 - _ROUNDING:
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        return True

"""Token buckets: how much of something may happen in a time, in EMQX's grammar of rates."""

from __future__ import annotations

from typing import Protocol

_ROUNDING = 1e-9
"""A token that is missing only by the rounding of floats is there."""


class RateLike(Protocol):
    """``count`` of something in ``interval`` seconds."""

    @property
    def count(self) -> float:
        """How many, above 0."""

    @property
    def interval(self) -> float:
        """Seconds, above 0."""


class Bucket:
    """Full at first, filled again at the rate; holds what one interval brings.

    ``burst`` is a second bucket on top, taken from when the first is empty and filled again at its
    own rate: ``10000/60m`` is ten thousand more once an hour. A bucket holds at least one token,
    or a rate below one an interval would let nothing through. Times are seconds of a clock that
    does not go back; should it, that time is taken as standing still.
    """

    __slots__ = (
        "_capacity",
        "_filled_at",
        "_per_second",
        "_spare",
        "_spare_capacity",
        "_spare_per_second",
        "_tokens",
    )

    def __init__(self, rate: RateLike, burst: RateLike | None = None) -> None:
        self._per_second = rate.count / rate.interval
        self._capacity = max(1.0, rate.count)
        self._tokens = self._capacity
        self._spare_per_second = 0.0 if burst is None else burst.count / burst.interval
        self._spare_capacity = self._spare = 0.0 if burst is None else burst.count
        self._filled_at: float | None = None

    @property
    def capacity(self) -> float:
        """The most the first bucket holds."""
        return self._capacity

    @property
    def per_second(self) -> float:
        """Tokens that the rate brings in a second."""
        return self._per_second

    def available(self, now: float) -> float:
        """Tokens that are there; negative is a debt."""
        self._fill(now)
        return self._tokens + self._spare

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take ``amount`` if so much is there; say whether it was."""
        self._fill(now)
        if self._tokens + self._spare < amount - _ROUNDING:
            return False
        self._use(amount)
        return True

    def charge(self, now: float, amount: float = 1.0) -> bool:
        """Take ``amount`` whether it is there or not: what is missing is a debt. Returns whether
        another one is there."""
        self._fill(now)
        self._use(amount)
        return self._tokens + self._spare >= 1.0 - _ROUNDING

    def refund(self, amount: float) -> None:
        """What was taken ahead was not used."""
        self._tokens = min(self._capacity, self._tokens + amount)

    def wait(self, now: float, amount: float = 1.0) -> float:
        """Seconds until ``amount`` is there, 0 when it is. An amount above what the buckets can
        hold is cut to that. Whoever waits asks again: others take too."""
        self._fill(now)
        missing = min(amount, self._capacity + self._spare_capacity)
        missing -= self._tokens + self._spare
        if missing <= _ROUNDING:
            return 0.0
        if self._spare >= self._spare_capacity:
            return missing / self._per_second
        if self._tokens >= self._capacity:
            return missing / self._spare_per_second
        return missing / (self._per_second + self._spare_per_second)

    def full(self, now: float) -> bool:
        """Whether nothing is missing: a bucket that need not be remembered."""
        self._fill(now)
        full = self._tokens >= self._capacity - _ROUNDING
        return full and self._spare >= self._spare_capacity - _ROUNDING

    def _fill(self, now: float) -> None:
        filled_at = self._filled_at
        if filled_at is None:
            self._filled_at = now
        elif now > filled_at:
            elapsed = now - filled_at
            self._filled_at = now
            tokens = self._tokens + elapsed * self._per_second
            self._tokens = min(self._capacity, tokens)
            if self._spare < self._spare_capacity:
                spare = self._spare + elapsed * self._spare_per_second
                self._spare = min(self._spare_capacity, spare)

    def _use(self, amount: float) -> None:
        self._tokens -= amount
        if self._tokens < 0.0:
            lent = min(self._spare, -self._tokens)
            self._spare -= lent
            self._tokens += lent
            if -_ROUNDING < self._tokens < 0.0:
                self._tokens = 0.0

"""Connections counted by whom they belong to: how many there are, and how fast they come."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from mqttd.abuse.addresses import BoundedTable
from mqttd.abuse.rates import Bucket, RateLike


class Limits(Protocol):
    """``max_connections`` at a time and ``conn_rate``; None: no limit."""

    @property
    def max_connections(self) -> int | None:
        """Most at a time."""

    @property
    def conn_rate(self) -> RateLike | None:
        """How many in a time."""

    @property
    def conn_burst(self) -> RateLike | None:
        """How many on top."""


class Counts:
    """How many there are now. Only those of whom there is one are kept."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def of(self, key: str) -> int:
        """How many there are."""
        return self._counts.get(key, 0)

    def add(self, key: str) -> None:
        """One more."""
        self._counts[key] = self._counts.get(key, 0) + 1

    def remove(self, key: str) -> None:
        """One less."""
        count = self._counts.get(key, 0) - 1
        if count > 0:
            self._counts[key] = count
        else:
            self._counts.pop(key, None)


class Clients:
    """Which clients of each identity there are. One that takes over its own session does not
    count twice."""

    def __init__(self) -> None:
        self._clients: dict[str, Counter[str]] = {}

    def of(self, key: str) -> int:
        """How many there are."""
        return len(self._clients.get(key, ()))

    def others(self, key: str, client_id: str) -> int:
        """How many there are beside one."""
        clients = self._clients.get(key, ())
        return len(clients) - (client_id in clients)

    def add(self, key: str, client_id: str) -> None:
        """One connected."""
        self._clients.setdefault(key, Counter())[client_id] += 1

    def remove(self, key: str, client_id: str) -> None:
        """One is gone."""
        clients = self._clients[key]
        clients[client_id] -= 1
        if clients[client_id] <= 0:
            del clients[client_id]
            if not clients:
                del self._clients[key]


class Rates:
    """A bucket for each key, the same rate for all; no more than ``most`` are remembered."""

    def __init__(self, rate: RateLike | None, burst: RateLike | None, most: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: BoundedTable[Bucket] = BoundedTable(most)

    def take(self, key: str, now: float) -> bool:
        """Whether one more of ``key`` is within the rate."""
        if self._rate is None:
            return True
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = Bucket(self._rate, self._burst)
            self._buckets.put(key, bucket)
        return bucket.take(now)

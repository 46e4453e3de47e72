"""What is due when: a heap of times, one for each key."""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_SLACK = 64
_NEVER = (math.inf, 0)


class Deadlines(Generic[Key]):
    """At most one time (seconds) for each key; the earliest is found without a scan.

    A time that was cancelled or moved stays in the heap until it is met, but there are never many
    more of these than live ones: a client that comes and goes all day must not fill the memory.
    """

    __slots__ = ("_heap", "_live", "_number")

    def __init__(self) -> None:
        self._live: dict[Key, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._live)

    def set(self, key: Key, when: float) -> None:
        """Give a key its time, instead of the one it had. ``inf`` is never: it takes it away."""
        if when == math.inf:
            self.cancel(key)
            return
        if self.get(key) == when:
            return
        live = self._live
        heap = self._heap
        if len(heap) >= 2 * len(live) + _SLACK:
            heap[:] = [(at, number, each) for each, (at, number) in live.items()]
            heapq.heapify(heap)
        self._number += 1
        live[key] = (when, self._number)
        heapq.heappush(heap, (when, self._number, key))

    def get(self, key: Key) -> float:
        """The time of a key, or ``inf``."""
        return self._live.get(key, _NEVER)[0]

    def cancel(self, key: Key) -> None:
        """Take a key's time away, if it has one."""
        self._live.pop(key, None)

    def take_due(self, now: float) -> Key | None:
        """The key with the earliest time that has come, and it is forgotten; or None."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, number, key = heapq.heappop(heap)
            if self._live.get(key, _NEVER)[1] == number:
                del self._live[key]
                return key
        return None

"""How long to wait before the next try after failures: longer each time, never alike for two."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

_FACTOR = 2.0
_SPREAD = 0.25


@attrs.define
class Backoff:
    """Waiting times in seconds, from ``first``, doubling, to ``longest`` at most.

    Each is made up to a quarter shorter by chance, so that many brokers that lost a server at the
    same moment do not come back to it at the same moment.
    """

    first: float = 5.0
    longest: float = 900.0
    chance: Callable[[], float] = random.random
    failures: int = 0

    def failed(self) -> float:
        """Count one more failure; the seconds until the next try."""
        # the exponent is bounded: 2.0 ** 1024 would raise after weeks of failures
        wait = min(self.longest, self.first * _FACTOR ** min(self.failures, 32))
        self.failures += 1
        return wait * (1.0 - _SPREAD * self.chance())

    def succeeded(self) -> None:
        """The next failure is a first one again."""
        self.failures = 0

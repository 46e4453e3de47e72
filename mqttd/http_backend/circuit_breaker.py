"""Leaves a server alone after it failed several times, and tries with one question."""

from __future__ import annotations

from typing import Final

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"


class CircuitBreaker:
    """Counts failures in a row. ``now`` is seconds of a clock that never goes back.

    Whoever got True of :meth:`may_ask` must call one of :meth:`succeeded`, :meth:`failed` or
    :meth:`undecided` afterwards.
    """

    def __init__(self, failures: int, reset: float) -> None:
        self._most = failures
        self._reset = reset
        self._failed = 0
        self._until = 0.0
        self.state = CLOSED

    def may_ask(self, now: float) -> bool:
        """Whether a question may go out. The first one after the pause is the only one then."""
        if self.state == CLOSED:
            return True
        if self.state == OPEN and now >= self._until:
            self.state = HALF_OPEN
            return True
        return False

    def succeeded(self) -> bool:
        """The server answered. True when it was left alone before."""
        back = self.state != CLOSED
        self._failed = 0
        self.state = CLOSED
        return back

    def failed(self, now: float) -> bool:
        """It did not. True when it is left alone from now on and was not before."""
        self._failed += 1
        if self.state == CLOSED and self._failed < self._most:
            return False
        opened = self.state == CLOSED
        # What was asked before the pause may fail within it; the pause is not made longer by it.
        if self.state != OPEN:
            self._until = now + self._reset
            self.state = OPEN
        return opened

    def undecided(self, now: float) -> None:
        """The question was given up before anything was known: another one may try."""
        if self.state == HALF_OPEN:
            self.state = OPEN
            self._until = now

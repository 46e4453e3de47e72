"""What is said of an authenticator that fails: its name and the kind of failure, not too often."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd.log.failures import what_failed

_QUIET: Final = 10.0
"""Seconds between two log lines about failures of one authenticator."""


class Failures:
    """Counts the failures of one authenticator, ``name``, and logs some of them."""

    _log = Logger()

    def __init__(self, name: str, clock: IReactorTime) -> None:
        self.name = name
        self.count = 0
        self._clock = clock
        self._told = float("-inf")

    def add(self, error: BaseException, then: str = "clients are refused") -> None:
        """One more; ``then`` is what follows from it."""
        self.count += 1
        now = self._clock.seconds()
        if now < self._told + _QUIET:
            return
        self._told = now
        # The text of an error may quote what the client sent: only its kind is told.
        late = isinstance(error, DeferredTimeout)
        self._log.error(
            "the authenticator {name} {what}; {then} ({count} times by now)",
            event="authenticator_failed",
            name=self.name,
            what="did not answer in time" if late else f"failed: {what_failed(error)}",
            then=then,
            count=self.count,
        )

"""The end of a reactor turn: the engine commits, then every connection writes once."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd.broker.broker import Broker


class Flushable(Protocol):
    """Something that gathered bytes during the turn."""

    def flush(self) -> None:
        """Write them."""


class Turn:
    """Gathers what must happen at the end of the current turn and does it once.

    Connections call :meth:`touch` when bytes came and add themselves to ``dirty`` when they have
    bytes to write. One delayed call a turn serves all of them, whatever their number.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorTime, broker: Broker) -> None:
        self._reactor = reactor
        self._broker = broker
        broker.wake = self.touch
        self._scheduled = False
        self.dirty: list[Flushable] = []

    def touch(self) -> float:
        """Make sure the turn will be ended; returns the time now, in seconds."""
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callLater(0, self.end)
        return self._reactor.seconds()

    def end(self) -> None:
        """Commit and flush. An error here is ours: logged, and the rest goes on."""
        self._scheduled = False
        try:
            self._broker.commit(self._reactor.seconds())
        except Exception:
            self._log.failure("a completion failed; this is a bug in mqttd")
            self.touch()
        dirty, self.dirty = self.dirty, []
        for each in dirty:
            try:
                each.flush()
            except Exception:
                self._log.failure("writing to a connection failed; this is a bug in mqttd")

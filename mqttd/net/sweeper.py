"""One coarse timer for every deadline: keep alive, expiry, delayed Wills, slow handshakes."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mqttd.broker.broker import Broker
from mqttd.net.factory import ListenerFactory

INTERVAL = 1.0
"""Seconds between sweeps, and so the precision of every deadline."""


class Sweeper:
    """Calls the broker's and the listeners' ``sweep`` about once a second.

    ``factories`` is gone through anew each time: listeners come and go.
    """

    _log = Logger()

    def __init__(
        self, reactor: IReactorTime, broker: Broker, factories: Iterable[ListenerFactory]
    ) -> None:
        self._reactor = reactor
        self._broker = broker
        self._factories = factories
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin."""
        self._call = self._reactor.callLater(INTERVAL, self._sweep)

    def stop(self) -> None:
        """End."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _sweep(self) -> None:
        now = self._reactor.seconds()
        again = False
        try:
            again = self._broker.sweep(now)
            if not again:
                for factory in self._factories:
                    factory.sweep(now)
        except Exception:
            self._log.failure("a sweep failed; this is a bug in mqttd")
        self._call = self._reactor.callLater(0 if again else INTERVAL, self._sweep)

"""SIGHUP and SIGUSR1 as calls in the reactor's turn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger


class Signals:
    """Calls a function for each signal while it is started; the signal's number is the key.

    Python runs a handler between any two steps of the program: it only tells the reactor, which
    then calls the function when nothing else is going on.
    """

    _log = Logger()

    def __init__(self, reactor: Any, calls: Mapping[int, Callable[[], object]]) -> None:
        self._reactor = reactor
        self._calls = calls
        self._before: dict[int, Any] = {}

    def start(self) -> None:
        """Handle the signals; only the main thread may, others leave them alone."""
        if self._before or threading.current_thread() is not threading.main_thread():
            return
        for number in self._calls:
            self._before[number] = signal.signal(number, self._came)

    def stop(self) -> None:
        """Leave the signals to whom they were before."""
        before, self._before = self._before, {}
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _came(self, number: int, _frame: object) -> None:
        self._reactor.callFromThread(self._call, number)

    def _call(self, number: int) -> None:
        try:
            self._calls[number]()
        except Exception:
            self._log.failure("handling a signal failed; this is a bug in mqttd")

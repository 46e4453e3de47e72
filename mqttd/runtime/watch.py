"""Looks at files every so often, and says when they changed and have settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

SETTLE = 1.0
"""Seconds between the two looks that must see the same: half-written files are rarely met."""

_SHORTEST = 1.0
"""Seconds between two looks at least, whatever the interval says."""

_PATIENCE = 30
"""Looks at files that never settle before they are read all the same."""


class Watcher:
    """Calls ``changed`` when ``look`` sees other than it did at the last :meth:`seen`.

    ``look`` returns anything that can be compared, or a Deferred of it: it may work in a thread.
    ``changed`` may return a Deferred; no look is taken before it fired. An interval of 0 is off,
    one below a second is a second.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        look: Callable[[], Any],
        changed: Callable[[], Any],
        interval: float,
    ) -> None:
        self._clock = clock
        self._look = look
        self._changed = changed
        self._interval = interval
        self._baseline: Any = None
        self._call: IDelayedCall | None = None
        self._running = False
        self._busy = False

    @property
    def interval(self) -> float:
        """Seconds between two looks; 0: none are taken. Can be changed at any time."""
        return self._interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        if seconds != self._interval:
            self._interval = seconds
            if self._running and not self._busy:
                self._wait(seconds)

    def start(self, baseline: Any) -> None:
        """Begin; ``baseline`` is what a look saw before the files were read."""
        self._running = True
        self._baseline = baseline
        self._wait(self._interval)

    def stop(self) -> None:
        """End."""
        self._running = False
        self._cancel()

    def seen(self, baseline: Any) -> None:
        """The files were read by somebody else, after a look saw this."""
        self._baseline = baseline

    def _cancel(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _wait(self, seconds: float, before: Any = None, count: int = 0) -> None:
        self._cancel()
        if self._running and self._interval > 0:
            seconds = max(_SHORTEST, seconds)
            self._call = self._clock.callLater(seconds, self._take, before, count)

    def _take(self, before: Any, count: int) -> None:
        self._busy = True
        looked: Deferred[Any] = maybeDeferred(self._look)
        looked.addCallback(self._compare, before, count)
        looked.addErrback(self._failed)

    def _compare(self, now: Any, before: Any, count: int) -> Any:
        if now == self._baseline:
            self._again()
        elif now != before and count < _PATIENCE:
            self._busy = False
            self._wait(SETTLE, now, count + 1)
        else:
            self._baseline = now
            return maybeDeferred(self._changed).addCallback(lambda _: self._again())
        return None

    def _failed(self, failure: Failure) -> None:
        self._log.failure("looking at files failed; this is a bug in mqttd", failure)
        self._again()

    def _again(self) -> None:
        self._busy = False
        self._wait(self._interval)

"""The reactor's timers with a clock that nobody can set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IReactorTime)
class SteadyClock:
    """``seconds`` never goes back and never jumps, unlike the reactor's, which is the wall clock.

    A time server that corrects the host's clock must not make ten thousand clients look silent at
    once, or their sessions expired.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor

    def seconds(self) -> float:
        """Seconds since some moment in the past."""
        return time.monotonic()

    def callLater(  # noqa: N802 - IReactorTime's
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> IDelayedCall:
        """As the reactor's."""
        return self._reactor.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Any:  # noqa: N802 - IReactorTime's
        """As the reactor's."""
        return self._reactor.getDelayedCalls()

"""A reactor that runs while a command waits for an answer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

_Found = TypeVar("_Found")


def asked(begin: Callable[[Any], tuple[Sequence[Any], Coroutine[Any, Any, _Found]]]) -> _Found:
    """What the coroutine that ``begin`` makes comes to; it is given the reactor.

    The parts that ``begin`` names as well are started before, and stopped in the end, where they
    have ``start`` and ``stop``. The reactor is stepped rather than run, since it cannot be run
    twice in a process.
    """
    from twisted.internet import reactor as installed  # noqa: PLC0415

    reactor: Any = installed
    parts, coroutine = begin(reactor)
    reactor.startRunning(installSignalHandlers=False)
    try:
        for part in parts:
            getattr(part, "start", _nothing)()
        found: _Found = _wait(reactor, Deferred.fromCoroutine(coroutine))
        return found
    finally:
        for part in parts:
            _wait(reactor, maybeDeferred(getattr(part, "stop", _nothing)))
        reactor.fireSystemEvent("shutdown")
        reactor.iterate()


def _nothing() -> None:
    """In place of a method that a part does not have."""


def _wait(reactor: Any, deferred: Deferred[Any]) -> Any:
    results: list[Any] = []
    deferred.addBoth(results.append)
    while not results:
        reactor.iterate(0.01)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]

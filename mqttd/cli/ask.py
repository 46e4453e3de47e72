"""A reactor that runs while a command waits for an answer."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure


class Asker:
    """Asks sources of rules, and waits. ``seconds`` is the time one answer may take.

    The reactor is stepped rather than run, since it cannot be run twice.
    """

    def __init__(self, seconds: float) -> None:
        from twisted.internet import reactor  # noqa: PLC0415

        self.reactor: Any = reactor
        self._seconds = seconds
        self._started: list[Any] = []

    def __enter__(self) -> Asker:
        self.reactor.startRunning(installSignalHandlers=False)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._started:
            stop = getattr(each, "stop", None)
            if stop is not None:
                self._wait(maybeDeferred(stop))
        self.reactor.fireSystemEvent("shutdown")
        self.reactor.iterate()

    def ask(self, authorizer: Any, request: Any) -> bool | None:
        """The source's answer. Raises what it raises, and TimeoutError."""
        if not any(each is authorizer for each in self._started):
            self._started.append(authorizer)
            start = getattr(authorizer, "start", None)
            if start is not None:
                start()

        async def answer() -> Any:
            said = authorizer.authorize(request)
            return await said if hasattr(said, "__await__") else said

        said: bool | None = self._wait(Deferred.fromCoroutine(answer()))
        return said

    def _wait(self, deferred: Deferred[Any]) -> Any:
        results: list[Any] = []
        deferred.addTimeout(self._seconds, self.reactor)
        deferred.addBoth(results.append)
        while not results:
            self.reactor.iterate(0.01)
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

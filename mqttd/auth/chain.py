"""The authenticators of one listener, asked in order: one lets in or refuses, or none does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator
from mqttd.packets.reason_codes import ReasonCode

MOST_ASKED: Final = 10_000
"""Clients of one chain about whom an answer is awaited; one more is refused as busy."""
TIME_LIMIT: Final = 60.0
"""Seconds one authenticator has for one answer; those built in have shorter limits."""
_QUIET: Final = 10.0
"""Seconds between two log lines about failures of one authenticator."""

Done = Callable[[Identity | Refused], None]


@attrs.define
class Link:
    """One authenticator of a chain; ``ignores_errors``: when it fails the next one is asked."""

    name: str
    authenticator: IAuthenticator
    ignores_errors: bool = False
    told: float = attrs.field(default=float("-inf"), init=False)
    failures: int = attrs.field(default=0, init=False)


class AuthenticatorChain:
    """The broker's ``Admission`` for the clients of a listener that have to be authenticated."""

    _log = Logger()

    def __init__(
        self,
        links: Sequence[Link],
        clock: IReactorTime,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._links = tuple(links)
        self._clock = clock
        self._now = now
        self._asked = 0

    @property
    def asked(self) -> int:
        """Clients about whom an answer is awaited."""
        return self._asked

    def admit(self, request: ConnectRequest, done: Done) -> None:
        """Fulfils the broker's ``Admission`` port: ``done`` is called once, maybe at once."""
        if self._asked >= MOST_ASKED:
            done(Refused(ReasonCode.SERVER_BUSY, "too many clients are being authenticated"))
            return
        self._ask(request, 0, done)

    def _ask(self, request: ConnectRequest, at: int, done: Done) -> None:
        """Ask the authenticators from ``at`` on. Who answers at once takes no reactor turn."""
        for number in range(at, len(self._links)):
            link = self._links[number]
            try:
                answer: Any = link.authenticator.authenticate(request)
            except Refused as refused:
                done(refused)
                return
            except Exception as error:
                if not self._failed(link, error):
                    done(_unavailable())
                    return
                continue
            if answer is None:
                continue
            if isinstance(answer, Identity):
                done(self._checked(answer))
                return
            self._await(request, number, answer, done)
            return
        # A user nobody knows must look like a known one with a wrong password.
        code = ReasonCode.NOT_AUTHORIZED
        if request.password is not None:
            code = ReasonCode.BAD_USER_NAME_OR_PASSWORD
        done(Refused(code, "no authenticator lets the client in"))

    def _await(self, request: ConnectRequest, at: int, answer: Any, done: Done) -> None:
        link = self._links[at]
        if not isinstance(answer, Deferred):
            if not hasattr(answer, "__await__"):
                error = TypeError(f"the answer is a {type(answer).__name__}")
                if self._failed(link, error):
                    self._ask(request, at + 1, done)
                else:
                    done(_unavailable())
                return
            answer = Deferred.fromCoroutine(_awaited(answer))
        self._asked += 1
        answer.addTimeout(TIME_LIMIT, self._clock)
        answer.addCallbacks(
            partial(self._answered, request, at, done), partial(self._broke, request, at, done)
        )
        answer.addErrback(lambda failure: self._log.failure("an answer was lost", failure))

    def _answered(self, request: ConnectRequest, at: int, done: Done, answer: Any) -> None:
        self._asked -= 1
        if isinstance(answer, Identity):
            done(self._checked(answer))
        elif answer is None:
            self._ask(request, at + 1, done)
        else:
            error = TypeError(f"the answer is a {type(answer).__name__}")
            if self._failed(self._links[at], error):
                self._ask(request, at + 1, done)
            else:
                done(_unavailable())

    def _broke(self, request: ConnectRequest, at: int, done: Done, failure: Any) -> None:
        self._asked -= 1
        error = failure.value
        if isinstance(error, Refused):
            done(error)
        elif self._failed(self._links[at], error):
            self._ask(request, at + 1, done)
        else:
            done(_unavailable())

    def _checked(self, identity: Identity) -> Identity | Refused:
        """An identity that has ended already lets nobody in."""
        if identity.expires_at is not None and identity.expires_at <= self._now():
            return Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "what was proved has expired")
        return identity

    def _failed(self, link: Link, error: BaseException) -> bool:
        """Log a failure, not too often; whether the next authenticator is asked."""
        link.failures += 1
        now = self._clock.seconds()
        if now >= link.told + _QUIET:
            # The text of an error may quote what the client sent: only its kind is told.
            late = isinstance(error, DeferredTimeout)
            self._log.error(
                "the authenticator {name} {what}; {then} ({count} times by now)",
                event="authenticator_failed",
                name=link.name,
                what="did not answer in time" if late else f"failed: {_kind(error)}",
                then="the next one is asked" if link.ignores_errors else "clients are refused",
                count=link.failures,
            )
            link.told = now
        return link.ignores_errors


def _kind(error: BaseException) -> str:
    return str(getattr(error, "safe_text", "")) or type(error).__name__


def _unavailable() -> Refused:
    return Refused(ReasonCode.SERVER_UNAVAILABLE, "the authenticator gives no answer")


async def _awaited(answer: Any) -> Any:
    return await answer

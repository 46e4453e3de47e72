"""The authenticators of one listener, asked in order: one lets in or refuses, or none does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd.auth.answers import WrongAnswer, presentable, still_good
from mqttd.auth.enhanced import CLIENTS_REFUSED, TIME_LIMIT, unavailable
from mqttd.auth.unknown import unknown
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator
from mqttd.log.failures import Failures
from mqttd.packets.reason_codes import ReasonCode
from mqttd.plugins import later

MOST_ASKED: Final = 10_000
"""Clients of one chain about whom an answer is awaited; one more is refused as busy."""

_NEXT: Final = "the next one is asked"

Done = Callable[[Identity | Refused], None]


@attrs.frozen(eq=False)
class Link:
    """One authenticator of a chain; ``ignores_errors``: when it fails the next one is asked."""

    name: str
    authenticator: IAuthenticator
    ignores_errors: bool = False


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
        self._failures = [Failures("authenticator", link.name, clock) for link in links]
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
                done(presentable(refused))
                return
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # asyncio's CancelledError is no Exception
                if link.ignores_errors:
                    self._failures[number].add(error, _NEXT)
                    continue
                self._failed(request, number, done, error)
                return
            if answer is None:
                continue
            if isinstance(answer, Identity):
                self._came_in(request, number, done, answer)
                return
            self._await(request, number, answer, done)
            return
        done(unknown(request))

    def _await(self, request: ConnectRequest, at: int, answer: Any, done: Done) -> None:
        waiting = later(answer)
        if waiting is None:
            self._failed(request, at, done, TypeError("no answer"))
            return
        self._asked += 1
        waiting.addTimeout(TIME_LIMIT, self._clock)
        waiting.addCallbacks(
            partial(self._answered, request, at, done), partial(self._broke, request, at, done)
        )
        waiting.addErrback(lambda failure: self._log.failure("an answer was lost", failure))

    def _answered(self, request: ConnectRequest, at: int, done: Done, answer: Any) -> None:
        self._asked -= 1
        if isinstance(answer, Identity):
            self._came_in(request, at, done, answer)
        elif answer is None:
            self._ask(request, at + 1, done)
        else:
            self._failed(request, at, done, TypeError("no answer"))

    def _broke(self, request: ConnectRequest, at: int, done: Done, failure: Any) -> None:
        self._asked -= 1
        error = failure.value
        if isinstance(error, Refused):
            done(presentable(error))
        else:
            self._failed(request, at, done, error)

    def _came_in(self, request: ConnectRequest, at: int, done: Done, identity: Identity) -> None:
        try:
            answer = still_good(identity, self._now())
        except WrongAnswer as error:
            self._failed(request, at, done, error)
        else:
            if isinstance(answer, Identity):
                answer = attrs.evolve(answer, authenticator=self._links[at].name)
            done(answer)

    def _failed(self, request: ConnectRequest, at: int, done: Done, error: BaseException) -> None:
        """An authenticator gave no answer: the next is asked, or the client is refused."""
        if self._links[at].ignores_errors:
            self._failures[at].add(error, _NEXT)
            self._ask(request, at + 1, done)
        else:
            self._failures[at].add(error, CLIENTS_REFUSED)
            done(unavailable())

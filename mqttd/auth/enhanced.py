"""Methods of enhanced authentication, whoever wrote them, as the broker asks for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd.auth.answers import WrongAnswer, presentable, still_good
from mqttd.identity import Authenticated, ConnectRequest, Refused
from mqttd.interfaces import IEnhancedAuthenticator, IEnhancedExchange
from mqttd.log.failures import Failures
from mqttd.packets.primitives import LONGEST_STRING
from mqttd.packets.reason_codes import ReasonCode
from mqttd.plugins import later

TIME_LIMIT: Final = 60.0
"""Seconds an authenticator has for one answer; the broker gives up a client sooner."""
CLIENTS_REFUSED: Final = "clients are refused"
"""What follows when an authenticator fails."""

Answer: TypeAlias = bytes | Authenticated | Refused
Done: TypeAlias = Callable[[Answer], None]


def unavailable() -> Refused:
    """What a client is told when an authenticator fails."""
    return Refused(ReasonCode.SERVER_UNAVAILABLE, "the authenticator gives no answer")


class EnhancedMethod:
    """The broker's ``EnhancedAuthenticator`` port, asking an :class:`IEnhancedAuthenticator`."""

    def __init__(
        self,
        name: str,
        method: IEnhancedAuthenticator,
        clock: IReactorTime,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.method = method
        self.clock = clock
        self.now = now
        self.failures = Failures("authenticator", name, clock)

    def start(self, request: ConnectRequest, data: bytes | None) -> _Exchange:
        """Fulfils the broker's port: whatever the method does, it is the exchange that says so."""
        try:
            return _Exchange(self, self.method.start(request, data))
        except Refused as refused:
            return _Exchange(self, None, presentable(refused))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # asyncio's CancelledError is no Exception
            self.failures.add(error, CLIENTS_REFUSED)
            return _Exchange(self, None, unavailable())


class _Exchange:
    """The broker's ``EnhancedExchange`` port. ``over`` is what every step is answered with."""

    _log = Logger()

    def __init__(
        self,
        asked: EnhancedMethod,
        exchange: IEnhancedExchange | None,
        over: Refused | None = None,
    ) -> None:
        self._asked = asked
        self._exchange = exchange
        self._over = over

    def step(self, data: bytes | None, done: Done) -> None:
        """Fulfils the broker's port."""
        if self._over is not None or self._exchange is None:
            done(self._over or unavailable())
            return
        try:
            answer: Any = self._exchange.step(data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # asyncio's CancelledError is no Exception
            done(self._failed(error))
            return
        waiting = later(answer)
        if waiting is None:
            done(self._checked(answer))
            return
        waiting.addTimeout(TIME_LIMIT, self._asked.clock)
        waiting.addCallbacks(self._checked, lambda failure: self._failed(failure.value))
        waiting.addCallback(done)
        waiting.addErrback(lambda failure: self._log.failure("an answer was lost", failure))

    def _checked(self, answer: Any) -> Answer:
        if isinstance(answer, bytes) and len(answer) <= LONGEST_STRING:
            return answer
        if isinstance(answer, Authenticated):
            try:
                good = still_good(answer.identity, self._asked.now())
            except WrongAnswer as error:
                return self._failed(error)
            if isinstance(good, Refused):
                self._over = good
                return good
            return answer
        what = "too long" if isinstance(answer, bytes) else type(answer).__name__
        return self._failed(WrongAnswer(f"a step was answered with what is {what}"))

    def _failed(self, error: BaseException) -> Refused:
        """Nothing follows a refusal: the exchange is over."""
        if isinstance(error, Refused):
            self._over = presentable(error)
        else:
            self._asked.failures.add(error, CLIENTS_REFUSED)
            self._over = unavailable()
        return self._over

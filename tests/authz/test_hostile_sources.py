"""Sources of rules that break every rule: what they are asked about is denied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from mqttd.authz.chain import TIME_LIMIT, Link, SourceChain
from mqttd.broker.authorization import Decision
from mqttd.identity import AccessRule, Identity
from mqttd.interfaces import IAuthorizer
from mqttd.testing import access_request

SECRET = "what the client sent"


@implementer(IAuthorizer)
class Says:
    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act
        self.asked = 0

    def authorize(self, request: Any) -> Any:
        self.asked += 1
        return self.act()


def decided(act: Callable[[], Any], clock: Clock | None = None) -> Decision:
    """What follows from one source; one behind it would allow everything."""
    clock = clock or Clock()
    after = Says(lambda: True)
    chain = SourceChain((Link("bad", Says(act)), Link("good", after)), clock, denies=False)
    later: list[Decision] = []
    decision = chain.ask(access_request(), later.append)
    if decision is None:
        clock.advance(TIME_LIMIT + 1)
        (decision,) = later
    assert after.asked == 0
    assert chain.asked == 0
    return decision


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


async def later(answer: Any) -> Any:
    return answer


@pytest.mark.parametrize(
    "answer",
    [1, 0, 1.0, "allow", "", b"", [], {}, object(), Identity(), Decision(True, "me"), SECRET],
    ids=range(12),
)
@pytest.mark.parametrize("how", ["at once", "deferred", "coroutine"])
def test_answers_that_are_none_deny(answer: Any, how: str) -> None:
    acts: dict[str, Callable[[], Any]] = {
        "at once": lambda: answer,
        "deferred": lambda: succeed(answer),
        "coroutine": lambda: later(answer),
    }
    decision = decided(acts[how])
    assert not decision.allowed
    assert not decision.known
    assert SECRET not in decision.source


@pytest.mark.parametrize(
    "error",
    [ValueError(SECRET), RecursionError(), asyncio.CancelledError(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("how", ["at once", "deferred"])
def test_errors_deny(error: BaseException, how: str) -> None:
    decision = decided(raising(error) if how == "at once" else lambda: fail(error))
    assert not decision.allowed
    assert SECRET not in decision.source


def test_an_answer_that_never_comes_denies() -> None:
    never: Deferred[Any] = Deferred()
    assert not decided(lambda: never).allowed
    assert never.called


def test_rules_of_an_identity_that_break_deny() -> None:
    wrong: Any = AccessRule(True, "all", (b"#",))  # type: ignore[arg-type]
    chain = SourceChain((), Clock(), denies=False)
    request = access_request(identity=Identity(rules=(wrong,)))
    decision = chain.ask(request, lambda _: None)
    assert decision is not None
    assert not decision.allowed

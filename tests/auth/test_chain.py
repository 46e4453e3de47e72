"""The chain of authenticators: order, refusals, failures, waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from mqttd.auth import chain as chain_module
from mqttd.auth.chain import AuthenticatorChain, Link
from mqttd.auth.enhanced import TIME_LIMIT
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.testing import connect_request

Ask = Callable[..., list[Any]]


class Answering:
    """An authenticator with one answer; an exception is raised."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[ConnectRequest] = []

    def authenticate(self, request: ConnectRequest) -> Any:
        self.asked.append(request)
        answer = self.answer() if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer


async def _coroutine(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


WAYS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda answer: answer,
    "deferred": lambda answer: fail(answer) if isinstance(answer, Exception) else succeed(answer),
    "coroutine": lambda answer: lambda: _coroutine(answer),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Callable[[Any], Answering]:
    """Makes an authenticator that answers in one of the ways the interface allows."""
    wrap = WAYS[request.param]
    return lambda answer: Answering(wrap(answer))


def test_the_first_that_lets_in_or_refuses_decides(
    ask: Ask, way: Callable[[Any], Answering]
) -> None:
    identity = Identity(username="ann", client_id="other", is_superuser=True)
    never = Answering(Identity())
    assert ask(way(None), way(identity), never) == [identity]
    (refused,) = ask(way(None), way(Refused(0x8A, "banned")), never)
    assert isinstance(refused, Refused)
    assert (refused.reason_code, refused.reason) == (0x8A, "banned")
    assert never.asked == []


@pytest.mark.parametrize(
    ("username", "password", "code", "reason"),
    [
        ("ann", b"x", 0x86, "wrong user name or password"),
        ("ann", None, 0x86, "wrong user name or password"),
        (None, b"x", 0x86, "wrong user name or password"),
        (None, None, 0x87, "no authenticator lets the client in"),
    ],
)
def test_whom_nobody_lets_in_is_refused_as_a_known_user_is(
    ask: Ask,
    way: Callable[[Any], Answering],
    username: str | None,
    password: bytes | None,
    code: int,
    reason: str,
) -> None:
    (refused,) = ask(way(None), way(None), request=connect_request(username, password))
    assert isinstance(refused, Refused)
    assert (refused.reason_code, refused.reason) == (code, reason)


@pytest.mark.parametrize("wrong", [ValueError("s3cret of ann"), True, "yes", 0])
def test_what_fails_refuses_and_is_named(
    ask: Ask, way: Callable[[Any], Answering], wrong: Any
) -> None:
    never = Answering(Identity())
    with capturedLogs() as logs:
        (refused,) = ask(way(wrong), never)
    assert isinstance(refused, Refused)
    assert refused.reason_code == 0x88
    assert never.asked == []
    (line,) = logs
    assert line["name"] == "number 0"
    assert line["then"] == "clients are refused"
    assert "s3cret" not in str(line)


def test_what_fails_may_be_passed_over(ask: Ask, way: Callable[[Any], Answering]) -> None:
    with capturedLogs() as logs:
        assert ask(Link("odd", way(ValueError()), True), way(Identity(username="b"))) == [  # type: ignore[arg-type]
            Identity(username="b")
        ]
        (refused,) = ask(Link("odd", way(ValueError()), True))  # type: ignore[arg-type]
    assert isinstance(refused, Refused)
    assert refused.reason_code == 0x86
    assert {line["then"] for line in logs} == {"the next one is asked"}


def test_failures_are_told_now_and_then_with_a_count(clock: Clock) -> None:
    chain = AuthenticatorChain([Link("odd", Answering(ValueError()))], clock)  # type: ignore[arg-type]
    with capturedLogs() as logs:
        for _ in range(50):
            chain.admit(connect_request(), lambda _: None)
            clock.advance(1)
    assert [line["count"] for line in logs] == [1, 11, 21, 31, 41]


def test_an_identity_that_has_ended_lets_nobody_in(
    ask: Ask, way: Callable[[Any], Answering], now: float
) -> None:
    (refused,) = ask(way(Identity(expires_at=now)), Answering(Identity()))
    assert isinstance(refused, Refused)
    assert refused.reason_code == 0x86
    assert ask(way(Identity(expires_at=now + 1))) == [Identity(expires_at=now + 1)]


def test_an_answer_that_does_not_come_refuses(ask: Ask, clock: Clock) -> None:
    cancelled: list[Any] = []
    with capturedLogs() as logs:
        answers = ask(Answering(Deferred(cancelled.append)))
        clock.advance(TIME_LIMIT - 1)
        assert answers == []
        clock.advance(1)
    (refused,) = answers
    assert isinstance(refused, Refused)
    assert refused.reason_code == 0x88
    assert len(cancelled) == 1
    assert logs[0]["what"] == "did not answer in time"


def test_no_more_than_a_bound_are_asked_about(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "MOST_ASKED", 3)
    waiting = [Deferred() for _ in range(3)]  # type: ignore[var-annotated]
    order = iter(waiting)
    chain = AuthenticatorChain([Link("slow", Answering(lambda: next(order)))], clock)  # type: ignore[arg-type]
    answers: list[Any] = []
    for _ in range(4):
        chain.admit(connect_request(), answers.append)
    (refused,) = answers
    assert refused.reason_code == 0x89
    assert chain.asked == 3
    waiting[0].callback(None)
    waiting[1].errback(Refused(0x87))
    waiting[2].callback(Identity())
    assert chain.asked == 0
    assert len(answers) == 4


def test_an_awaitable_that_twisted_does_not_know_fails_closed(ask: Ask) -> None:
    loop = asyncio.new_event_loop()
    try:
        with capturedLogs():
            (refused,) = ask(Answering(loop.create_future))
    finally:
        loop.close()
    assert isinstance(refused, Refused)
    assert refused.reason_code == 0x88

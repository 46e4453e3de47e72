"""Methods of enhanced authentication by the plugin interface, as the broker asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface import implementer

from mqttd.auth.enhanced import TIME_LIMIT, EnhancedMethod
from mqttd.identity import Authenticated, ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, IEnhancedAuthenticator, IEnhancedExchange
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.properties import Properties
from mqttd.testing import MemoryBroker, MemoryClient, connect_request


@implementer(IEnhancedAuthenticator, IEnhancedExchange)
class Script:
    """A method and its exchange: each step is answered with the next of the script."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.seen: list[bytes | None] = []

    def start(self, request: ConnectRequest, data: bytes | None) -> Script:
        return self

    def step(self, data: bytes | None) -> Any:
        self.seen.append(data)
        answer = self.answers.pop(0)
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def _coroutine(answer: Any) -> Any:
    if isinstance(answer, BaseException):
        raise answer
    return answer


WAYS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda answer: answer,
    "deferred": lambda answer: fail(answer) if isinstance(answer, Exception) else succeed(answer),
    "coroutine": lambda answer: lambda: _coroutine(answer),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return WAYS[request.param]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def step(script: Script, clock: Clock, data: bytes | None = b"x") -> list[Any]:
    answers: list[Any] = []
    exchange = EnhancedMethod("odd", script, clock, now=lambda: 1000.0).start(
        connect_request(), data
    )
    exchange.step(data, answers.append)
    return answers


def test_challenges_and_success_go_through(way: Callable[[Any], Any], clock: Clock) -> None:
    good = Authenticated(Identity(username="ann"), b"proof")
    assert step(Script(way(b"challenge")), clock) == [b"challenge"]
    assert step(Script(way(good)), clock) == [good]
    (refused,) = step(Script(way(Refused(0x8A, "banned"))), clock)
    assert (refused.reason_code, refused.reason) == (0x8A, "banned")


@pytest.mark.parametrize(
    "wrong", [ValueError("s3cret"), None, "text", 7, Identity(), bytes(70_000)], ids=range(6)
)
def test_what_fails_refuses_and_is_named_once(
    way: Callable[[Any], Any], clock: Clock, wrong: Any
) -> None:
    with capturedLogs() as logs:
        (refused,) = step(Script(way(wrong)), clock)
    assert isinstance(refused, Refused)
    assert refused.reason_code == 0x88
    (line,) = logs
    assert line["name"] == "odd"
    assert "s3cret" not in repr(line)


def test_a_method_that_cannot_begin_refuses(clock: Clock) -> None:
    class Broken(Script):
        def start(self, request: ConnectRequest, data: bytes | None) -> Script:
            raise ValueError("s3cret")

    with capturedLogs() as logs:
        (refused,) = step(Broken(), clock)
    assert refused.reason_code == 0x88
    assert len(logs) == 1


def test_what_has_ended_lets_nobody_in(way: Callable[[Any], Any], clock: Clock) -> None:
    (refused,) = step(Script(way(Authenticated(Identity(expires_at=999.0)))), clock)
    assert isinstance(refused, Refused)


def test_an_answer_that_does_not_come_refuses(clock: Clock) -> None:
    cancelled: list[Any] = []
    with capturedLogs() as logs:
        answers = step(Script(Deferred(cancelled.append)), clock)
        clock.advance(TIME_LIMIT)
    (refused,) = answers
    assert refused.reason_code == 0x88
    assert len(cancelled) == 1
    assert logs[0]["what"] == "did not answer in time"


def test_nothing_follows_a_refusal(clock: Clock) -> None:
    script = Script(Refused(0x87), Authenticated(Identity(username="root")))
    answers: list[Any] = []
    exchange = EnhancedMethod("odd", script, clock).start(connect_request(), None)
    exchange.step(b"1", answers.append)
    exchange.step(b"2", answers.append)
    assert [each.reason_code for each in answers] == [0x87, 0x87]
    assert script.seen == [b"1"]


@implementer(IAuthenticator)
class Offers:
    def __init__(self, **methods: Any) -> None:
        self.methods = methods

    def authenticate(self, request: ConnectRequest) -> None:
        return None


def properties(data: bytes | None, method: str = "m") -> Properties:
    return Properties(authentication_method=method, authentication_data=data)


def begin(*answers: Any) -> tuple[MemoryClient, Script]:
    """A client that asks for the method ``m``."""
    script = Script(*answers)
    client = MemoryBroker(authenticators=[Offers(m=script)]).client()
    client.send_connect(client_id="c", properties=properties(b"hello"))
    return client, script


def test_the_first_data_and_every_answer_arrive() -> None:
    client, script = begin(b"one", b"two", Authenticated(Identity(username="ann"), b"end"))
    for expected in (b"one", b"two"):
        challenge = client.take_one(Auth)
        assert challenge.reason_code == 0x18
        assert challenge.properties is not None
        assert challenge.properties.authentication_data == expected
        client.send(Auth(0x18, properties(b"re:" + expected)))
    answer = client.take_one(Connack)
    assert answer.reason_code == 0
    assert answer.properties is not None
    assert answer.properties.authentication_method == "m"
    assert answer.properties.authentication_data == b"end"
    assert script.seen == [b"hello", b"re:one", b"re:two"]
    assert client.connection.username == "ann"


def test_a_method_nobody_has() -> None:
    client = MemoryBroker(authenticators=[Offers()]).client()
    client.send_connect(client_id="c", properties=properties(b"", "other"))
    assert client.take_one(Connack).reason_code == 0x8C


def test_a_method_that_is_gone_cannot_renew() -> None:
    client, _ = begin(Authenticated(Identity(username="ann")))
    client.take_one(Connack)
    client.connection.broker.enhanced = {}
    client.send(Auth(0x19, properties(b"again")))
    assert client.take_one(Disconnect).reason_code == 0x8C
    assert client.closed


def test_a_renewal_keeps_the_user_and_takes_what_is_new() -> None:
    script = (
        Authenticated(Identity(username="ann", expires_at=2_000.0)),
        Authenticated(Identity(username="ann", expires_at=3_000.0)),
        Authenticated(Identity(username="bob")),
    )
    client, _ = begin(*script)
    client.take_one(Connack)
    assert client.connection.identity.expires_at == 2_000.0
    client.send(Auth(0x19, properties(b"again")))
    assert client.take_one(Auth).reason_code == 0
    assert client.connection.identity.expires_at == 3_000.0
    client.send(Auth(0x19, properties(b"again")))
    assert client.take_one(Disconnect).reason_code == 0x87
    assert client.closed


def test_a_renewal_that_fails_ends_the_session() -> None:
    client, _ = begin(Authenticated(Identity(username="ann")), ValueError())
    client.take_one(Connack)
    with capturedLogs():
        client.send(Auth(0x19, properties(b"again")))
    assert client.take_one(Disconnect).reason_code == 0x89  # DISCONNECT has no 0x88
    assert client.closed

"""Authenticators that break every rule: clients are refused, and nothing else suffers."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from twisted.internet.defer import AlreadyCalledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from mqttd.auth.chain import AuthenticatorChain, Link
from mqttd.identity import AccessRule, Authenticated, Identity, Refused
from mqttd.interfaces import IAuthenticator, IEnhancedAuthenticator
from mqttd.packets.connack import Connack
from mqttd.testing import MemoryBroker, connect_request

SECRET = "the password of the client"


@implementer(IAuthenticator)
class Says:
    """An authenticator that does what it is told to."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act
        self.asked = 0

    def authenticate(self, request: Any) -> Any:
        self.asked += 1
        return self.act()


@implementer(IAuthenticator)
class Known:
    """One that lets everybody in, asked after those that should have refused."""

    def __init__(self) -> None:
        self.asked = 0

    def authenticate(self, request: Any) -> Identity:
        self.asked += 1
        return Identity(username=request.username)


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    seen: list[Any] = []
    observer: Any = seen.append
    globalLogPublisher.addObserver(observer)
    yield seen
    globalLogPublisher.removeObserver(observer)


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


async def later(act: Callable[[], Any]) -> Any:
    return act()


def connack(act: Callable[[], Any], level: int = 5) -> Connack:
    """What a client is told; the one authenticator after it is never asked."""
    known = Known()
    broker = MemoryBroker(authenticators=[Says(act), known])
    client = broker.client(level)
    answer = client.connect(client_id="c", username="alice", password=SECRET.encode())
    assert known.asked == 0
    return answer


IDENTITIES: dict[str, dict[str, Any]] = {
    "username of bytes": {"username": b"alice"},
    "username with NUL": {"username": "a\0b"},
    "username of half a pair": {"username": "\ud800"},
    "username too long": {"username": "x" * 65_536},
    "client id of bytes": {"client_id": b"c"},
    "client id with NUL": {"client_id": "tenant\0c"},
    "client id of half a pair": {"client_id": "\ud800"},
    "client id too long": {"client_id": "x" * 65_536},
    "end of text": {"expires_at": "tomorrow"},
    "end that is no number": {"expires_at": math.nan},
    "end that is true": {"expires_at": True},
    "superuser of text": {"is_superuser": "no"},
    "superuser of a number": {"is_superuser": 2},
    "attributes of a list": {"attributes": ["a"]},
    "attributes of numbers": {"attributes": {"a": 1}},
    "attributes None": {"attributes": None},
    "rules of text": {"rules": "allow"},
    "rules of a list of texts": {"rules": ("allow",)},
    "rules None": {"rules": None},
    "a rule of text": {"rules": (AccessRule("yes", "publish", ("a",)),)},  # type: ignore[arg-type]
    "a rule with one topic": {"rules": (AccessRule(True, "publish", "a"),)},  # type: ignore[arg-type]
    "a rule without such an action": {"rules": (AccessRule(True, "read", ("a",)),)},
}


@pytest.mark.parametrize("fields", IDENTITIES.values(), ids=IDENTITIES)
@pytest.mark.parametrize("how", ["at once", "later"])
@pytest.mark.parametrize("level", [4, 5])
def test_identities_that_make_no_sense_let_nobody_in(
    fields: dict[str, Any], how: str, level: int, lines: list[Any]
) -> None:
    identity = Identity(**fields)
    answer = connack((lambda: identity) if how == "at once" else lambda: succeed(identity), level)
    assert answer.reason_code == (0x88 if level == 5 else 3)
    assert any(each.get("event") == "authenticator_failed" for each in lines)


def test_identities_that_make_sense_let_in() -> None:
    for identity in (
        Identity(expires_at=math.inf),
        Identity(username="", client_id="other", attributes={"a": "b"}, expires_at=10**9),
        Identity(rules=(AccessRule(True, "all", ("a/#",)),), is_superuser=True),
    ):
        assert connack(lambda identity=identity: identity).reason_code == 0  # type: ignore[misc]


REFUSALS: dict[str, Refused] = {
    "success": Refused(0),
    "granted": Refused(0x01),
    "a code of others": Refused(0x91),
    "no code": Refused(0x777),
    "a negative code": Refused(-1),
    "text": Refused("no"),  # type: ignore[arg-type]
    "None": Refused(None),  # type: ignore[arg-type]
    "a reason of bytes": Refused(0x87, b"no"),  # type: ignore[arg-type]
    "a reason of None": Refused(0x87, None),  # type: ignore[arg-type]
    "a reason with NUL": Refused(0x87, "a\0b"),
    "a reason of half a pair": Refused(0x87, "\ud800"),
    "a reason without end": Refused(0x87, "x" * 100_000),
    "a reason of other packets": Refused(0x98, "a\nb"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("how", ["at once", "later"])
@pytest.mark.parametrize("level", [3, 4, 5])
def test_refusals_that_make_no_sense_refuse(refusal: Refused, how: str, level: int) -> None:
    answer = connack(raising(refusal) if how == "at once" else lambda: fail(refusal), level)
    assert answer.reason_code >= (0x80 if level == 5 else 1)


@pytest.mark.parametrize(
    "answer",
    [True, False, 0, 1, "allow", b"", [], (), {}, object(), Identity, Refused(0x87), iter(())],
    ids=range(13),
)
@pytest.mark.parametrize("how", ["at once", "later", "coroutine"])
def test_answers_that_are_none(answer: Any, how: str) -> None:
    acts: dict[str, Callable[[], Any]] = {
        "at once": lambda: answer,
        "later": lambda: succeed(answer),
        "coroutine": lambda: later(lambda: answer),
    }
    assert connack(acts[how]).reason_code == 0x88


@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        RecursionError(),
        MemoryError(),
        asyncio.CancelledError(),
        GeneratorExit(),
        StopIteration(),
        UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("how", ["at once", "later"])
def test_errors_refuse_and_are_named_without_their_text(
    error: BaseException, how: str, lines: list[Any]
) -> None:
    answer = connack(raising(error) if how == "at once" else lambda: fail(error))
    assert answer.reason_code == 0x88
    told = [each for each in lines if each.get("event") == "authenticator_failed"]
    assert len(told) == 1
    assert SECRET not in repr(told)


def test_an_answer_that_never_comes_is_given_up() -> None:
    never: list[Deferred[Any]] = []

    def act() -> Any:
        never.append(Deferred())
        return never[-1]

    broker = MemoryBroker(authenticators=[Says(act)])
    client = broker.client()
    client.send_connect(client_id="c")
    broker.advance(61)
    assert client.closed
    assert never[0].called


def test_an_answer_after_the_client_left_harms_nobody() -> None:
    waiting: list[Deferred[Any]] = []

    def act() -> Any:
        waiting.append(Deferred())
        return waiting[-1]

    broker = MemoryBroker(authenticators=[Says(act)])
    first, second = broker.client(), broker.client()
    first.send_connect(client_id="c")
    second.send_connect(client_id="c")
    first.drop()
    waiting[0].callback(Identity(username="mallory", is_superuser=True))
    waiting[1].callback(Identity(username="alice"))
    broker.turn()
    assert second.take_one(Connack).reason_code == 0
    assert second.connection.username == "alice"
    assert not second.connection.identity.is_superuser


def test_the_same_answer_for_two_clients_is_not_shared() -> None:
    attributes = {"site": "a"}
    shared = Identity(attributes=attributes)
    broker = MemoryBroker(authenticators=[Says(lambda: shared)])
    one = broker.connected("one", username="u1")
    two = broker.connected("two", username="u2")
    assert (one.connection.username, two.connection.username) == ("u1", "u2")


def test_an_enhanced_method_cannot_give_such_identities_either() -> None:
    from mqttd.packets.properties import Properties

    class Exchange:
        def step(self, data: bytes | None) -> Any:
            return Authenticated(Identity(client_id="tenant\0c"))

    @implementer(IEnhancedAuthenticator)
    class Method:
        def start(self, request: Any, data: bytes | None) -> Any:
            return Exchange()

    @implementer(IAuthenticator)
    @attrs.define
    class Offers:
        methods: dict[str, Any]

        def authenticate(self, request: Any) -> None:
            return None

    broker = MemoryBroker(authenticators=[Offers({"m": Method()})])
    client = broker.client()
    client.send_connect(client_id="c", properties=Properties(authentication_method="m"))
    assert client.take_one(Connack).reason_code == 0x88


@pytest.mark.parametrize("fields", [{"client_id": "a\0b"}, {"expires_at": math.nan}])
def test_with_on_error_ignore_the_next_one_decides(fields: dict[str, Any]) -> None:
    for act in (
        lambda: Identity(**fields),
        lambda: succeed(Identity(**fields)),
        raising(asyncio.CancelledError()),
    ):
        links = [Link("bad", Says(act), ignores_errors=True), Link("known", Known())]
        chain = AuthenticatorChain(links, Clock())
        answers: list[Any] = []
        chain.admit(connect_request(username="alice"), answers.append)
        assert answers == [Identity(username="alice")]
        assert chain.asked == 0


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    """One that cannot be given up says yes after its time."""
    clock = Clock()
    late: Deferred[Any] = Deferred(lambda _: None)
    chain = AuthenticatorChain([Link("late", Says(lambda: late))], clock)
    answers: list[Any] = []
    chain.admit(connect_request(), answers.append)
    clock.advance(61)
    assert [answer.reason_code for answer in answers] == [0x88]
    with contextlib.suppress(AlreadyCalledError):
        late.callback(Identity(is_superuser=True))
    assert len(answers) == 1
    assert chain.asked == 0

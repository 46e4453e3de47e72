"""Plugins that fail in every way: that decision is denied, they are named, nobody else notices."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from zope.interface import implementer

from mqttd.auth.enhanced import TIME_LIMIT
from mqttd.identity import Authenticated, Identity, Refused
from mqttd.interfaces import (
    IAuthenticator,
    IAuthorizer,
    IEnhancedAuthenticator,
    IEnhancedExchange,
    IEventSink,
    IPSKStore,
    IRevocationChecker,
    RevocationStatus,
)
from mqttd.net.event_hub import TIME_LIMIT as EVENT_TIME_LIMIT
from mqttd.packets.acks import Puback
from mqttd.packets.connack import Connack
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.plugins import methods_of
from mqttd.psk.guard import GuardedStore
from mqttd.revocation.policy import RevocationPolicy
from mqttd.testing import MemoryBroker, MemoryClient, certificate_chain
from mqttd.tls.verdict import ASK, Verdict

SECRET = "what only the client knows"
ANY: Any = object()


class _Awaited:
    """Can be awaited, to no good end."""

    def __await__(self) -> Iterator[Any]:
        raise OSError(SECRET)


async def _raises_later() -> Any:
    raise OSError(SECRET)


async def _cancelled_later() -> Any:
    raise CancelledError(SECRET)


async def _wrong_later() -> Any:
    return "yes"


def _raises(error: BaseException) -> Any:
    raise error


FAILURES: dict[str, Callable[[], Any]] = {
    "raises": lambda: _raises(OSError(SECRET)),
    "raises without a text": lambda: _raises(RuntimeError()),
    "raises what is no Exception": lambda: _raises(CancelledError(SECRET)),
    "raises in a coroutine": _raises_later,
    "raises what is no Exception in a coroutine": _cancelled_later,
    "fails a Deferred": lambda: fail(OSError(SECRET)),
    "is awaited badly": _Awaited,
    "answers with text": lambda: "yes",
    "answers with a number": lambda: 1,
    "answers with a list": lambda: [True],
    "answers with an odd object": object,
    "answers with text, later": _wrong_later,
    "fires a Deferred with a number": lambda: succeed(2),
    "never answers": Deferred,
}
"""What every kind of plugin can do wrong."""

IDENTITIES: dict[str, Any] = {
    "a username that is no text": {"username": 5},
    "a username of bytes": {"username": b"ann"},
    "a username that MQTT cannot carry": {"username": "a\0b"},
    "a client_id that is no text": {"client_id": b"c"},
    "attributes that are none": {"attributes": None},
    "attributes of numbers": {"attributes": {"a": 1}},
    "an end that is no number": {"expires_at": "soon"},
    "an end that is not a number": {"expires_at": float("nan")},
    "rules that are none": {"rules": None},
    "rules that are text": {"rules": ("deny",)},
    "a superuser by accident": {"is_superuser": "false"},
}
REFUSALS: dict[str, Refused] = {
    "a code that means success": Refused(0),
    "a code that is none": Refused(999),
    "a code that is no number": Refused("no"),  # type: ignore[arg-type]
    "a code that is None": Refused(None),  # type: ignore[arg-type]
    "a reason that is no text": Refused(0x87, ANY),
    "a reason that MQTT cannot carry": Refused(0x87, "a\0b"),
    "a reason without end": Refused(0x87, "x" * 100_000),
    "a reason of several lines": Refused(0x87, "a\nb"),
}


@implementer(IAuthenticator, IAuthorizer, IEnhancedAuthenticator, IEnhancedExchange)
class Stranger:
    """A plugin of every kind that decides by awaiting; it behaves as ``answer`` does."""

    def __init__(self, answer: Callable[[], Any], methods: Any = None) -> None:
        self.answer = answer
        if methods is not None:
            self.methods = methods

    def authenticate(self, request: Any) -> Any:
        return None if hasattr(self, "methods") else self.answer()

    def authorize(self, request: Any) -> Any:
        return self.answer() if request.client_id == "client" else True

    def start(self, request: Any, data: bytes | None) -> Any:
        return self

    def step(self, data: bytes | None) -> Any:
        return self.answer()


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: Any) -> None:
        text = formatEvent(event)
        failure = event.get("log_failure")
        lines.append(text if failure is None else f"{text} {failure.getTraceback()}")

    globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]
    yield lines
    globalLogPublisher.removeObserver(observe)  # type: ignore[arg-type]


def named(log: list[str], name: str) -> list[str]:
    """The lines that name the plugin; no secret may be in any."""
    assert [line for line in log if SECRET in line] == []
    assert [line for line in log if "Traceback" in line] == []
    return [line for line in log if name in line]


def neighbour(broker: MemoryBroker) -> MemoryClient:
    """A client that came in before and notices nothing."""
    client = broker.connected("neighbour", keep_alive=0)
    client.subscribe("news", qos=1)
    return client


def is_well(client: MemoryClient) -> None:
    client.publish("news", b"well", 1)
    kinds = sorted(type(packet).__name__ for packet in client.take())
    assert kinds == ["Puback", "Publish"]


class AdmitNeighbour:
    """In front of the stranger."""

    def authenticate(self, request: Any) -> Identity | None:
        return Identity() if request.client_id == "neighbour" else None


def authenticated(answer: Callable[[], Any]) -> tuple[MemoryBroker, Callable[[], MemoryClient]]:
    neighbours: Any = implementer(IAuthenticator)(AdmitNeighbour)()
    broker = MemoryBroker(authenticators=[neighbours, Stranger(answer)], idle_timeout=1_000)

    def come() -> MemoryClient:
        client = broker.client()
        client.send_connect(password=SECRET.encode())
        return client

    return broker, come


def enhanced(answer: Callable[[], Any]) -> tuple[MemoryBroker, Callable[[], MemoryClient]]:
    neighbours: Any = implementer(IAuthenticator)(AdmitNeighbour)()
    stranger = Stranger(answer, {"Stranger": Stranger(answer)})
    broker = MemoryBroker(authenticators=[neighbours, stranger], idle_timeout=1_000)

    def come() -> MemoryClient:
        client = broker.client()
        method = Properties(authentication_method="Stranger", authentication_data=SECRET.encode())
        client.send_connect(properties=method)
        return client

    return broker, come


KINDS = {"authenticator": authenticated, "enhanced authenticator": enhanced}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("kind", KINDS)
def test_who_is_not_known_does_not_come_in(kind: str, failure: str, log: list[str]) -> None:
    broker, come = KINDS[kind](FAILURES[failure])
    well = neighbour(broker)
    clients = [come() for _ in range(20)]
    is_well(well)
    broker.advance(TIME_LIMIT + 1)
    codes = {client.take_one(Connack).reason_code for client in clients}
    assert codes == {0x88}
    assert len(named(log, "Stranger")) == 1
    is_well(well)


@pytest.mark.parametrize("what", IDENTITIES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("later", [False, True])
def test_identities_that_are_none(kind: str, what: str, later: bool, log: list[str]) -> None:
    identity = Identity(**IDENTITIES[what])
    answer: Any = identity if kind == "authenticator" else Authenticated(identity)
    broker, come = KINDS[kind](lambda: succeed(answer) if later else answer)
    well = neighbour(broker)
    for client in [come() for _ in range(20)]:
        assert client.take_one(Connack).reason_code == 0x88
    assert len(named(log, "Stranger")) == 1
    is_well(well)


@pytest.mark.parametrize("what", REFUSALS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("later", [False, True])
def test_refusals_that_are_none(kind: str, what: str, later: bool, log: list[str]) -> None:
    refusal = REFUSALS[what]
    broker, come = KINDS[kind](lambda: fail(refusal) if later else _raises(refusal))
    well = neighbour(broker)
    client = come()
    assert client.take_one(Connack).reason_code >= 0x80
    assert client.closed
    named(log, "")
    is_well(well)


@pytest.mark.parametrize("data", [b"x" * 65_536, None, bytearray(b"x")])
def test_challenges_that_are_none(data: Any, log: list[str]) -> None:
    _, come = enhanced(lambda: data)
    assert come().take_one(Connack).reason_code == 0x88
    assert len(named(log, "Stranger")) == 1


@pytest.mark.parametrize("methods", [5, ["Stranger"], {"Stranger": None}, {5: Stranger(object)}])
def test_methods_that_are_none(methods: Any) -> None:
    """They are an error of the configuration."""
    with pytest.raises(ValueError, match="method"):
        methods_of(Stranger(Identity, methods))


@pytest.mark.parametrize("failure", FAILURES)
def test_what_is_not_known_to_be_allowed_is_denied(failure: str, log: list[str]) -> None:
    broker = MemoryBroker(authorizers=[Stranger(FAILURES[failure])])
    well = neighbour(broker)
    client = broker.connected("client", keep_alive=0)
    for number in range(20):
        client.publish(f"news/{number}", b"x", 1)
    is_well(well)
    broker.advance(21 * (TIME_LIMIT + 1))
    answers = client.take_all(Puback)
    assert {answer.reason_code for answer in answers} == {0x87}
    assert len(answers) == 20
    lines = [line for line in named(log, "Stranger") if "authoriz" in line or "source" in line]
    assert 1 <= len(lines) <= (21 if failure == "never answers" else 1)
    is_well(well)
    assert well.take_all(Publish) == []


@implementer(IEventSink)
class Sink:
    """A stranger's; ``told`` counts what it is told."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer
        self.told = 0

    def handle(self, event: Any) -> Any:
        self.told += 1
        return self._answer()


@pytest.mark.parametrize("failure", FAILURES)
def test_who_is_told_harms_nobody(failure: str, log: list[str]) -> None:
    sink, other = Sink(FAILURES[failure]), Sink(lambda: None)
    broker = MemoryBroker(event_sinks=[sink, other])
    well = neighbour(broker)
    for _ in range(20):
        is_well(well)
    assert other.told > 40
    assert sink.told == (1 if failure == "never answers" else other.told)
    broker.advance(EVENT_TIME_LIMIT + 1)
    lines = [line for line in named(log, "event sink Sink") if "failed" in line]
    assert len(lines) == (0 if "answers with" in failure or "number" in failure else 1)
    is_well(well)


# --- within the TLS handshake -------------------------------------------------------------------


@implementer(IRevocationChecker)
class Checker:
    def __init__(self, known: Callable[[], Any], check: Callable[[], Any]) -> None:
        self._known, self._check = known, check

    def known(self, chain: Any) -> Any:
        return self._known()

    def check(self, chain: Any) -> Any:
        return self._check()

    def on_change(self, changed: Any) -> None:
        raise OSError(SECRET)

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


STATUSES: dict[str, Any] = {
    "an outcome that is none": RevocationStatus("fine"),
    "an outcome that is no text": RevocationStatus(True),  # type: ignore[arg-type]
    "a cause that is no text": RevocationStatus("unknown", ANY, "text"),
    "a text that is no text": RevocationStatus("unknown", "cause", ANY),
    "a status that allows by accident": RevocationStatus("unknown", "cause", "", "no"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("failure", [*FAILURES, *STATUSES])
def test_who_may_be_revoked_does_not_come_in(failure: str, log: list[str]) -> None:
    answer = FAILURES.get(failure) or (lambda: succeed(STATUSES[failure]))
    clock = Clock()
    checker: Any = Checker(lambda: None, answer)
    policy = RevocationPolicy({"stranger": checker}, clock=clock, now=clock.seconds)
    policy.on_change(lambda: None)
    chain = certificate_chain()
    verdicts: list[Verdict] = []
    for _ in range(20):
        assert policy.judge(chain) == ASK
        policy.ask(chain, verdicts.append)
    clock.advance(60)
    assert len(verdicts) == 20
    assert all(each.error for each in verdicts)
    assert all(isinstance(each.cause, str) and isinstance(each.text, str) for each in verdicts)
    assert all("stranger" in each.text for each in verdicts)
    assert len(named(log, "stranger")) <= 2


@pytest.mark.parametrize("failure", [*FAILURES, *STATUSES])
def test_checkers_that_fail_at_once(failure: str, log: list[str]) -> None:
    answer = FAILURES.get(failure) or (lambda: STATUSES[failure])
    checker: Any = Checker(answer, lambda: None)
    policy = RevocationPolicy({"stranger": checker}, clock=Clock())
    for _ in range(20):
        verdict = policy.judge(certificate_chain())
        assert verdict.error
        assert verdict != ASK
    assert len(named(log, "stranger")) == 1


@implementer(IPSKStore)
class Store:
    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    def key_for(self, identity: bytes) -> Any:
        return self._answer()

    def identities(self) -> Any:
        return self._answer()

    def on_change(self, changed: Any) -> None:
        pass


@pytest.mark.parametrize(
    "answer",
    [*FAILURES.values(), lambda: b"", lambda: b"x" * 513, lambda: bytearray(b"x" * 16)],
    ids=[*FAILURES, "an empty key", "a long key", "a key that can change"],
)
def test_who_has_no_key_does_not_come_in(answer: Callable[[], Any], log: list[str]) -> None:
    store = GuardedStore("stranger", Store(answer))
    for _ in range(20):
        assert store.key_for(b"somebody") is None
        assert [each for each in store.identities() if not isinstance(each, bytes)] == []
    assert 1 <= len(named(log, "stranger")) <= 2

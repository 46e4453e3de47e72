"""Requests for tests of plugins, and the broker in memory with a plugin's authenticators."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from zope.interface import implementer

from mqttd.auth.enhanced import TIME_LIMIT
from mqttd.authz.authorization import ClientAuthorization
from mqttd.events import Event
from mqttd.identity import AccessRequest, AccessRule, ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, IAuthorizer, IEventSink
from mqttd.packets.connack import Connack
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.publish import Publish
from mqttd.testing import (
    AdmitAll,
    MemoryBroker,
    access_request,
    certificate_chain,
    connect_request,
    peer_certificate,
    peer_info,
)


def test_requests_are_plain_where_nothing_is_said() -> None:
    request = connect_request()
    assert (request.username, request.password, request.level) == (None, None, 5)
    assert request.peer.certificate is None
    request = connect_request("ann", "secret", level=4, attributes={"tenant": "acme"})
    assert (request.username, request.password, request.level) == ("ann", b"secret", 4)
    assert request.attributes == {"tenant": "acme"}
    asked = access_request("subscribe", "a/#", username="ann", qos=1)
    assert (asked.action, asked.topic, asked.qos) == ("subscribe", "a/#", 1)
    assert asked.identity == Identity("ann")


def test_what_a_client_proved() -> None:
    request = connect_request(certificate=peer_certificate("dev1"), psk_identity=b"dev1")
    assert request.peer.certificate is not None
    assert request.peer.certificate.common_name == "dev1"
    assert (request.peer.psk_identity, request.peer.tls_version) == (b"dev1", "TLSv1.3")
    peer = peer_info(listener="ssl:a", address=("2001:db8::1", 2), sni="mqtt.test")
    assert connect_request(peer=peer).peer.peer == ("2001:db8::1", 2)
    with pytest.raises(TypeError, match="peer_info"):
        connect_request(peer=peer, psk_identity=b"dev1")


def test_certificates_are_real() -> None:
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    leaf, issuer = certificate_chain(
        "dev1", organization="Acme", serial=7, dns=["dev1.test"], begin=begin, days=2
    )
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(issuer)
    assert leaf.subject.rfc4514_string() == "CN=dev1,O=Acme"
    assert (leaf.serial_number, leaf.not_valid_after_utc.day) == (7, 3)
    values = peer_certificate("dev1", emails=["a@test"], uris=["urn:dev1"], authority="CA")
    assert x509.load_der_x509_certificate(values.der).subject.rfc4514_string() == "CN=dev1"
    assert (values.issuer, values.san_email, values.san_uri) == (
        "CN=CA",
        ("a@test",),
        ("urn:dev1",),
    )


@implementer(IAuthenticator)
class Answers:
    """Answers with what ``answer`` gives."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def authenticate(self, request: ConnectRequest) -> Any:
        return self._answer(request)


def refuse(request: ConnectRequest) -> Identity:
    raise Refused(0x86)


def only_ann(request: ConnectRequest) -> Identity | None:
    return Identity("ann") if request.username == "ann" else None


def test_authenticators_are_asked_in_order() -> None:
    broker = MemoryBroker(authenticators=[Answers(only_ann), Answers(refuse)])
    broker.connected("a", username="ann")
    assert broker.client(5).connect(username="bob").reason_code == 0x86
    assert broker.client(4).connect(username="bob").reason_code == 4
    device = peer_info(certificate=peer_certificate("ann"))
    by_name = Answers(lambda request: Identity(request.peer.certificate.common_name))
    client = MemoryBroker(authenticators=[by_name]).connected("a", peer=device)
    assert client.connection.username == "ann"


def test_answers_may_come_later() -> None:
    waiting: list[Deferred[Identity]] = []

    def ask(request: ConnectRequest) -> Deferred[Identity]:
        waiting.append(Deferred())
        return waiting[-1]

    broker = MemoryBroker(authenticators=[Answers(ask)])
    client = broker.client()
    client.send_connect(username="ann")
    assert client.take() == []
    waiting[0].callback(Identity("ann"))
    broker.turn()
    assert client.take_one(Connack).reason_code == 0


def test_time_passes_for_plugins_too() -> None:
    async def ask(request: ConnectRequest) -> Identity:
        await deferLater(broker.clock, 3, lambda: None)
        return Identity(expires_at=broker.now + 10)

    broker = MemoryBroker(authenticators=[Answers(ask)])
    client = broker.client()
    client.send_connect()
    broker.advance(2)
    assert client.take() == []
    broker.advance(1)
    assert client.take_one(Connack).reason_code == 0
    broker.advance(8)
    assert not client.closed
    broker.advance(2)
    assert client.take_one(Disconnect).reason_code == 0x87
    assert client.closed


def test_an_answer_that_never_comes() -> None:
    broker = MemoryBroker(authenticators=[Answers(lambda request: Deferred())], idle_timeout=90)
    client = broker.client()
    client.send_connect()
    broker.advance(TIME_LIMIT + 1)
    assert client.take_one(Connack).reason_code == 0x88


@implementer(IAuthorizer)
class Allows:
    """Allows what ``allowed`` holds; it can be changed."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = set(allowed)
        self.told: list[Callable[[], object]] = []

    async def authorize(self, request: AccessRequest) -> bool | None:
        return True if request.topic in self.allowed else None

    def on_change(self, changed: Callable[[], object]) -> None:
        self.told.append(changed)


def test_authorizers_are_asked() -> None:
    one, other = Allows("a"), Allows("b")
    broker = MemoryBroker(authorizers=[one, other])
    client = broker.connected("c")
    assert list(client.subscribe("a", "b", "x", qos=1).reason_codes) == [1, 1, 0x87]
    client.publish("a", b"1")
    client.publish("b", b"2")
    client.publish("x", b"3")
    assert [packet.payload for packet in client.take_all(Publish)] == [b"1", b"2"]
    other.allowed.clear()
    for changed in other.told:
        changed()
    broker.advance(5)
    client.publish("a", b"4")
    client.publish("b", b"5")
    assert [packet.payload for packet in client.take_all(Publish)] == [b"4"]


@implementer(IEventSink)
class Remembers:
    def __init__(self) -> None:
        self.events: list[Event] = []

    async def handle(self, event: Event) -> None:
        self.events.append(event)


def test_event_sinks_are_told_everything() -> None:
    sink = Remembers()
    broker = MemoryBroker(authorizers=[Allows("a")], event_sinks=[sink])
    client = broker.connected("c", username="ann")
    client.subscribe("a", qos=1)
    client.publish("a", b"1", 1)
    client.publish("x", b"2")
    client.disconnect()
    names = [event.name for event in sink.events]
    assert names == [
        "client_connected",
        "subscribed",
        "message_published",
        "message_delivered",
        "access_denied",
        "client_disconnected",
    ]
    assert {event.time for event in sink.events} == {broker.now}


def test_rules_of_an_identity_count() -> None:
    rules = (AccessRule(False, "publish", ("private/#",)), AccessRule(True, "all", ("#",)))
    answers = Answers(lambda request: Identity(rules=rules))
    client = MemoryBroker(authenticators=[answers]).connected("c")
    client.subscribe("#")
    client.publish("private/a", b"1")
    client.publish("public/a", b"2")
    assert client.take_one(Publish).payload == b"2"


def test_one_way_to_admit() -> None:
    with pytest.raises(TypeError, match="take the place"):
        MemoryBroker(authenticators=[Answers(refuse)], admission=AdmitAll())
    with pytest.raises(TypeError, match="take the place"):
        MemoryBroker(authorizers=[Allows()], authorization=ClientAuthorization(Clock()))

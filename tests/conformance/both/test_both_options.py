"""The options under ``mqtt`` that say who a client is, and mountpoints, in all versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from mqttd.identity import ConnectRequest, Identity, PeerCertificate, Refused
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.publish import Publish
from mqttd.testing import SOMEBODY, MemoryBroker, MemoryClient

CERTIFICATE = PeerCertificate(
    der=b"\x30\x00",
    pem="-----BEGIN CERTIFICATE-----\n",
    common_name="device",
    subject="CN=device,O=Example",
    issuer="CN=CA",
    serial=1,
    not_before=0.0,
    not_after=1e10,
    san_dns=("device.example",),
)
SOMEBODY_KNOWN = attrs.evolve(SOMEBODY, certificate=CERTIFICATE)


class Seen:
    """Admits everybody and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[ConnectRequest] = []

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        self.requests.append(request)
        done(Identity(username=request.username))


def mounted(broker: MemoryBroker, level: int, mountpoint: str, client_id: str) -> MemoryClient:
    client = broker.client(level, mountpoint=mountpoint)
    assert client.connect(client_id=client_id).reason_code == 0
    return client


@pytest.mark.parametrize(
    ("source", "name"),
    [("cn", "device"), ("dn", "CN=device,O=Example"), ("san_dns", "device.example")],
)
def test_the_certificate_gives_the_names(level: int, source: str, name: str) -> None:
    seen = Seen()
    broker = MemoryBroker(
        admission=seen, peer_cert_as_username=source, peer_cert_as_clientid=source
    )
    client = broker.client(level, peer=SOMEBODY_KNOWN)
    assert client.connect(client_id="other", username="root").reason_code == 0
    assert (seen.requests[0].username, seen.requests[0].client_id) == (name, name)


@pytest.mark.parametrize("option", ["peer_cert_as_username", "peer_cert_as_clientid"])
@pytest.mark.parametrize("source", ["cn", "san_email"])
def test_without_the_certificate_asked_for_nobody_is_admitted(
    level: int, option: str, source: str
) -> None:
    options: dict[str, Any] = {option: source}
    broker = MemoryBroker(**options)
    peer = SOMEBODY if source == "cn" else SOMEBODY_KNOWN
    client = broker.client(level, peer=peer)
    connack = client.connect(client_id="c", username="root")
    assert connack.reason_code == (0x87 if level == 5 else 5)
    assert client.closed


def test_the_user_name_as_client_identifier(level: int) -> None:
    broker = MemoryBroker(use_username_as_clientid=True)
    first = broker.connected("a", level, username="same")
    broker.connected("b", level, username="same")
    assert first.closed
    alone = broker.connected("c", level)
    assert not alone.closed


@pytest.mark.parametrize(
    ("strict", "answer"), [(True, b"\x20\x02\x00\x02"), (False, b"\x20\x02\x00\x00")]
)
def test_a_long_client_identifier_of_mqtt_3_1(strict: bool, answer: bytes) -> None:
    client = MemoryBroker(strict_mode=strict).client(3)
    client.send(Connect("x" * 24, 3))
    assert client.take_bytes() == answer


DISCOURAGED = ["\x01", "\x1f", "\x7f", "\x9f", "\ufdd0", "\ufffe", "\U0010ffff"]
"""Characters a client SHOULD NOT send, and that a server may refuse (1.5.4; 3.1.1: 1.5.3)."""


@pytest.mark.parametrize("character", DISCOURAGED)
@pytest.mark.parametrize("strict", [True, False])
def test_discouraged_characters(level: int, strict: bool, character: str) -> None:
    broker = MemoryBroker(strict_mode=strict)
    client = broker.connected("clean \xa0\ufffd\U0010fffd", level, username="\xe6")
    refused = 0x8F if level == 5 else 0x80
    assert client.subscribe("a/" + character).reason_codes == [refused if strict else 0]
    client.publish("b/" + character)
    assert client.closed is strict
    answers = [each.reason_code for each in client.take_all(Disconnect)]
    assert answers == ([0x90] if strict and level == 5 else [])


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("fields", "code", "code_in_3"),
    [
        ({"client_id": "a\x01"}, 0x85, [2]),
        ({"client_id": "a", "username": "a\x01"}, 0x81, []),
        ({"client_id": "a", "will": ConnectWill(b"a\x01", b"")}, 0x90, []),
    ],
)
def test_discouraged_characters_in_connect(
    level: int, strict: bool, fields: dict[str, Any], code: int, code_in_3: list[int]
) -> None:
    client = MemoryBroker(strict_mode=strict).client(level)
    client.send(Connect(level=level, **fields))
    answers = [each.reason_code for each in client.take_all(Connack)]
    refused = [code] if level == 5 else code_in_3
    assert answers == (refused if strict else [0])
    assert client.closed is strict


def test_a_mountpoint_is_not_seen_by_those_behind_it(broker: MemoryBroker, level: int) -> None:
    inside, other = mounted(broker, level, "a/", "inside"), mounted(broker, level, "b/", "other")
    outside = broker.connected("outside", level)
    for client in (inside, other, outside):
        client.subscribe("#")
    inside.publish("t", b"x", retain=True)
    assert inside.take_one(Publish).topic == b"t"
    assert outside.take_one(Publish).topic == b"a/t"
    assert other.take() == []
    late = mounted(broker, level, "a/", "late")
    late.subscribe("+")
    assert late.take_one(Publish).topic == b"t"
    late.unsubscribe("+")
    outside.publish("a/t", b"y")
    assert inside.take_one(Publish).topic == b"t"
    assert late.take() == []


def test_a_mountpoint_before_wills_and_shared_subscriptions(
    broker: MemoryBroker, level: int
) -> None:
    watching = broker.connected("watching", level)
    watching.subscribe("a/will")
    inside = broker.client(level, mountpoint="a/")
    inside.send(Connect("c", level, will=ConnectWill(b"will", b"gone")))
    assert inside.take_one(Connack).reason_code == 0
    inside.subscribe("$share/g/t")
    watching.publish("a/t", b"x")
    assert inside.take_one(Publish).topic == b"t"
    assert inside.unsubscribe("$share/g/t") is not None
    watching.publish("a/t", b"x")
    assert inside.take() == []
    inside.drop()
    assert watching.take_one(Publish).topic == b"a/will"


def test_a_mountpoint_from_names(broker: MemoryBroker, level: int) -> None:
    watching = broker.connected("watching", level)
    watching.subscribe("#")
    client = broker.client(level, mountpoint=lambda name, client_id: f"{name}/{client_id}/")
    client.connect(client_id="c", username="u")
    client.publish("t")
    assert watching.take_one(Publish).topic == b"u/c/t"


def test_clients_do_not_publish_as_the_broker(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.subscribe("$SYS/#")
    client.publish("$SYS/broker/version", b"forged", qos=1, retain=True)
    late = broker.connected("late", level)
    late.subscribe("$SYS/#")
    assert not any(isinstance(packet, Publish) for packet in [*client.take(), *late.take()])

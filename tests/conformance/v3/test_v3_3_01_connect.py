"""3.1 and 3.2 CONNECT and CONNACK: what is peculiar to MQTT 3.1 and 3.1.1."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker


class Refusing:
    """Refuses every client for one reason."""

    def __init__(self, reason_code: int) -> None:
        self.reason_code = reason_code

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        done(Refused(self.reason_code, "no"))


@pytest.mark.statements("v3:MQTT-3.1.3-6")
def test_an_empty_client_identifier_gets_a_unique_one(broker: MemoryBroker) -> None:
    clients = [broker.client(4) for _ in range(5)]
    for client in clients:
        assert client.connect(client_id="", clean_start=True).reason_code == 0
    assert not any(client.closed for client in clients)
    for client in clients:
        client.subscribe("t")
    clients[0].publish("t")
    assert all(len(client.take_all(Publish)) == 1 for client in clients)


@pytest.mark.statements("v3:MQTT-3.1.3-7", "v3:MQTT-3.1.3-8", "v3:MQTT-3.2.2-4", "v3:MQTT-3.2.2-5")
def test_an_empty_client_identifier_needs_a_clean_session(broker: MemoryBroker) -> None:
    client = broker.client(4)
    client.send(Connect("", 4, clean_start=False))
    assert client.take_bytes() == b"\x20\x02\x00\x02"
    assert client.closed


def test_mqtt_3_1_has_no_empty_client_identifier(broker: MemoryBroker) -> None:
    for clean_start in (True, False):
        client = broker.client(3)
        client.send(Connect("", 3, clean_start=clean_start))
        assert client.take_bytes() == b"\x20\x02\x00\x02"
        assert client.closed


@pytest.mark.statements("v3:MQTT-3.1.2-22", "v3:MQTT-3.1.4-1")
def test_a_password_needs_a_user_name(broker: MemoryBroker) -> None:
    client = broker.client(4)
    body = b"\x00\x04MQTT\x04\x42\x00\x3c\x00\x01c\x00\x06secret"
    client.send_bytes(bytes((0x10, len(body))) + body)
    assert client.closed
    assert client.take_bytes() == b""


@pytest.mark.statements("v3:MQTT-3.2.2-5", "v3:MQTT-3.2.2-4", "v3:MQTT-4.8.0-2")
@pytest.mark.parametrize("level", [3, 4])
@pytest.mark.parametrize(
    ("reason_code", "return_code"),
    [(0x84, 1), (0x85, 2), (0x88, 3), (0x89, 3), (0x86, 4), (0x87, 5), (0x8A, 5)],
)
def test_a_refused_client_gets_the_return_code_and_is_disconnected(
    level: int, reason_code: int, return_code: int
) -> None:
    broker = MemoryBroker(admission=Refusing(reason_code))
    client = broker.client(level)
    client.send(Connect("c", level, clean_start=False))
    assert client.take_bytes() == bytes((0x20, 2, 0, return_code))
    assert client.closed


@pytest.mark.statements("v3:MQTT-3.2.2-6")
@pytest.mark.parametrize("body", [b"\x00\x04MQTT\x04\x01\x00\x00\x00\x01c", b"\x00\x04MQTT\x04"])
def test_where_no_return_code_applies_there_is_no_connack(
    broker: MemoryBroker, body: bytes
) -> None:
    client = broker.client(4)
    client.send_bytes(bytes((0x10, len(body))) + body)
    assert client.closed
    assert client.take_bytes() == b""


@pytest.mark.statements(
    "v3:MQTT-3.2.0-1", "v3:MQTT-3.1.4-4", "v3:MQTT-3.2.2-1", "v3:MQTT-3.2.2-2", "v3:MQTT-3.2.2-3"
)
def test_the_bytes_of_connack(broker: MemoryBroker) -> None:
    for level in (3, 4):
        for clean_start, answer in [
            (True, b"\x20\x02\x00\x00"),
            (False, b"\x20\x02\x00\x00"),
            (False, b"\x20\x02\x01\x00" if level == 4 else b"\x20\x02\x00\x00"),
            (True, b"\x20\x02\x00\x00"),
        ]:
            client = broker.client(level)
            client.send(Connect(f"c{level}", level, clean_start=clean_start))
            assert client.take_bytes() == answer
            client.drop()


def test_a_session_of_mqtt_3_ends_after_the_configured_time() -> None:
    broker = MemoryBroker(session_expiry_interval=100)
    broker.connected("c", 4, clean_start=False).drop()
    broker.advance(99)
    assert broker.client(4).connect(client_id="c", clean_start=False).session_present is True
    broker.connected("c", 4, clean_start=False).drop()
    broker.advance(102)
    assert broker.client(4).connect(client_id="c", clean_start=False).session_present is False


def test_a_persistent_session_is_there_for_mqtt_5_and_the_other_way(
    broker: MemoryBroker,
) -> None:
    broker.connected("c", 4, clean_start=False).subscribe("t", qos=1)
    client = broker.connected("c", 5, clean_start=False)
    assert client.connack is not None
    assert client.connack.session_present is True
    broker.connected("p", 4).publish("t", b"hello", qos=1)
    assert client.take_one(Publish).payload == b"hello"


def test_a_bridge_says_so_in_the_protocol_level(broker: MemoryBroker) -> None:
    # mosquitto's bridges set the highest bit of the level.
    client = broker.client(4)
    client.send_bytes(b"\x10\x0d\x00\x04MQTT\x84\x02\x00\x3c\x00\x01b")
    assert client.take_one(Connack).reason_code == 0


@pytest.mark.statements("v3:MQTT-3.1.2-2")
def test_the_name_of_3_1_with_another_level(broker: MemoryBroker) -> None:
    for level in (2, 4, 5):
        client = broker.client(4)
        client.send_bytes(b"\x10\x0f\x00\x06MQIsdp" + bytes((level,)) + b"\x02\x00\x3c\x00\x01c")
        assert client.closed
        assert client.take_bytes() in (b"", b"\x20\x02\x00\x01")

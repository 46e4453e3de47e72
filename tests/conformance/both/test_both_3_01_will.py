"""3.1.2.5 to 3.1.2.7 the Will Message, in all versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient

WILL = ConnectWill(b"will", b"gone", qos=1)


def watcher(broker: MemoryBroker, level: int) -> MemoryClient:
    client = broker.connected("watcher", level)
    client.subscribe("#", qos=2)
    return client


def take_over(broker: MemoryBroker, client: MemoryClient) -> None:
    broker.connected("c", client.level)


ENDINGS: dict[str, Callable[[MemoryBroker, MemoryClient], Any]] = {
    "network failure": lambda broker, client: client.drop(),
    "keep alive": lambda broker, client: broker.advance(100),
    "malformed packet": lambda broker, client: client.send_bytes(b"\x36\x00"),
    "protocol error": lambda broker, client: client.send(Connect("c", client.level)),
    "taken over": take_over,
}


@pytest.mark.statements(
    "v3:MQTT-3.1.2-8", "v5:MQTT-3.1.2-7", "v5:MQTT-3.1.2-8", "v3:MQTT-3.1.2-10",
    "v5:MQTT-3.1.2-10",
)  # fmt: skip
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_will_is_published_when_the_connection_ends(
    broker: MemoryBroker, level: int, ending: str
) -> None:
    watching = watcher(broker, level)
    client = broker.connected("c", level, will=WILL, keep_alive=60)
    assert watching.take() == []
    ENDINGS[ending](broker, client)
    assert client.closed
    will = watching.take_one(Publish)
    assert (will.topic, will.payload, will.qos) == (b"will", b"gone", 1)
    # Published once, and removed.
    broker.connected("c", level).drop()
    assert watching.take() == []


@pytest.mark.statements(
    "v3:MQTT-3.1.2-8", "v5:MQTT-3.1.2-8", "v3:MQTT-3.1.2-10", "v5:MQTT-3.1.2-10",
    "v3:MQTT-3.14.4-3", "v5:MQTT-3.14.4-3",
)  # fmt: skip
def test_the_will_is_discarded_on_disconnect(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    watching = watcher(broker, level)
    broker.connected("c", level, will=WILL, **lasting).disconnect()
    broker.advance(4000)
    broker.connected("c", level, **lasting).drop()
    broker.advance(4000)
    assert watching.take() == []


@pytest.mark.statements("v3:MQTT-3.1.2-12")
def test_without_a_will_flag_nothing_is_published(broker: MemoryBroker, level: int) -> None:
    watching = watcher(broker, level)
    # A Will of an earlier connection is not one of this connection.
    broker.connected("c", level, will=WILL).disconnect()
    client = broker.connected("c", level)
    client.drop()
    assert watching.take() == []


@pytest.mark.statements("v3:MQTT-3.1.2-14", "v5:MQTT-3.1.2-12")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_will_has_its_qos(broker: MemoryBroker, level: int, qos: int) -> None:
    watching = watcher(broker, level)
    broker.connected("c", level, will=ConnectWill(b"will", b"", qos=qos)).drop()
    assert watching.take_one(Publish).qos == qos


@pytest.mark.statements("v3:MQTT-3.1.2-16", "v5:MQTT-3.1.2-14")
def test_a_will_that_is_not_retained(broker: MemoryBroker, level: int) -> None:
    watching = watcher(broker, level)
    broker.connected("c", level, will=ConnectWill(b"will", b"gone")).drop()
    assert watching.take_one(Publish).retain is False
    late = broker.connected("late", level)
    late.subscribe("will")
    assert late.take() == []


@pytest.mark.statements("v3:MQTT-3.1.2-17", "v5:MQTT-3.1.2-15")
def test_a_will_that_is_retained(broker: MemoryBroker, level: int) -> None:
    watching = watcher(broker, level)
    broker.connected("c", level, will=ConnectWill(b"will", b"gone", retain=True)).drop()
    assert watching.take_one(Publish).retain is False
    late = broker.connected("late", level)
    late.subscribe("will")
    kept = late.take_one(Publish)
    assert (kept.payload, kept.retain) == (b"gone", True)


def test_a_retained_will_without_payload_removes_the_retained_message(
    broker: MemoryBroker, level: int
) -> None:
    broker.connected("p", level).publish("will", b"old", retain=True)
    broker.connected("c", level, will=ConnectWill(b"will", b"", retain=True)).drop()
    late = broker.connected("late", level)
    late.subscribe("will")
    assert late.take() == []


def test_a_client_can_be_told_of_its_own_end(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    client = broker.connected("c", level, will=WILL, **lasting)
    client.subscribe("will", qos=1)
    client.drop()
    assert broker.connected("c", level, **lasting).take_one(Publish).payload == b"gone"


@pytest.mark.parametrize("topic", [b"will/#", b"+", b""])
def test_a_will_topic_that_is_no_topic_name(
    broker: MemoryBroker, level: int, topic: bytes
) -> None:
    client = broker.client(level)
    client.send(Connect("c", level, will=ConnectWill(topic, b"")))
    assert client.closed
    assert all(getattr(packet, "reason_code", 0) != 0 for packet in client.take())


def test_a_refused_connect_leaves_no_will(level: int) -> None:
    broker = MemoryBroker(max_clientid_len=8)
    watching = watcher(broker, level)
    broker.client(level).send(Connect("much-too-long", level, will=WILL))
    broker.advance(100)
    assert watching.take() == []


def test_a_malformed_disconnect_does_not_discard_the_will(
    broker: MemoryBroker, level: int
) -> None:
    watching = watcher(broker, level)
    client = broker.connected("c", level, will=WILL)
    client.send_bytes(b"\xe0\x05\x00\x00\x00\x00\x00")
    assert client.closed
    assert not level < 5 or client.take() == []
    assert level < 5 or client.take_one(Disconnect).reason_code in (0x81, 0x82)
    assert watching.take_one(Publish).payload == b"gone"

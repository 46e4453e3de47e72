"""3.1.2.10 Keep Alive, in all versions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.decode import Packet
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.testing import MemoryBroker, MemoryClient


@pytest.mark.statements("v3:MQTT-3.1.2-24", "v5:MQTT-3.1.2-22", "v5:MQTT-3.2.2-22")
@pytest.mark.parametrize("keep_alive", [1, 10, 60])
def test_one_and_a_half_times_the_keep_alive(
    broker: MemoryBroker,
    level: int,
    keep_alive: int,
    ended: Callable[[MemoryClient, int], None],
) -> None:
    client = broker.connected("c", level, keep_alive=keep_alive)
    broker.advance(keep_alive * 1.5 - 0.1)
    assert not client.closed
    broker.advance(2)
    ended(client, 0x8D)


@pytest.mark.statements("v3:MQTT-3.12.4-1", "v5:MQTT-3.12.4-1")
def test_pingreq_is_answered_and_keeps_the_connection(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level, keep_alive=10)
    for _ in range(5):
        broker.advance(14)
        client.send(Pingreq())
        assert client.take() == [Pingresp()]


@pytest.mark.statements("v3:MQTT-3.1.2-24", "v5:MQTT-3.1.2-22")
@pytest.mark.parametrize(
    "packet",
    [Publish(b"t", b""), Publish(b"t", b"", 1, packet_id=1), Subscribe(1, [SubscribeTopic("t")])],
    ids=["QoS 0", "QoS 1", "SUBSCRIBE"],
)
def test_any_packet_keeps_the_connection(broker: MemoryBroker, level: int, packet: Packet) -> None:
    client = broker.connected("c", level, keep_alive=10)
    for _ in range(3):
        broker.advance(14)
        client.send(packet)
    assert not client.closed


def test_what_the_broker_sends_does_not_keep_the_connection(
    broker: MemoryBroker, level: int
) -> None:
    client, publisher = broker.connected("c", level, keep_alive=10), broker.connected("p", level)
    client.subscribe("t")
    for _ in range(20):
        broker.advance(1)
        publisher.publish("t")
    assert client.closed


def test_a_packet_that_never_ends_does_not_keep_the_connection(
    broker: MemoryBroker, level: int
) -> None:
    client = broker.connected("c", level, keep_alive=10)
    for byte in encode(Publish(b"t", b"x" * 100), level)[:17]:
        if client.closed:
            break
        client.send_bytes(bytes((byte,)))
        broker.advance(1)
    assert client.closed


def test_keep_alive_zero_is_no_keep_alive(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level, keep_alive=0)
    broker.advance(1_000_000)
    assert not client.closed


def test_the_multiplier_is_an_option(level: int) -> None:
    broker = MemoryBroker(keepalive_multiplier=2)
    client = broker.connected("c", level, keep_alive=10)
    broker.advance(19)
    assert not client.closed
    broker.advance(2)
    assert client.closed


@pytest.mark.parametrize("old_level", [3, 4])
def test_the_brokers_keep_alive_is_for_clients_that_can_be_told(old_level: int) -> None:
    client = MemoryBroker(server_keepalive=10).connected("c", old_level, keep_alive=60)
    client.broker.advance(80)
    assert not client.closed
    client.broker.advance(12)
    assert client.closed

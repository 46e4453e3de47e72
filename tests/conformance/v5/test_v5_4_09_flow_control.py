"""4.9 Flow Control and 3.3.4 Receive Maximum, in both directions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.unsuback import Unsuback
from mqttd.testing import MemoryBroker, MemoryClient


def flooded(broker: MemoryBroker, count: int, qos: int, **properties: int) -> MemoryClient:
    """A client with these CONNECT properties, for which ``count`` messages are published."""
    client = broker.connected("c", properties=Properties(**properties))
    client.subscribe("t", qos=2)
    publisher = broker.connected("p")
    for number in range(count):
        publisher.publish("t", bytes((number,)), qos)
    return client


@pytest.mark.statements("v5:MQTT-3.3.4-9", "v5:MQTT-4.9.0-1", "v5:MQTT-4.9.0-2")
@pytest.mark.parametrize("maximum", [1, 2, 5])
def test_the_broker_keeps_to_the_clients_receive_maximum(
    broker: MemoryBroker, maximum: int
) -> None:
    client = flooded(broker, 12, 1, receive_maximum=maximum)
    arrived: list[int] = []
    while packets := client.take_all(Publish):
        assert len(packets) <= maximum
        arrived += [packet.payload[0] for packet in packets]
        client.send(*[Puback(packet.packet_id) for packet in packets])
    assert arrived == list(range(12))


@pytest.mark.statements("v5:MQTT-4.9.0-2", "v5:MQTT-3.3.4-9")
def test_one_acknowledgement_frees_one(broker: MemoryBroker) -> None:
    client = flooded(broker, 6, 1, receive_maximum=3)
    first, second, third = client.take_all(Publish)
    client.send(Puback(second.packet_id))
    assert client.take_one(Publish).payload == b"\x03"
    client.send(Puback(first.packet_id), Puback(third.packet_id))
    assert [packet.payload for packet in client.take_all(Publish)] == [b"\x04", b"\x05"]


@pytest.mark.statements("v5:MQTT-4.9.0-2")
def test_qos_2_occupies_its_place_until_pubcomp(broker: MemoryBroker) -> None:
    client = flooded(broker, 2, 2, receive_maximum=1)
    packet_id = client.take_one(Publish).packet_id
    client.send(Pubrec(packet_id))
    client.take_one(Pubrel)
    broker.advance(10)
    assert client.take() == []
    client.send(Pubcomp(packet_id))
    assert client.take_one(Publish).payload == b"\x01"


@pytest.mark.statements("v5:MQTT-3.3.4-9")
def test_a_message_that_is_resent_occupies_a_place(broker: MemoryBroker) -> None:
    client = flooded(broker, 5, 1, receive_maximum=4, session_expiry_interval=3600)
    assert len(client.take_all(Publish)) == 4
    client.drop()
    again = broker.connected(
        "c",
        clean_start=False,
        properties=Properties(receive_maximum=2, session_expiry_interval=3600),
    )
    arrived = []
    while packets := again.take_all(Publish):
        assert len(packets) <= 2
        arrived += [packet.payload[0] for packet in packets]
        again.send(*[Puback(packet.packet_id) for packet in packets])
    assert arrived == list(range(5))


@pytest.mark.statements("v5:MQTT-3.3.4-9")
def test_an_acknowledgement_that_comes_before_the_message_is_resent(
    broker: MemoryBroker,
) -> None:
    client = flooded(broker, 5, 1, receive_maximum=4, session_expiry_interval=3600)
    sent = client.take_all(Publish)
    client.drop()
    again = broker.connected(
        "c",
        clean_start=False,
        properties=Properties(receive_maximum=2, session_expiry_interval=3600),
    )
    assert len(again.take_all(Publish)) == 2
    # It was received over the connection before; this frees nothing of what is under way now.
    again.send(Puback(sent[3].packet_id))
    assert again.take() == []
    again.send(Puback(sent[0].packet_id), Puback(sent[1].packet_id))
    assert [packet.payload for packet in again.take_all(Publish)] == [b"\x02", b"\x04"]


@pytest.mark.statements("v5:MQTT-3.3.4-10", "v5:MQTT-4.9.0-3")
def test_everything_else_goes_on_without_quota(broker: MemoryBroker) -> None:
    client = flooded(broker, 3, 1, receive_maximum=1)
    client.take_one(Publish)
    client.send(Pingreq())
    assert client.take() == [Pingresp()]
    assert isinstance(client.subscribe("u"), Suback)
    assert isinstance(client.unsubscribe("u"), Unsuback)
    packet_id = client.publish("u", b"", 1)
    assert client.take_one(Puback).packet_id == packet_id
    packet_id = client.publish("u", b"", 2)
    client.take_one(Pubrec)
    client.send(Pubrel(packet_id))
    client.take_one(Pubcomp)
    # Messages of QoS 0 need no quota.
    client.subscribe("zero")
    client.publish("zero", b"now")
    assert client.take_one(Publish).payload == b"now"


@pytest.mark.statements("v5:MQTT-4.9.0-1")
def test_the_brokers_own_limit_applies_too() -> None:
    client = flooded(MemoryBroker(max_inflight=4), 10, 1)
    assert len(client.take_all(Publish)) == 4


def test_a_refused_message_frees_its_place(broker: MemoryBroker) -> None:
    client = flooded(broker, 2, 2, receive_maximum=1)
    client.send(Pubrec(client.take_one(Publish).packet_id, 0x87))
    assert client.take_one(Publish).payload == b"\x01"


def receive_maximum(client: MemoryClient) -> int:
    """What the broker announced to this client."""
    assert client.connack is not None
    assert client.connack.properties is not None
    return client.connack.properties.receive_maximum or 65_535


@pytest.mark.statements("v5:MQTT-3.3.4-7")
def test_more_than_the_brokers_receive_maximum(
    ended: Callable[[MemoryClient, int], None],
) -> None:
    client = MemoryBroker(max_inflight=5).connected("c")
    assert receive_maximum(client) == 5
    for packet_id in range(1, 6):
        client.send(Publish(b"t", b"", 2, packet_id=packet_id))
    assert len(client.take_all(Pubrec)) == 5
    client.send(Publish(b"t", b"", 2, packet_id=6))
    ended(client, 0x93)


@pytest.mark.statements("v5:MQTT-3.3.4-7")
@pytest.mark.parametrize("qos", [1, 2])
def test_the_whole_receive_maximum_at_once(broker: MemoryBroker, qos: int) -> None:
    client = broker.connected("c")
    count = receive_maximum(client)
    client.send(*[Publish(b"t", b"", qos, packet_id=number + 1) for number in range(count)])
    assert not client.closed
    assert len(client.take()) == count


@pytest.mark.statements("v5:MQTT-3.3.4-7")
def test_a_resent_message_is_not_counted_twice() -> None:
    client = MemoryBroker(max_inflight=3).connected("c")
    for _ in range(2):
        client.send(*[Publish(b"t", b"", 2, packet_id=number) for number in (1, 2, 3)])
    assert [packet.packet_id for packet in client.take_all(Pubrec)] == [1, 2, 3, 1, 2, 3]


@pytest.mark.statements("v5:MQTT-3.3.4-7")
def test_acknowledged_messages_do_not_count() -> None:
    client = MemoryBroker(max_inflight=5).connected("c")
    for packet_id in range(1, 21):
        client.send(Publish(b"t", b"", 2, packet_id=packet_id), Pubrel(packet_id))
        client.send(Publish(b"t", b"", 1, packet_id=packet_id))
    assert not client.closed
    assert len(client.take()) == 60

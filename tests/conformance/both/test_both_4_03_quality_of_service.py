"""4.3 Quality of Service: both sides of QoS 1 and 2, in all versions."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient


def pair(broker: MemoryBroker, level: int, **fields: Any) -> tuple[MemoryClient, MemoryClient]:
    """A subscriber to everything, and a publisher."""
    subscriber = broker.connected("s", level, **fields)
    subscriber.subscribe("#", qos=2)
    return subscriber, broker.connected("p", level)


@pytest.mark.statements("v3:MQTT-4.3.1-1", "v5:MQTT-4.3.1-1")
def test_qos_0_is_sent_once(broker: MemoryBroker, level: int, lasting: dict[str, Any]) -> None:
    subscriber, publisher = pair(broker, level, **lasting)
    publisher.publish("t", b"x")
    message = subscriber.take_one(Publish)
    assert (message.qos, message.dup, message.packet_id) == (0, False, 0)
    subscriber.drop()
    assert broker.connected("s", level, **lasting).take() == []


@pytest.mark.statements("v3:MQTT-4.3.2-1", "v5:MQTT-4.3.2-2", "v5:MQTT-4.3.2-3")
def test_qos_1_as_sender(broker: MemoryBroker, level: int, lasting: dict[str, Any]) -> None:
    subscriber, publisher = pair(broker, level, **lasting)
    publisher.publish("t", b"x", 1)
    message = subscriber.take_one(Publish)
    assert (message.qos, message.dup) == (1, False)
    # Unacknowledged until PUBACK comes, however often the client comes back.
    for _ in range(2):
        subscriber.drop()
        subscriber = broker.connected("s", level, **lasting)
        again = subscriber.take_one(Publish)
        assert (again.packet_id, again.payload, again.dup) == (message.packet_id, b"x", True)
    subscriber.send(Puback(message.packet_id))
    subscriber.drop()
    assert broker.connected("s", level, **lasting).take() == []


@pytest.mark.statements("v3:MQTT-4.3.2-2", "v5:MQTT-4.3.2-4", "v5:MQTT-4.3.2-5")
def test_qos_1_as_receiver(broker: MemoryBroker, level: int) -> None:
    subscriber, publisher = pair(broker, level)
    for dup in (False, True, False):
        publisher.send(Publish(b"t", b"x", 1, dup=dup, packet_id=5))
        assert publisher.take_one(Puback).packet_id == 5
    # After each PUBACK the same identifier is a new message, whatever DUP says.
    assert len(subscriber.take_all(Publish)) == 3


@pytest.mark.statements(
    "v3:MQTT-4.3.3-1", "v5:MQTT-4.3.3-2", "v5:MQTT-4.3.3-3", "v5:MQTT-4.3.3-4",
    "v5:MQTT-4.3.3-5", "v5:MQTT-4.3.3-6", "v3:MQTT-4.4.0-1", "v5:MQTT-4.4.0-1",
)  # fmt: skip
def test_qos_2_as_sender(broker: MemoryBroker, level: int, lasting: dict[str, Any]) -> None:
    subscriber, publisher = pair(broker, level, **lasting)
    publisher.publish("t", b"x", 2)
    message = subscriber.take_one(Publish)
    assert (message.qos, message.dup) == (2, False)
    # Before PUBREC it is PUBLISH that is sent again,
    subscriber.drop()
    subscriber = broker.connected("s", level, **lasting)
    again = subscriber.take_one(Publish)
    assert (again.packet_id, again.payload, again.dup) == (message.packet_id, b"x", True)
    subscriber.send(Pubrec(message.packet_id))
    assert subscriber.take_one(Pubrel).packet_id == message.packet_id
    # and after it PUBREL, until PUBCOMP comes.
    for _ in range(2):
        subscriber.drop()
        subscriber = broker.connected("s", level, **lasting)
        assert subscriber.take_one(Pubrel).packet_id == message.packet_id
    subscriber.send(Pubcomp(message.packet_id))
    subscriber.drop()
    assert broker.connected("s", level, **lasting).take() == []


@pytest.mark.statements("v5:MQTT-4.3.3-4")
def test_a_second_pubrec_gets_a_second_pubrel(broker: MemoryBroker, level: int) -> None:
    subscriber, publisher = pair(broker, level)
    publisher.publish("t", b"x", 2)
    packet_id = subscriber.take_one(Publish).packet_id
    subscriber.send(Pubrec(packet_id), Pubrec(packet_id))
    assert [packet.packet_id for packet in subscriber.take_all(Pubrel)] == [packet_id] * 2


@pytest.mark.statements(
    "v3:MQTT-4.3.3-2", "v5:MQTT-4.3.3-8", "v5:MQTT-4.3.3-10", "v5:MQTT-4.3.3-11",
    "v5:MQTT-4.3.3-12",
)  # fmt: skip
def test_qos_2_as_receiver(broker: MemoryBroker, level: int) -> None:
    subscriber, publisher = pair(broker, level)
    for _ in range(2):
        for dup in (False, True, True):
            publisher.send(Publish(b"t", b"x", 2, dup=dup, packet_id=5))
            assert publisher.take_one(Pubrec).packet_id == 5
        assert len(subscriber.take_all(Publish)) == 1
        publisher.send(Pubrel(5), Pubrel(5))
        assert [packet.packet_id for packet in publisher.take_all(Pubcomp)] == [5, 5]
        # After PUBCOMP the identifier stands for a new message.
    publisher.send(Publish(b"t", b"y", 2, dup=True, packet_id=5))
    assert subscriber.take_one(Publish).payload == b"y"


@pytest.mark.statements("v5:MQTT-4.3.3-10", "v3:MQTT-4.3.3-2")
def test_qos_2_is_delivered_once_across_connections(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    subscriber = broker.connected("s", level)
    subscriber.subscribe("t")
    publisher = broker.connected("p", level, **lasting)
    publisher.send(Publish(b"t", b"x", 2, packet_id=5))
    publisher.drop()
    publisher = broker.connected("p", level, **lasting)
    publisher.send(Publish(b"t", b"x", 2, dup=True, packet_id=5))
    assert publisher.take_one(Pubrec).packet_id == 5
    publisher.drop()
    publisher = broker.connected("p", level, **lasting)
    publisher.send(Pubrel(5))
    assert publisher.take_one(Pubcomp).packet_id == 5
    assert len(subscriber.take_all(Publish)) == 1


@pytest.mark.statements("v3:MQTT-4.3.3-2", "v5:MQTT-4.3.3-12")
def test_a_clean_start_forgets_unreleased_identifiers(broker: MemoryBroker, level: int) -> None:
    subscriber = broker.connected("s", level)
    subscriber.subscribe("t")
    for _ in range(2):
        publisher = broker.connected("p", level, clean_start=True)
        publisher.send(Publish(b"t", b"x", 2, packet_id=5))
    assert len(subscriber.take_all(Publish)) == 2


@pytest.mark.statements("v3:MQTT-4.4.0-1", "v5:MQTT-4.4.0-1", "v3:MQTT-3.3.1-1", "v5:MQTT-3.3.1-1")
def test_resent_in_order_with_the_same_identifiers(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    subscriber, publisher = pair(broker, level, **lasting)
    for number in range(10):
        publisher.publish("t", bytes((number,)), 1 + number % 2)
    sent = subscriber.take_all(Publish)
    subscriber.send(Puback(sent[2].packet_id), Pubrec(sent[5].packet_id))
    subscriber.drop()
    again = broker.connected("s", level, **lasting).take()
    expected = [packet.packet_id for packet in sent if packet not in (sent[2], sent[5])]
    resent = [packet for packet in again if isinstance(packet, Publish)]
    assert [packet.packet_id for packet in resent] == expected
    assert all(packet.dup for packet in resent)
    released = [packet for packet in again if isinstance(packet, Pubrel)]
    assert [packet.packet_id for packet in released] == [sent[5].packet_id]


@pytest.mark.statements("v5:MQTT-4.4.0-1")
def test_nothing_is_resent_while_the_connection_lasts(broker: MemoryBroker, level: int) -> None:
    subscriber, publisher = pair(broker, level)
    publisher.publish("t", b"x", 1)
    publisher.publish("t", b"y", 2)
    _, message = subscriber.take_all(Publish)
    subscriber.send(Pubrec(message.packet_id))
    subscriber.take_one(Pubrel)
    broker.advance(100_000)
    assert subscriber.take() == []


@pytest.mark.statements("v5:MQTT-4.4.0-1")
def test_a_clean_start_resends_nothing(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    subscriber, publisher = pair(broker, level, **lasting)
    publisher.publish("t", b"x", 1)
    subscriber.drop()
    assert broker.connected("s", level, clean_start=True).take() == []


def test_acknowledgements_of_another_kind_change_nothing(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    subscriber, publisher = pair(broker, level, **lasting)
    publisher.publish("t", b"x", 2)
    packet_id = subscriber.take_one(Publish).packet_id
    subscriber.send(Puback(packet_id))
    subscriber.send(Pubcomp(packet_id)) if not subscriber.closed else None
    if not subscriber.closed:
        subscriber.drop()
    again = broker.connected("s", level, **lasting).take_one(Publish)
    assert (again.packet_id, again.payload) == (packet_id, b"x")


def test_qos_2_messages_waiting_for_pubrel_are_limited() -> None:
    broker = MemoryBroker(max_awaiting_rel=3)
    old = broker.connected("old", 4)
    watching = broker.connected("w", 4)
    watching.subscribe("t")
    for packet_id in range(1, 6):
        if not old.closed:
            old.send(Publish(b"t", b"x", 2, packet_id=packet_id))
    # Three are taken; the others are refused without being delivered.
    assert len(watching.take_all(Publish)) == 3


@pytest.mark.parametrize("level", [4, 5])
def test_an_identifier_never_released_is_forgotten(level: int) -> None:
    broker = MemoryBroker(await_rel_timeout=300)
    watching, client = broker.connected("w", level), broker.connected("c", level)
    watching.subscribe("t")
    client.send(Publish(b"t", b"x", 2, packet_id=5))
    broker.advance(290)
    client.send(Publish(b"t", b"x", 2, dup=True, packet_id=5))
    assert len(watching.take_all(Publish)) == 1
    broker.advance(20)
    client.send(Publish(b"t", b"y", 2, packet_id=5))
    assert len(watching.take_all(Publish)) == 1

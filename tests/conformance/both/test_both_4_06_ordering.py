"""4.5 and 4.6 Receipt, delivery and ordering, in all versions."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker


@pytest.mark.statements("v3:MQTT-4.5.0-1", "v5:MQTT-4.5.0-1")
def test_a_message_goes_to_every_matching_session(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    here = broker.connected("here", level)
    here.subscribe("t/+", qos=1)
    away = broker.connected("away", level, **lasting)
    away.subscribe("t/#", qos=1)
    away.drop()
    other = broker.connected("other", level)
    other.subscribe("u", qos=1)
    broker.connected("p", level).publish("t/1", b"x", 1)
    assert here.take_one(Publish).payload == b"x"
    assert other.take() == []
    assert broker.connected("away", level, **lasting).take_one(Publish).payload == b"x"


@pytest.mark.statements("v3:MQTT-4.6.0-5", "v3:MQTT-4.6.0-6", "v5:MQTT-4.6.0-5", "v5:MQTT-4.6.0-6")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_of_one_client_stay_in_order(broker: MemoryBroker, level: int, qos: int) -> None:
    client, publisher = broker.connected("c", level), broker.connected("p", level)
    client.subscribe("t", qos=qos)
    for start in range(0, 80, 20):
        numbers = range(start, start + 20)
        identifiers = [number + 1 if qos else 0 for number in numbers]
        publisher.send(
            *[
                Publish(b"t", bytes((number,)), qos, packet_id=packet_id)
                for number, packet_id in zip(numbers, identifiers, strict=True)
            ]
        )
        if qos == 2:
            publisher.send(*[Pubrel(packet_id) for packet_id in identifiers])
    publisher.take()
    arrived: list[bytes] = []
    while new := client.take():
        for packet in new:
            if isinstance(packet, Publish):
                arrived.append(packet.payload)
                if qos:
                    answer = Puback if qos == 1 else Pubrec
                    client.send(answer(packet.packet_id))
            elif isinstance(packet, Pubrel):
                client.send(Pubcomp(packet.packet_id))
    assert arrived == [bytes((number,)) for number in range(80)]


@pytest.mark.statements("v3:MQTT-4.6.0-6", "v5:MQTT-4.6.0-5", "v3:MQTT-4.6.0-1", "v5:MQTT-4.6.0-1")
def test_order_is_kept_over_connections(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    client, publisher = broker.connected("c", level, **lasting), broker.connected("p", level)
    client.subscribe("t", qos=1)
    for number in range(3):
        publisher.publish("t", bytes((number,)), 1)
    client.drop()
    for number in range(3, 6):
        publisher.publish("t", bytes((number,)), 1)
    client = broker.connected("c", level, **lasting)
    publisher.publish("t", b"\x06", 1)
    payloads = [packet.payload for packet in client.take_all(Publish)]
    assert payloads == [bytes((number,)) for number in range(7)]


@pytest.mark.statements("v3:MQTT-4.6.0-2", "v5:MQTT-4.6.0-2", "v3:MQTT-4.6.0-3", "v5:MQTT-4.6.0-3")
def test_acknowledgements_are_in_the_order_of_the_messages(
    broker: MemoryBroker, level: int
) -> None:
    client = broker.connected("c", level)
    identifiers = [9, 3, 7, 1, 8]
    # Some have subscribers and some have none, some are retained: the order is the same.
    broker.connected("s", level, clean_start=False).subscribe("kept/#", qos=2)
    topics = [b"kept/1", b"none", b"kept/2", b"none", b"kept/1"]
    client.send(
        *[
            Publish(topic, b"x", 1, retain=packet_id > 7, packet_id=packet_id)
            for topic, packet_id in zip(topics, identifiers, strict=True)
        ]
    )
    assert [packet.packet_id for packet in client.take_all(Puback)] == identifiers
    client.send(
        *[
            Publish(topic, b"x", 2, packet_id=packet_id)
            for topic, packet_id in zip(topics, identifiers, strict=True)
        ]
    )
    assert [packet.packet_id for packet in client.take_all(Pubrec)] == identifiers


@pytest.mark.statements("v3:MQTT-4.6.0-4", "v5:MQTT-4.6.0-4")
def test_pubrel_is_sent_in_the_order_of_pubrec(broker: MemoryBroker, level: int) -> None:
    client, publisher = broker.connected("c", level), broker.connected("p", level)
    client.subscribe("t", qos=2)
    for _ in range(4):
        publisher.publish("t", b"x", 2)
    a, b, c, d = [packet.packet_id for packet in client.take_all(Publish)]
    client.send(Pubrec(c), Pubrec(a))
    client.send(Pubrec(d), Pubrec(b))
    assert [packet.packet_id for packet in client.take_all(Pubrel)] == [c, a, d, b]


@pytest.mark.statements("v5:MQTT-4.6.0-2", "v3:MQTT-4.6.0-2")
def test_answers_of_all_kinds_are_in_order(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.send(
        Publish(b"t", b"x", 2, packet_id=1),
        Publish(b"t", b"x", 1, packet_id=2),
        Pubrel(1),
        Publish(b"t", b"x", 1, packet_id=3),
    )
    answers = [
        (type(packet).__name__, getattr(packet, "packet_id", 0)) for packet in client.take()
    ]
    assert [answer for answer in answers if answer[0] == "Puback"] == [
        ("Puback", 2),
        ("Puback", 3),
    ]
    assert answers.index(("Pubrec", 1)) < answers.index(("Pubcomp", 1))


def test_messages_that_wait_are_limited(level: int, lasting: dict[str, Any]) -> None:
    for policy, expected in (("oldest", [3, 4, 5]), ("newest", [1, 2, 3])):
        broker = MemoryBroker(max_mqueue_len=3, mqueue_drop_policy=policy)
        client = broker.connected("c", level, **lasting)
        client.subscribe("t", qos=1)
        client.drop()
        publisher = broker.connected("p", level)
        for number in range(1, 6):
            publisher.publish("t", bytes((number,)), 1)
        client = broker.connected("c", level, **lasting)
        assert [packet.payload[0] for packet in client.take_all(Publish)] == expected


@pytest.mark.parametrize(("store", "count"), [(True, 1), (False, 0)])
def test_qos_0_for_a_client_that_is_away(
    level: int, lasting: dict[str, Any], store: bool, count: int
) -> None:
    broker = MemoryBroker(mqueue_store_qos0=store)
    client = broker.connected("c", level, **lasting)
    client.subscribe("t", qos=1)
    client.drop()
    broker.connected("p", level).publish("t", b"x", 0)
    assert len(broker.connected("c", level, **lasting).take_all(Publish)) == count


def test_a_slow_reader_holds_nobody_up(broker: MemoryBroker, level: int) -> None:
    slow, fast = broker.connected("slow", level), broker.connected("fast", level)
    publisher = broker.connected("p", level)
    slow.subscribe("t", qos=1)
    fast.subscribe("t", qos=1)
    slow.writable = False
    for number in range(30):
        publisher.publish("t", bytes((number,)), number % 2)
    assert len(fast.take_all(Publish)) == 30
    assert len(slow.outlet.sent) == 0
    slow.writable = True
    arrived = [packet for packet in slow.take() if isinstance(packet, Publish)]
    # QoS 1 is kept for it; QoS 0 need not be.
    assert [packet.payload[0] for packet in arrived if packet.qos == 1] == list(range(1, 30, 2))

"""3.3 PUBLISH: flags, topics and delivery, in all versions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient


@pytest.mark.statements("v3:MQTT-3.3.1-2", "v5:MQTT-3.3.1-2", "v3:MQTT-4.3.1-1", "v5:MQTT-4.3.1-1")
def test_a_qos_0_message_is_never_a_duplicate(
    broker: MemoryBroker, level: int, ended: Callable[[MemoryClient, int], None]
) -> None:
    subscriber, client = broker.connected("s", level), broker.connected("c", level)
    subscriber.subscribe("#")
    client.publish("t", b"once", qos=0)
    client.publish("t", b"twice", qos=1, dup=True)
    assert [packet.dup for packet in subscriber.take_all(Publish)] == [False, False]
    client.take()
    body = b"\x00\x01t\x00" if level == 5 else b"\x00\x01t"
    client.send_bytes(bytes((0x38, len(body))) + body)
    ended(client, 0x81)


@pytest.mark.statements("v3:MQTT-3.3.1-3", "v5:MQTT-3.3.1-3", "v5:MQTT-4.3.2-2", "v5:MQTT-4.3.3-2")
@pytest.mark.parametrize("qos", [1, 2])
def test_dup_is_not_propagated(broker: MemoryBroker, level: int, qos: int) -> None:
    subscriber, publisher = broker.connected("s", level), broker.connected("p", level)
    subscriber.subscribe("t", qos=2)
    publisher.publish("t", qos=qos, dup=True)
    message = subscriber.take_one(Publish)
    assert (message.qos, message.dup) == (qos, False)


@pytest.mark.statements("v3:MQTT-3.3.1-4", "v5:MQTT-3.3.1-4", "v3:MQTT-4.8.0-1")
@pytest.mark.parametrize("first", [0x36, 0x37, 0x3E, 0x3F])
def test_both_qos_bits(
    broker: MemoryBroker,
    level: int,
    first: int,
    ended: Callable[[MemoryClient, int], None],
) -> None:
    client = broker.connected("c", level)
    client.send_bytes(bytes((first, 6)) + b"\x00\x01t\x00\x01\x00")
    ended(client, 0x81)


@pytest.mark.statements("v3:MQTT-3.3.1-5", "v3:MQTT-3.3.1-6", "v5:MQTT-3.3.1-5", "v3:MQTT-3.3.1-8")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_last_retained_message_is_kept(broker: MemoryBroker, level: int, qos: int) -> None:
    publisher = broker.connected("p", level)
    publisher.publish("t/a", b"old", qos=2, retain=True)
    publisher.publish("t/a", b"new", qos=qos, retain=True)
    publisher.publish("t/b", b"other", qos=1, retain=True)
    late = broker.connected("late", level)
    late.subscribe("t/#", qos=2)
    messages = sorted(late.take_all(Publish), key=lambda packet: packet.topic)
    assert [(packet.topic, packet.payload, packet.qos) for packet in messages] == [
        (b"t/a", b"new", qos),
        (b"t/b", b"other", 1),
    ]
    assert all(packet.retain and not packet.dup for packet in messages)


@pytest.mark.statements("v3:MQTT-3.3.1-7")
def test_a_qos_0_message_replaces_what_was_retained(broker: MemoryBroker, level: int) -> None:
    publisher = broker.connected("p", level)
    publisher.publish("t", b"old", qos=2, retain=True)
    publisher.publish("t", b"new", qos=0, retain=True)
    late = broker.connected("late", level)
    late.subscribe("t", qos=2)
    assert all(packet.payload != b"old" for packet in late.take_all(Publish))


@pytest.mark.statements("v3:MQTT-3.3.1-8", "v3:MQTT-3.3.1-9", "v5:MQTT-3.3.1-12")
def test_the_retain_flag_tells_old_from_new(broker: MemoryBroker, level: int) -> None:
    publisher = broker.connected("p", level)
    publisher.publish("t", b"old", retain=True)
    client = broker.connected("c", level)
    client.subscribe("t")
    publisher.publish("t", b"new", retain=True)
    publisher.publish("t", b"plain")
    assert [(packet.payload, packet.retain) for packet in client.take_all(Publish)] == [
        (b"old", True),
        (b"new", False),
        (b"plain", False),
    ]


@pytest.mark.statements(
    "v3:MQTT-3.3.1-10", "v3:MQTT-3.3.1-11", "v5:MQTT-3.3.1-6", "v5:MQTT-3.3.1-7"
)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_empty_retained_message_removes(broker: MemoryBroker, level: int, qos: int) -> None:
    publisher, client = broker.connected("p", level), broker.connected("c", level)
    client.subscribe("t", qos=2)
    publisher.publish("t", b"old", retain=True)
    publisher.publish("t", b"", qos=qos, retain=True)
    # Processed as any other message for those who are there,
    assert [(packet.payload, packet.retain) for packet in client.take_all(Publish)] == [
        (b"old", False),
        (b"", False),
    ]
    # and neither kept nor sent to those who come.
    late = broker.connected("late", level)
    late.subscribe("t", "#")
    assert late.take() == []


@pytest.mark.statements("v3:MQTT-3.3.1-12", "v5:MQTT-3.3.1-8")
@pytest.mark.parametrize("payload", [b"plain", b""])
def test_a_message_without_retain_changes_nothing(
    broker: MemoryBroker, level: int, payload: bytes
) -> None:
    publisher = broker.connected("p", level)
    publisher.publish("other", payload)
    publisher.publish("t", b"kept", retain=True)
    publisher.publish("t", payload)
    late = broker.connected("late", level)
    late.subscribe("#")
    assert late.take_one(Publish).payload == b"kept"


@pytest.mark.statements("v3:MQTT-3.3.2-2", "v5:MQTT-3.3.2-2", "v3:MQTT-4.7.1-1", "v5:MQTT-4.7.0-1")
@pytest.mark.parametrize("topic", ["#", "+", "a/#", "a/+/b", "a+", "a#b", "/+"])
def test_no_wildcards_in_a_topic_name(
    broker: MemoryBroker, level: int, topic: str, ended: Callable[[MemoryClient, int], None]
) -> None:
    watching, client = broker.connected("w", level), broker.connected("c", level)
    watching.subscribe("#")
    client.publish(topic)
    ended(client, 0x90)
    assert watching.take() == []


@pytest.mark.statements("v3:MQTT-4.7.3-1", "v5:MQTT-4.7.3-1")
@pytest.mark.parametrize("qos", [0, 1])
def test_an_empty_topic_name(broker: MemoryBroker, level: int, qos: int) -> None:
    client = broker.connected("c", level)
    client.publish("", qos=qos)
    assert client.closed
    if level == 5:
        assert client.take_one(Disconnect).reason_code in (0x82, 0x90)
    else:
        assert client.take() == []


@pytest.mark.statements("v3:MQTT-3.3.2-1", "v5:MQTT-3.3.2-1")
@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x05abc"])
def test_a_publish_without_a_whole_topic_name(
    broker: MemoryBroker, level: int, body: bytes, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c", level)
    client.send_bytes(bytes((0x30, len(body))) + body)
    ended(client, 0x81)


@pytest.mark.statements("v3:MQTT-3.3.2-3", "v5:MQTT-3.3.2-3")
def test_only_matching_messages_are_sent(broker: MemoryBroker, level: int) -> None:
    client, publisher = broker.connected("c", level), broker.connected("p", level)
    client.subscribe("a/+", "b")
    for topic in ("a", "a/x", "a/x/y", "b", "b/x", "c"):
        publisher.publish(topic)
    assert [packet.topic for packet in client.take_all(Publish)] == [b"a/x", b"b"]


@pytest.mark.statements("v3:MQTT-3.3.4-1", "v5:MQTT-3.3.4-1", "v5:MQTT-4.3.2-4", "v5:MQTT-4.3.3-8")
def test_the_answer_depends_on_the_qos(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.publish("t", qos=0)
    assert client.take() == []
    packet_id = client.publish("t", qos=1)
    assert client.take_one(Puback).packet_id == packet_id
    packet_id = client.publish("t", qos=2)
    assert client.take_one(Pubrec).packet_id == packet_id
    client.send(Pubrel(packet_id))
    assert client.take_one(Pubcomp).packet_id == packet_id


@pytest.mark.statements("v3:MQTT-3.3.5-1", "v5:MQTT-3.3.4-2")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_overlapping_subscriptions_give_the_best_qos(
    broker: MemoryBroker, level: int, qos: int
) -> None:
    client, publisher = broker.connected("c", level), broker.connected("p", level)
    client.subscribe("a/#", qos=0)
    client.subscribe("a/+", qos=2)
    client.subscribe("a/b", qos=1)
    publisher.publish("a/b", qos=qos)
    assert max(packet.qos for packet in client.take_all(Publish)) == qos


def test_payloads_pass_unchanged(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.subscribe("t")
    for payload in (b"", b"\x00", bytes(range(256)), b"x" * 100_000):
        client.publish("t", payload)
        assert client.take_one(Publish).payload == payload


def test_a_publisher_gets_its_own_messages(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.subscribe("t")
    client.publish("t", b"mine")
    assert client.take_one(Publish).payload == b"mine"


def test_versions_understand_each_other(broker: MemoryBroker) -> None:
    clients = {level: broker.connected(f"c{level}", level) for level in (3, 4, 5)}
    for client in clients.values():
        client.subscribe("t", qos=2)
    for level, client in clients.items():
        client.publish("t", bytes((level,)), qos=1)
    for client in clients.values():
        arrived = [packet for packet in client.take() if isinstance(packet, Publish)]
        assert [(packet.payload, packet.qos) for packet in arrived] == [
            (b"\x03", 1),
            (b"\x04", 1),
            (b"\x05", 1),
        ]

"""3.3 PUBLISH: its MQTT 5 properties, and overlapping subscriptions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.acks import Puback, Pubrec
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient


def properties_of(packet: Publish) -> Properties:
    return packet.properties or Properties()


@pytest.mark.statements("v5:MQTT-3.3.2-4")
@pytest.mark.parametrize("indicator", [None, 0, 1])
def test_the_payload_format_indicator_is_passed_on(
    broker: MemoryBroker, indicator: int | None
) -> None:
    client = broker.connected("c")
    client.subscribe("t")
    properties = (
        Properties() if indicator is None else Properties(payload_format_indicator=indicator)
    )
    client.publish("t", "é".encode(), properties=properties)
    assert properties_of(client.take_one(Publish)).payload_format_indicator == indicator


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_payload_that_is_not_what_its_format_says(broker: MemoryBroker, qos: int) -> None:
    watching, client = broker.connected("w"), broker.connected("c")
    watching.subscribe("t")
    client.publish("t", b"\xc3\x28", qos, properties=Properties(payload_format_indicator=1))
    answers = client.take()
    if qos and not client.closed:
        assert [getattr(packet, "reason_code", 0) for packet in answers] == [0x99]
        assert isinstance(answers[0], Puback if qos == 1 else Pubrec)
    else:
        assert [getattr(packet, "reason_code", 0) for packet in answers] == [0x99]
        assert isinstance(answers[0], Disconnect)
    assert watching.take() == []


@pytest.mark.statements("v5:MQTT-3.3.2-6")
def test_the_expiry_interval_is_counted_down(broker: MemoryBroker) -> None:
    keep = Properties(session_expiry_interval=3600)
    client = broker.connected("c", properties=keep)
    client.subscribe("t", qos=1)
    publisher = broker.connected("p")
    publisher.publish("t", qos=1, properties=Properties(message_expiry_interval=100))
    assert properties_of(client.take_one(Publish)).message_expiry_interval == 100
    client.drop()
    publisher.publish("t", b"later", qos=1, properties=Properties(message_expiry_interval=100))
    broker.advance(30)
    again = broker.connected("c", clean_start=False, properties=keep)
    intervals = [
        properties_of(packet).message_expiry_interval for packet in again.take_all(Publish)
    ]
    assert intervals[-1] == 70


@pytest.mark.statements("v5:MQTT-3.3.2-6")
def test_the_expiry_interval_of_a_retained_message_is_counted_down(broker: MemoryBroker) -> None:
    broker.connected("p").publish(
        "t", b"x", retain=True, properties=Properties(message_expiry_interval=100)
    )
    broker.advance(40)
    client = broker.connected("c")
    client.subscribe("t")
    assert properties_of(client.take_one(Publish)).message_expiry_interval == 60


@pytest.mark.statements("v5:MQTT-3.3.2-5")
def test_an_expired_message_is_deleted(broker: MemoryBroker) -> None:
    keep = Properties(session_expiry_interval=3600)
    client = broker.connected("c", properties=keep)
    client.subscribe("t", "kept", qos=1)
    client.drop()
    publisher = broker.connected("p")
    publisher.publish("t", b"short", qos=1, properties=Properties(message_expiry_interval=10))
    publisher.publish("t", b"long", qos=1, properties=Properties(message_expiry_interval=100))
    publisher.publish(
        "kept", b"short", retain=True, properties=Properties(message_expiry_interval=10)
    )
    broker.advance(12)
    again = broker.connected("c", clean_start=False, properties=keep)
    assert [packet.payload for packet in again.take_all(Publish)] == [b"long"]
    late = broker.connected("late")
    late.subscribe("kept")
    assert late.take() == []


@pytest.mark.statements("v5:MQTT-3.3.2-5")
def test_a_message_that_waits_for_a_slow_reader_expires(broker: MemoryBroker) -> None:
    client = broker.connected("c", properties=Properties(receive_maximum=1))
    client.subscribe("t", qos=1)
    publisher = broker.connected("p")
    for payload, interval in ((b"1", 5), (b"2", 5), (b"3", 100)):
        publisher.publish("t", payload, 1, properties=Properties(message_expiry_interval=interval))
    first = client.take_one(Publish)
    broker.advance(10)
    client.send(Puback(first.packet_id))
    assert client.take_one(Publish).payload == b"3"


def test_the_brokers_own_limit_on_the_expiry_interval() -> None:
    broker = MemoryBroker(message_expiry_interval=50)
    publisher = broker.connected("p")
    publisher.publish("a", b"x", retain=True)
    publisher.publish("b", b"x", retain=True, properties=Properties(message_expiry_interval=10))
    broker.advance(20)
    client = broker.connected("c")
    client.subscribe("#")
    assert client.take_one(Publish).topic == b"a"
    broker.advance(31)
    late = broker.connected("late")
    late.subscribe("#")
    assert late.take() == []


@pytest.mark.statements(
    "v5:MQTT-3.3.2-15", "v5:MQTT-3.3.2-16", "v5:MQTT-3.3.2-17", "v5:MQTT-3.3.2-18",
    "v5:MQTT-3.3.2-20", "v5:MQTT-3.3.2-4",
)  # fmt: skip
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_are_passed_on_unaltered(broker: MemoryBroker, qos: int) -> None:
    sent = Properties(
        payload_format_indicator=1,
        content_type="application/json; é",
        response_topic="answers/é",
        correlation_data=bytes(range(256)),
        user_properties=(("b", "2"), ("a", "1"), ("b", "2"), ("", ""), ("c", "x" * 1000)),
    )
    client = broker.connected("c")
    client.subscribe("t", qos=2)
    client.publish("t", b"{}", qos, retain=True, properties=sent)
    arrived = next(packet for packet in client.take() if isinstance(packet, Publish))
    assert arrived.properties == sent
    late = broker.connected("late")
    late.subscribe("t")
    assert late.take_one(Publish).properties == sent


def test_properties_are_left_out_for_older_versions(broker: MemoryBroker) -> None:
    old = broker.connected("old", 4)
    old.subscribe("t")
    broker.connected("p").publish("t", b"x", properties=Properties(content_type="text/plain"))
    assert old.take_bytes() == b"\x30\x04\x00\x01tx"


@pytest.mark.statements("v5:MQTT-3.3.2-14")
@pytest.mark.parametrize("topic", ["#", "a/+", "a#"])
def test_no_wildcards_in_a_response_topic(broker: MemoryBroker, topic: str) -> None:
    watching, client = broker.connected("w"), broker.connected("c")
    watching.subscribe("t")
    client.publish("t", properties=Properties(response_topic=topic))
    assert client.closed
    assert client.take_one(Disconnect).reason_code in (0x82, 0x90)
    assert watching.take() == []


@pytest.mark.statements("v5:MQTT-3.3.2-12")
@pytest.mark.parametrize("alias", [1, 2, 10])
def test_topic_aliases_up_to_the_maximum(alias: int) -> None:
    broker = MemoryBroker(max_topic_alias=10)
    watching, client = broker.connected("w"), broker.connected("c")
    watching.subscribe("#")
    client.publish("a", b"1", properties=Properties(topic_alias=alias))
    client.publish("", b"2", properties=Properties(topic_alias=alias))
    client.publish("b", b"3", properties=Properties(topic_alias=alias))
    client.publish("", b"4", qos=1, properties=Properties(topic_alias=alias))
    arrived = watching.take_all(Publish)
    assert [(packet.topic, packet.payload) for packet in arrived] == [
        (b"a", b"1"),
        (b"a", b"2"),
        (b"b", b"3"),
        (b"b", b"4"),
    ]
    assert all(properties_of(packet).topic_alias is None for packet in arrived)


@pytest.mark.statements("v5:MQTT-3.3.2-8")
def test_topic_alias_zero(
    broker: MemoryBroker, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c")
    data = encode(Publish(b"t", b"", properties=Properties(topic_alias=0x5858)), 5)
    client.send_bytes(data.replace(b"XX", b"\x00\x00"))
    ended(client, 0x94)


@pytest.mark.statements("v5:MQTT-3.3.2-7")
def test_a_topic_alias_ends_with_the_connection(broker: MemoryBroker) -> None:
    keep = Properties(session_expiry_interval=3600)
    first = broker.connected("c", properties=keep)
    first.publish("t", properties=Properties(topic_alias=1))
    first.drop()
    second = broker.connected("c", clean_start=False, properties=keep)
    second.publish("", properties=Properties(topic_alias=1))
    assert second.take_one(Disconnect).reason_code in (0x82, 0x94)
    assert second.closed


def test_an_alias_of_one_client_is_not_anothers(broker: MemoryBroker) -> None:
    broker.connected("a").publish("t", properties=Properties(topic_alias=1))
    other = broker.connected("b")
    other.publish("", properties=Properties(topic_alias=1))
    assert other.closed


@pytest.mark.statements("v5:MQTT-3.1.2-26", "v5:MQTT-3.3.2-11")
def test_the_broker_keeps_to_the_clients_topic_alias_maximum(broker: MemoryBroker) -> None:
    client = broker.connected("c", properties=Properties(topic_alias_maximum=3))
    client.subscribe("#")
    names: dict[int, bytes] = {}
    for _ in range(2):
        for number in range(6):
            client.publish(f"t/{number}")
            packet = client.take_one(Publish)
            alias = properties_of(packet).topic_alias
            if alias is not None:
                assert 1 <= alias <= 3
                if packet.topic:
                    names[alias] = packet.topic
                assert names[alias] == f"t/{number}".encode()
            else:
                assert packet.topic == f"t/{number}".encode()


@pytest.mark.statements("v5:MQTT-3.1.2-27")
@pytest.mark.parametrize("properties", [None, Properties(topic_alias_maximum=0)])
def test_no_topic_alias_for_a_client_that_takes_none(
    broker: MemoryBroker, properties: Properties | None
) -> None:
    client = broker.connected("c", properties=properties)
    client.subscribe("t")
    for _ in range(3):
        client.publish("t")
        packet = client.take_one(Publish)
        assert packet.topic == b"t"
        assert properties_of(packet).topic_alias is None


@pytest.mark.statements("v5:MQTT-3.3.2-7", "v5:MQTT-4.4.0-1")
def test_a_resent_message_does_not_rely_on_an_alias(broker: MemoryBroker) -> None:
    properties = Properties(session_expiry_interval=3600, topic_alias_maximum=5)
    client = broker.connected("c", properties=properties)
    client.subscribe("t", qos=1)
    publisher = broker.connected("p")
    publisher.publish("t", qos=1)
    publisher.publish("t", qos=1)
    assert len(client.take_all(Publish)) == 2
    client.drop()
    again = broker.connected("c", clean_start=False, properties=properties)
    names: dict[int | None, bytes] = {}
    for packet in again.take_all(Publish):
        alias = properties_of(packet).topic_alias
        if packet.topic:
            names[alias] = packet.topic
        assert names[alias] == b"t"


@pytest.mark.statements("v5:MQTT-3.3.4-6")
def test_a_subscription_identifier_from_a_client(
    broker: MemoryBroker, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c")
    client.publish("t", properties=Properties(subscription_identifiers=(1,)))
    ended(client, 0x82)


@pytest.mark.statements("v5:MQTT-3.3.4-3", "v5:MQTT-3.3.4-4", "v5:MQTT-3.3.4-5")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_identifiers_of_overlapping_subscriptions(broker: MemoryBroker, qos: int) -> None:
    client, publisher = broker.connected("c"), broker.connected("p")
    client.subscribe("a/#", qos=2, properties=Properties(subscription_identifiers=(1,)))
    client.subscribe("a/+", qos=2, properties=Properties(subscription_identifiers=(268_435_455,)))
    client.subscribe("a/b", qos=2)
    client.subscribe("z", qos=2, properties=Properties(subscription_identifiers=(7,)))
    publisher.publish("a/b", qos=qos)
    packets = client.take_all(Publish)
    identifiers = [properties_of(packet).subscription_identifiers for packet in packets]
    if len(packets) == 1:
        assert sorted(identifiers[0]) == [1, 268_435_455]
    else:
        assert sorted(identifiers) == [(), (1,), (268_435_455,)]
    publisher.publish("z")
    assert properties_of(client.take_one(Publish)).subscription_identifiers == (7,)
    publisher.publish("a/b/c")
    assert properties_of(client.take_one(Publish)).subscription_identifiers == (1,)


@pytest.mark.statements("v5:MQTT-3.3.4-3")
def test_a_retained_message_has_the_identifier_of_its_subscription(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.publish("t", b"x", retain=True)
    client.subscribe("t", properties=Properties(subscription_identifiers=(9,)))
    assert properties_of(client.take_one(Publish)).subscription_identifiers == (9,)


@pytest.mark.statements("v5:MQTT-3.8.4-3")
def test_a_new_subscribe_replaces_the_identifier(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.subscribe("t", properties=Properties(subscription_identifiers=(9,)))
    client.subscribe("t", properties=Properties(subscription_identifiers=(8,)))
    client.publish("t")
    assert properties_of(client.take_one(Publish)).subscription_identifiers == (8,)
    client.subscribe("t")
    client.publish("t")
    assert properties_of(client.take_one(Publish)).subscription_identifiers == ()


@pytest.mark.statements("v5:MQTT-3.3.1-13", "v5:MQTT-3.3.1-12")
@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.parametrize("retain", [False, True])
def test_retain_as_published(broker: MemoryBroker, as_published: bool, retain: bool) -> None:
    client = broker.connected("c")
    client.subscribe("t", retain_as_published=as_published)
    client.publish("t", b"x", retain=retain)
    assert client.take_one(Publish).retain is (as_published and retain)


@pytest.mark.statements("v5:MQTT-3.3.1-9", "v5:MQTT-3.3.1-10", "v5:MQTT-3.3.1-11")
@pytest.mark.parametrize(("handling", "sent"), [(0, [1, 1]), (1, [1, 0]), (2, [0, 0])])
@pytest.mark.parametrize("as_published", [False, True])
def test_retain_handling(
    broker: MemoryBroker, handling: int, sent: list[int], as_published: bool
) -> None:
    publisher = broker.connected("p")
    publisher.publish("t", b"x", retain=True)
    client = broker.connected("c")
    counts = []
    for _ in range(2):
        client.subscribe("t", retain_handling=handling, retain_as_published=as_published)
        arrived = client.take_all(Publish)
        counts.append(len(arrived))
        assert all(packet.retain for packet in arrived)
    assert counts == sent
    client.unsubscribe("t")
    client.subscribe("t", retain_handling=handling)
    assert len(client.take_all(Publish)) == sent[0]


@pytest.mark.parametrize(("qos", "kind"), [(1, Puback), (2, Pubrec)])
def test_no_matching_subscribers(
    broker: MemoryBroker, qos: int, kind: type[Puback] | type[Pubrec]
) -> None:
    client, other = broker.connected("c"), broker.connected("o")
    client.publish("nobody", qos=qos)
    assert client.take_one(kind).reason_code == 0x10
    other.subscribe("somebody")
    client.publish("somebody", qos=qos)
    assert client.take_one(kind).reason_code == 0

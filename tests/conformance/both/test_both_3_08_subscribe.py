"""3.8 to 3.11 SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK, in all versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe
from mqttd.testing import MemoryBroker, MemoryClient


@pytest.mark.statements(
    "v3:MQTT-3.8.4-1", "v5:MQTT-3.8.4-1", "v3:MQTT-3.8.4-2", "v5:MQTT-3.8.4-2",
    "v3:MQTT-3.8.4-5", "v5:MQTT-3.8.4-6", "v5:MQTT-3.8.4-7", "v3:MQTT-3.9.3-1",
    "v5:MQTT-3.9.3-1", "v3:MQTT-3.9.3-2", "v5:MQTT-3.9.3-2", "v3:MQTT-3.8.4-4",
    "v5:MQTT-3.8.4-5",
)  # fmt: skip
def test_one_code_for_each_filter_in_order(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    topics = [SubscribeTopic(name, qos) for name, qos in (("a", 2), ("b/#", 0), ("+/c", 1))]
    client.send(Subscribe(77, topics))
    suback = client.take_one(Suback)
    assert (suback.packet_id, suback.reason_codes) == (77, [2, 0, 1])
    for topic in ("a", "b/x", "x/c"):
        client.publish(topic)
    assert [packet.topic for packet in client.take_all(Publish)] == [b"a", b"b/x", b"x/c"]


@pytest.mark.statements("v3:MQTT-3.8.4-5", "v5:MQTT-3.8.4-7", "v3:MQTT-3.9.3-2")
@pytest.mark.parametrize("bad", ["a/#/b", "a#", "a+/b", "#/a", "a/b+", ""])
def test_a_bad_filter_fails_alone_or_ends_the_connection(
    broker: MemoryBroker, level: int, bad: str
) -> None:
    client = broker.connected("c", level)
    topics = [SubscribeTopic("a"), SubscribeTopic(bad), SubscribeTopic("b", 1)]
    client.send(Subscribe(1, topics))
    if client.closed:
        assert level < 5 or client.take_one(Disconnect).reason_code in (0x81, 0x82, 0x8F)
    else:
        refusal = 0x8F if level == 5 else 0x80
        assert client.take_one(Suback).reason_codes == [0, refusal, 1]


@pytest.mark.statements("v3:MQTT-4.7.1-2", "v5:MQTT-4.7.1-1", "v3:MQTT-4.7.1-3", "v5:MQTT-4.7.1-2")
@pytest.mark.parametrize(
    "bad", ["#a", "a#", "a/#/b", "##", "#/", "a/b#", "+a", "a+", "a/b+", "++", "a/+b/c"]
)
def test_where_wildcards_may_not_stand(broker: MemoryBroker, level: int, bad: str) -> None:
    client = broker.connected("c", level)
    client.send(Subscribe(1, [SubscribeTopic(bad)]))
    if not client.closed:
        assert client.take_one(Suback).reason_codes[0] >= 0x80
    broker.connected("p", level).publish(bad.replace("+", "x").replace("#", "x"))
    assert not any(isinstance(packet, Publish) for packet in client.take())


@pytest.mark.statements("v3:MQTT-3.8.3-2")
@pytest.mark.parametrize("topic_filter", ["#", "a/#", "+", "a/+/b"])
def test_wildcards_where_they_are_switched_off(level: int, topic_filter: str) -> None:
    client = MemoryBroker(wildcard_subscription=False).connected("c", level)
    codes = client.subscribe("plain", topic_filter).reason_codes
    assert codes == [0, 0xA2 if level == 5 else 0x80]
    client.publish("a/x/b")
    client.publish("a")
    assert client.take() == []


@pytest.mark.statements(
    "v3:MQTT-3.8.3-3", "v5:MQTT-3.8.3-2", "v3:MQTT-3.10.3-2", "v5:MQTT-3.10.3-2"
)
@pytest.mark.parametrize("first", [0x82, 0xA2], ids=["SUBSCRIBE", "UNSUBSCRIBE"])
def test_at_least_one_filter(
    broker: MemoryBroker, level: int, first: int, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c", level)
    body = b"\x00\x01\x00" if level == 5 else b"\x00\x01"
    client.send_bytes(bytes((first, len(body))) + body)
    ended(client, 0x82)


@pytest.mark.statements("v3:MQTT-3.8.4-3", "v5:MQTT-3.8.4-3", "v5:MQTT-3.8.4-4")
def test_subscribing_again_replaces(broker: MemoryBroker, level: int) -> None:
    client, publisher = broker.connected("c", level), broker.connected("p", level)
    publisher.publish("t", b"kept", qos=2, retain=True)
    for qos in (2, 0, 1):
        assert client.subscribe("t", qos=qos).reason_codes == [qos]
        kept = client.take_one(Publish)
        assert (kept.payload, kept.qos, kept.retain) == (b"kept", qos, True)
        client.send(*([Puback(kept.packet_id)] if qos == 1 else []))
        publisher.publish("t", b"live", qos=2)
        live = client.take_one(Publish)
        assert (live.payload, live.qos, live.retain) == (b"live", qos, False)


@pytest.mark.statements("v3:MQTT-3.8.4-3", "v5:MQTT-3.8.4-4")
def test_no_message_is_lost_while_a_subscription_is_replaced(
    broker: MemoryBroker, level: int
) -> None:
    client = broker.connected("c", level)
    client.subscribe("t", qos=1)
    client.send(
        Publish(b"t", b"before", 1, packet_id=1),
        Subscribe(2, [SubscribeTopic("t", 1)]),
        Publish(b"t", b"after", 1, packet_id=3),
    )
    payloads = [packet.payload for packet in client.take() if isinstance(packet, Publish)]
    assert payloads == [b"before", b"after"]


@pytest.mark.statements("v3:MQTT-3.8.4-6", "v5:MQTT-3.8.4-8")
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
def test_the_lower_qos_counts(
    broker: MemoryBroker, level: int, granted: int, published: int
) -> None:
    client = broker.connected("c", level)
    client.subscribe("t", qos=granted)
    publisher = broker.connected("p", level)
    publisher.publish("t", b"live", published)
    publisher.publish("t", b"kept", published, retain=True)
    client.take()
    client.subscribe("t", qos=granted)
    assert client.take_one(Publish).qos == min(granted, published)


@pytest.mark.statements("v3:MQTT-3-8.3-4", "v5:MQTT-3.8.3-5")
@pytest.mark.parametrize("options", [0x40, 0x80, 0xC0, 0x42])
def test_reserved_bits_of_the_options(
    broker: MemoryBroker,
    level: int,
    options: int,
    ended: Callable[[MemoryClient, int], None],
) -> None:
    client = broker.connected("c", level)
    body = b"\x00\x01" + (b"\x00" if level == 5 else b"") + b"\x00\x01t" + bytes((options,))
    client.send_bytes(bytes((0x82, len(body))) + body)
    ended(client, 0x81)


@pytest.mark.statements("v3:MQTT-3-8.3-4")
def test_a_requested_qos_of_3(
    broker: MemoryBroker, level: int, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c", level)
    body = b"\x00\x01" + (b"\x00" if level == 5 else b"") + b"\x00\x01t\x03"
    client.send_bytes(bytes((0x82, len(body))) + body)
    ended(client, 0x82)


@pytest.mark.statements("v3:MQTT-3-8.3-4")
@pytest.mark.parametrize("options", [0x04, 0x08, 0x10, 0x20, 0x05])
def test_the_bits_mqtt_5_uses_are_reserved_before(broker: MemoryBroker, options: int) -> None:
    client = broker.connected("c", 4)
    client.send_bytes(b"\x82\x06\x00\x01\x00\x01t" + bytes((options,)))
    assert client.closed
    assert client.take_bytes() == b""


def test_publish_may_come_before_suback_but_each_comes(broker: MemoryBroker, level: int) -> None:
    broker.connected("p", level).publish("t", b"kept", retain=True)
    client = broker.connected("c", level)
    client.send(Subscribe(1, [SubscribeTopic("t"), SubscribeTopic("#")]))
    packets = client.take()
    assert [type(packet) for packet in packets].count(Suback) == 1
    # One for each of the two filters, as for two SUBSCRIBE packets.
    assert [type(packet) for packet in packets].count(Publish) == 2


@pytest.mark.statements(
    "v3:MQTT-3.10.4-4", "v5:MQTT-3.10.4-4", "v3:MQTT-3.10.4-5", "v5:MQTT-3.10.4-5",
    "v3:MQTT-3.10.4-6", "v5:MQTT-3.10.4-6",
)  # fmt: skip
def test_unsubscribe_is_answered_once_whatever_it_removes(
    broker: MemoryBroker, level: int
) -> None:
    client = broker.connected("c", level)
    client.subscribe("a", "b", "c")
    client.send(Unsubscribe(9, ["a", "never", "c"]))
    assert client.take_one(Unsuback).packet_id == 9
    for topic in "abc":
        client.publish(topic)
    assert [packet.topic for packet in client.take_all(Publish)] == [b"b"]
    client.send(Unsubscribe(10, ["nothing"]))
    assert client.take_one(Unsuback).packet_id == 10


@pytest.mark.statements("v3:MQTT-3.10.4-1", "v5:MQTT-3.10.4-1")
def test_filters_are_compared_character_by_character(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.subscribe("a/b", "a/#", "É")
    client.unsubscribe("a/+", "A/b", "a/b/", "#", "E\u0301", "+/b")
    client.publish("a/c")
    client.publish("É")
    assert [packet.topic for packet in client.take_all(Publish)] == [b"a/c", "É".encode()]
    client.unsubscribe("a/#")
    client.publish("a/c")
    client.publish("a/b")
    assert [packet.topic for packet in client.take_all(Publish)] == [b"a/b"]


@pytest.mark.statements("v3:MQTT-3.10.4-2", "v5:MQTT-3.10.4-2")
def test_nothing_new_after_unsubscribe(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.subscribe("t", qos=2)
    client.send(Unsubscribe(1, ["t"]), Publish(b"t", b"after", 0))
    assert client.take_one(Unsuback).packet_id == 1


@pytest.mark.statements("v3:MQTT-3.10.4-3", "v5:MQTT-3.10.4-3")
def test_what_was_begun_is_completed_after_unsubscribe(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    client = broker.connected("c", level, **lasting)
    client.subscribe("t", qos=2)
    publisher = broker.connected("p", level)
    publisher.publish("t", b"one", 1)
    publisher.publish("t", b"two", 2)
    one, two = client.take_all(Publish)
    client.unsubscribe("t")
    client.drop()
    again = broker.connected("c", level, **lasting)
    assert [packet.payload for packet in again.take_all(Publish)] == [b"one", b"two"]
    again.send(Puback(one.packet_id), Pubrec(two.packet_id))
    assert again.take_one(Pubrel).packet_id == two.packet_id
    again.send(Pubcomp(two.packet_id))
    assert again.take() == []


def test_the_number_of_subscriptions_is_limited(level: int) -> None:
    client = MemoryBroker(max_subscriptions=2).connected("c", level)
    refusal = 0x97 if level == 5 else 0x80
    assert client.subscribe("a", "b", "c").reason_codes == [0, 0, refusal]
    # Replacing one is no new one.
    assert client.subscribe("a", qos=1).reason_codes == [1]
    client.unsubscribe("b")
    assert client.subscribe("d", "e").reason_codes == [0, refusal]


def test_the_number_of_topic_levels_is_limited(level: int) -> None:
    broker = MemoryBroker(max_topic_levels=3)
    client = broker.connected("c", level)
    refusal = 0x8F if level == 5 else 0x80
    assert client.subscribe("a/b/c", "a/b/c/d").reason_codes == [0, refusal]
    client.publish("a/b/c")
    assert client.take_one(Publish).topic == b"a/b/c"
    client.publish("a/b/c/d")
    assert client.closed

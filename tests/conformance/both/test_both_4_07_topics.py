"""4.7 Topic Names and Topic Filters, in all versions."""

from __future__ import annotations

import pytest

from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.testing import MemoryBroker

MATCHING = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/tennis/player1/#", "sport/tennis/player2", False),
    ("sport/#", "sport", True),
    ("sport/#", "sports", False),
    ("#", "a", True),
    ("#", "/", True),
    ("#", "a//b/", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/tennis/+", "sport/tennis/", True),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("+", "finance", True),
    ("+/tennis/#", "sport/tennis", True),
    ("+/tennis/#", "sport/tennis/a/b", True),
    ("sport/+/player1", "sport/tennis/player1", True),
    ("sport/+/player1", "sport//player1", True),
    ("sport/+/player1", "sport/a/b/player1", False),
    ("+/+/+", "//", True),
    ("a/b", "a/b", True),
    ("a/b", "a/b/", False),
    ("a/b/", "a/b", False),
    ("/a", "a", False),
    ("a", "/a", False),
    ("/", "/", True),
    ("/", "//", False),
    ("a//b", "a/b", False),
    ("a/+/#", "a", False),
    ("a/+/#", "a/b", True),
    ("ACCOUNTS", "Accounts", False),
    ("Accounts payable", "Accounts payable", True),
    ("a b/+", "a b/c d", True),
    ("É", "E\u0301", False),
    ("\u212b", "\u00c5", False),
    ("ﬁ/+", "fi/x", False),
    ("a/$b", "a/$b", True),
    ("a/+", "a/$b", True),
    ("a/#", "a/$b/c", True),
]

DOLLAR = [
    ("#", "$internal/x", False),
    ("+/x", "$internal/x", False),
    ("+", "$internal", False),
    ("+/#", "$internal/x", False),
    ("$internal/#", "$internal/x", True),
    ("$internal/+", "$internal/x", True),
    ("$internal/x", "$internal/x", True),
    ("$internal/#", "$internal", True),
]


@pytest.mark.statements(
    "v3:MQTT-4.7.1-2", "v5:MQTT-4.7.1-1", "v3:MQTT-4.7.1-3", "v5:MQTT-4.7.1-2",
    "v3:MQTT-4.7.3-4", "v5:MQTT-4.7.3-4", "v3:MQTT-3.3.2-3", "v5:MQTT-3.3.2-3",
)  # fmt: skip
@pytest.mark.parametrize(("topic_filter", "topic", "matches"), MATCHING)
def test_matching(
    broker: MemoryBroker, level: int, topic_filter: str, topic: str, matches: bool
) -> None:
    live, publisher = broker.connected("live", level), broker.connected("p", level)
    assert live.subscribe(topic_filter).reason_codes == [0]
    publisher.publish(topic, b"x", retain=True)
    assert len(live.take_all(Publish)) == matches
    # Retained Messages are matched from the other side, by the same rules.
    late = broker.connected("late", level)
    late.subscribe(topic_filter)
    assert [packet.topic for packet in late.take_all(Publish)] == [topic.encode()] * matches


@pytest.mark.statements("v3:MQTT-4.7.2-1", "v5:MQTT-4.7.2-1")
@pytest.mark.parametrize(("topic_filter", "topic", "matches"), DOLLAR)
def test_topics_that_begin_with_a_dollar_sign(
    broker: MemoryBroker, level: int, topic_filter: str, topic: str, matches: bool
) -> None:
    live, publisher = broker.connected("live", level), broker.connected("p", level)
    live.subscribe(topic_filter)
    publisher.publish(topic, b"x", retain=True)
    assert len(live.take_all(Publish)) == matches
    late = broker.connected("late", level)
    late.subscribe(topic_filter)
    assert len(late.take_all(Publish)) == matches


@pytest.mark.statements("v3:MQTT-4.7.3-1", "v5:MQTT-4.7.3-1")
def test_an_empty_topic_filter(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.send(Subscribe(1, [SubscribeTopic("")]))
    if not client.closed:
        assert getattr(client.take()[0], "reason_codes", [0])[0] >= 0x80


@pytest.mark.statements("v3:MQTT-4.7.3-3", "v5:MQTT-4.7.3-3")
def test_the_longest_filter(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    name = "a/" * 30 + "x" * (65_535 - 60)
    assert client.subscribe(name).reason_codes == [0]
    client.publish(name)
    assert client.take_one(Publish).topic == name.encode()


def test_many_subscribers_of_one_topic(broker: MemoryBroker, level: int) -> None:
    clients = [broker.connected(f"c{number}", level) for number in range(50)]
    for number, client in enumerate(clients):
        client.subscribe(f"+/{number}" if number % 2 else "t/#")
    broker.connected("p", level).publish("t/7", b"x")
    receivers = [number for number, client in enumerate(clients) if client.take()]
    assert receivers == sorted([*range(0, 50, 2), 7])

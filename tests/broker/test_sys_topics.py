"""``$SYS/broker/...``: names, values, and only what changed."""

from __future__ import annotations

from typing import Any

from mqttd.broker.message import Message
from mqttd.broker.sys_topics import SysTopics
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient


def watcher(broker: MemoryBroker) -> MemoryClient:
    client = broker.connected("watcher", 5)
    client.subscribe("$SYS/#")
    client.take()
    return client


def figures(client: MemoryClient) -> dict[str, str]:
    return {
        packet.topic.decode().removeprefix("$SYS/broker/"): packet.payload.decode()
        for packet in client.take()
        if isinstance(packet, Publish)
    }


def sys_topics(broker: MemoryBroker) -> SysTopics:
    return SysTopics(broker.core, "mqttd 1", broker.now, lambda: {"heap/current": 7})


def test_every_figure_is_published_once_and_then_only_changes() -> None:
    broker = MemoryBroker()
    topics, client = sys_topics(broker), watcher(broker)
    topics.publish(broker.now)
    broker.turn()
    first = figures(client)
    assert first["version"] == "mqttd 1"
    assert first["uptime"] == "0 seconds"
    assert first["clients/connected"] == "1"
    assert first["subscriptions/count"] == "1"
    assert first["retained messages/count"] == "0"
    assert first["heap/current"] == "7"
    broker.advance(10)
    topics.publish(broker.now)
    broker.turn()
    second = figures(client)
    assert second["uptime"] == "10 seconds"
    assert "version" not in second
    assert "clients/connected" not in second


def test_figures_are_retained_and_not_met_by_a_leading_wildcard() -> None:
    broker = MemoryBroker()
    sys_topics(broker).publish(broker.now)
    broker.turn()
    wild = broker.connected("wild", 5)
    wild.subscribe("#")
    assert [packet for packet in wild.take() if isinstance(packet, Publish)] == []
    late = broker.connected("late", 5)
    late.subscribe("$SYS/broker/version")
    assert late.take_one(Publish).retain


def test_messages_and_bytes_are_counted() -> None:
    broker = MemoryBroker()
    topics, client = sys_topics(broker), watcher(broker)
    other = broker.connected("other", 4)
    other.subscribe("t")
    other.publish("t", b"12345")
    topics.publish(broker.now)
    broker.turn()
    counted = figures(client)
    assert counted["publish/messages/received"] == "1"
    assert counted["publish/bytes/received"] == "5"
    assert counted["publish/messages/sent"] == "1"
    assert counted["clients/maximum"] == "2"
    assert int(counted["bytes/received"]) > 5


def test_loads_are_moving_averages_of_a_minute() -> None:
    broker = MemoryBroker()
    topics, client = sys_topics(broker), watcher(broker)
    other = broker.connected("other", 4)
    for _ in range(6):
        for _ in range(10):
            other.publish("t", b"")
        broker.advance(10)
        topics.publish(broker.now)
        broker.turn()
    load = figures(client)
    # 60 a minute for one minute: 60 * (1 - 1/e), and less the longer the average.
    assert load["load/publish/received/1min"] == "37.93"
    assert load["load/publish/received/5min"] == "10.88"
    assert load["load/publish/received/15min"] == "3.87"


def test_a_client_cannot_publish_there() -> None:
    broker = MemoryBroker()
    client = broker.connected("c", 5)
    watching = watcher(broker)
    client.publish("$SYS/broker/version", b"fake", 1)
    assert figures(watching) == {}


def test_a_publish_that_is_sent_is_a_message_that_is_sent() -> None:
    broker = MemoryBroker()
    topics, client = sys_topics(broker), watcher(broker)
    reader = broker.connected("reader", 4)
    reader.subscribe("t", qos=1)
    before = broker.core.counters.messages_sent
    broker.core.engine.publish(Message(b"t", b"12345", 1), broker.now)
    assert broker.core.counters.messages_sent == before + 1
    topics.publish(broker.now)
    broker.turn()
    # One to the reader; the watcher's own come after the figures were taken.
    assert figures(client)["messages/sent"] == str(before + 1)


def test_a_message_that_is_sent_again_counts_again() -> None:
    broker = MemoryBroker()
    lasting: dict[str, Any] = {
        "clean_start": False,
        "properties": Properties(session_expiry_interval=60),
    }
    reader = broker.connected("reader", 5, **lasting)
    reader.subscribe("t", qos=1)
    broker.core.engine.publish(Message(b"t", b"12345", 1), broker.now)
    counters = broker.core.counters
    assert (counters.publish_sent, counters.publish_bytes_sent) == (1, 5)
    reader.drop()
    broker.connected("reader", 5, **lasting)
    assert (counters.publish_sent, counters.publish_bytes_sent) == (2, 10)


def test_the_maximum_counts_clients_that_were_there_at_once_and_no_bare_sockets() -> None:
    broker = MemoryBroker()
    broker.client()
    broker.client()
    for number in range(3):
        broker.connected(f"c{number}").drop()
    taken = broker.connected("taken")
    broker.connected("taken")
    assert taken.closed
    assert (broker.core.clients, broker.core.maximum_clients) == (1, 1)
    broker.connected("another")
    assert (broker.core.clients, broker.core.maximum_clients) == (2, 2)


def test_what_the_engine_drops_is_in_the_total_and_in_the_load() -> None:
    broker = MemoryBroker()
    topics, client = sys_topics(broker), watcher(broker)
    slow = broker.connected("slow")
    slow.subscribe("t")
    slow.outlet.writable = False
    for _ in range(60):
        broker.core.engine.publish(Message(b"t", b"m"), broker.now)
    broker.clock.advance(60)
    topics.publish(broker.now)
    broker.turn()
    counted = figures(client)
    assert counted["publish/messages/dropped"] == "60"
    assert counted["load/publish/dropped/1min"] == "37.93"


def test_sessions_subscriptions_and_stored_messages() -> None:
    broker = MemoryBroker()
    topics, client = sys_topics(broker), watcher(broker)
    properties = Properties(session_expiry_interval=60)
    away = broker.connected("away", 5, clean_start=False, properties=properties)
    away.subscribe("t", qos=1)
    away.subscribe("$share/g/t", qos=1)
    away.drop()
    broker.core.engine.publish(Message(b"t", b"12345", 1, retain=True), broker.now)
    topics.publish(broker.now)
    broker.turn()
    counted = figures(client)
    assert counted["clients/total"] == "2"
    assert counted["clients/disconnected"] == counted["clients/inactive"] == "1"
    assert counted["clients/active"] == "1"
    assert counted["clients/expired"] == "0"
    assert counted["subscriptions/count"] == "3"
    assert counted["shared_subscriptions/count"] == "1"
    assert counted["retained messages/count"] == "1"
    assert counted["messages/stored"] == counted["store/messages/count"] == "3"
    assert counted["store/messages/bytes"] == "15"
    broker.advance(61)
    topics.publish(broker.now)
    broker.turn()
    counted = figures(client)
    assert (counted["clients/expired"], counted["clients/total"]) == ("1", "1")
    assert counted["subscriptions/count"] == "1"
    assert counted["shared_subscriptions/count"] == "0"

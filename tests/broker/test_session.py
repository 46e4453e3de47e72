"""One connected session: quota, resends, Retained Messages, packets that are too large."""

from __future__ import annotations

import pytest

from mqttd.broker.message import Message
from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient


def lasting(broker: MemoryBroker, **properties: int) -> MemoryClient:
    return broker.connected(
        "reader",
        clean_start=False,
        properties=Properties(session_expiry_interval=3600, **properties),
    )


def give(broker: MemoryBroker, topic: str, *payloads: bytes, qos: int = 1) -> None:
    for payload in payloads:
        broker.core.engine.publish(Message(topic.encode(), payload, qos), broker.now)
    broker.turn()


def retain(
    broker: MemoryBroker, topic: str, payload: bytes, qos: int, expires_at: float | None = None
) -> None:
    broker.core.engine.publish(
        Message(topic.encode(), payload, qos, retain=True, expires_at=expires_at), broker.now
    )


def payloads(client: MemoryClient) -> list[bytes]:
    return [packet.payload for packet in client.take() if isinstance(packet, Publish)]


def test_a_long_flight_is_resent_within_the_quota_and_before_anything_new() -> None:
    broker = MemoryBroker()
    reader = lasting(broker)
    reader.subscribe("t", qos=2)
    give(broker, "t", b"1", b"2", b"3")
    give(broker, "t", b"4", qos=2)
    first = reader.take_all(Publish)
    reader.send(Pubrec(first[3].packet_id))
    reader.take_one(Pubrel)
    reader.drop()
    give(broker, "t", b"new")
    reader = lasting(broker, receive_maximum=2)
    again = reader.take_all(Publish)
    assert [packet.payload for packet in again] == [b"1", b"2"]
    assert all(packet.dup for packet in again)
    assert [packet.packet_id for packet in again] == [packet.packet_id for packet in first[:2]]
    reader.send(Puback(again[1].packet_id))
    assert payloads(reader) == [b"3"]
    reader.send(Puback(again[0].packet_id))
    # The exchange of the fourth goes on where it was: only PUBREL is sent again. [MQTT-4.4.0-1]
    assert reader.take_one(Pubrel).packet_id == first[3].packet_id
    reader.send(Puback(first[2].packet_id))
    last = reader.take_one(Publish)
    assert (last.payload, last.dup) == (b"new", False)
    reader.send(Pubcomp(first[3].packet_id), Puback(last.packet_id))
    assert reader.take() == []
    assert broker.core.engine.statistics().stored == 0


def test_retained_messages_keep_to_the_quota_and_go_before_new_ones() -> None:
    broker = MemoryBroker()
    for number in range(3):
        retain(broker, f"t/{number}", str(number).encode(), 1)
    reader = broker.connected("reader", properties=Properties(receive_maximum=1))
    reader.subscribe("t/+", qos=1)
    give(broker, "t/new", b"new")
    got = []
    for _ in range(4):
        packet = reader.take_one(Publish)
        got.append((packet.payload, packet.retain))
        reader.send(Puback(packet.packet_id))
    assert sorted(got[:3]) == [(b"0", True), (b"1", True), (b"2", True)]
    assert got[3] == (b"new", False)


def test_a_retained_message_that_expires_while_it_waits_is_not_sent() -> None:
    broker = MemoryBroker()
    retain(broker, "a", b"kept", 1)
    retain(broker, "b", b"expired", 1, expires_at=broker.now + 5)
    reader = broker.connected("reader", properties=Properties(receive_maximum=1))
    reader.subscribe("a", "b", qos=1)
    packet = reader.take_one(Publish)
    assert packet.payload == b"kept"
    broker.advance(5)
    reader.send(Puback(packet.packet_id))
    assert reader.take() == []


def test_a_slow_reader_gets_its_retained_messages_when_it_reads() -> None:
    broker = MemoryBroker()
    retain(broker, "a", b"0", 0)
    reader = broker.connected("reader")
    reader.writable = False
    reader.send_bytes(b"\x82\x07\x00\x01\x00\x00\x01a\x00")
    assert len(reader.outlet.sent) == len(b"\x90\x04\x00\x01\x00\x00")
    reader.writable = True
    assert payloads(reader) == [b"0"]


@pytest.mark.parametrize("how", ["unsubscribe", "subscribe again"])
def test_what_is_still_to_be_sent_for_a_subscription_ends_with_it(how: str) -> None:
    broker = MemoryBroker()
    for number in range(5):
        retain(broker, f"t/{number}", b"", 1)
        retain(broker, f"t/{number}", str(number).encode(), 1)
    retain(broker, "u", b"other", 1)
    reader = broker.connected("reader", properties=Properties(receive_maximum=1))
    reader.subscribe("t/+", "u", qos=1)
    first = reader.take_one(Publish)
    if how == "unsubscribe":
        reader.unsubscribe("t/+")
    else:
        reader.subscribe("t/+", qos=0)
    reader.send(Puback(first.packet_id))
    got = [packet for packet in reader.take() if isinstance(packet, Publish)]
    assert [packet.payload for packet in got if packet.qos] == [b"other"]
    again = sorted(packet.payload for packet in got if not packet.qos)
    assert again == ([] if how == "unsubscribe" else [b"0", b"1", b"2", b"3", b"4"])


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_too_large_is_dropped_and_takes_no_credit(qos: int) -> None:
    """[MQTT-3.1.2-25]: as if it had been sent."""
    broker = MemoryBroker()
    reader = lasting(broker, maximum_packet_size=50, receive_maximum=1, topic_alias_maximum=5)
    reader.subscribe("t", "u", qos=2)
    give(broker, "t", b"x" * 50, b"y" * 50, b"small", qos=qos)
    packet = reader.take_one(Publish)
    assert packet.payload == b"small"
    # The alias went with the packet that was not sent; now it is set anew.
    assert packet.topic == b"t"
    assert packet.properties is not None
    assert packet.properties.topic_alias == 1
    assert broker.core.counters.publish_dropped == 2


def test_a_resend_that_is_too_large_for_the_new_connection_is_given_up() -> None:
    broker = MemoryBroker()
    reader = lasting(broker)
    reader.subscribe("t", qos=1)
    give(broker, "t", b"x" * 100, b"small")
    assert len(reader.take_all(Publish)) == 2
    reader.drop()
    reader = lasting(broker, maximum_packet_size=50, receive_maximum=1)
    packet = reader.take_one(Publish)
    assert (packet.payload, packet.dup) == (b"small", True)
    assert broker.core.counters.publish_dropped == 1


def test_a_client_that_stops_reading_gets_no_more_until_it_reads() -> None:
    broker = MemoryBroker()
    reader = broker.connected("reader")
    reader.subscribe("t", qos=1)
    reader.writable = False
    give(broker, "t", b"lost", qos=0)
    give(broker, "t", b"1", b"2")
    assert len(reader.outlet.sent) == 0
    assert broker.engine.dropped == 1
    reader.writable = True
    assert payloads(reader) == [b"1", b"2"]

"""Rates of clients: reading stops and goes on, and nothing that was sent is lost."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mqttd.config.types import Rate
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish

PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"
DISCONNECT = b"\xe0\x00"


def publish(number: int, qos: int = 0, payload: bytes = b"") -> bytes:
    return encode(Publish(b"t", payload, qos, packet_id=number if qos else 0), 5)


def received(world: Any) -> int:
    count: int = world.broker.counters.publish_received
    return count


def client(world: Any, name: str = "c", **options: Any) -> Any:
    peer = world.peer(world.listener(**options))
    peer.connect(name)
    return peer


def test_messages_come_at_the_rate(world: Any) -> None:
    peer = client(world, messages_rate=Rate(10, 1.0))
    peer.send(b"".join(publish(0) for _ in range(35)))
    assert received(world) == 10
    assert peer.wire.paused
    world.reactor.advance(0.09)
    assert received(world) == 10
    world.reactor.advance(0.02)
    assert received(world) == 11
    assert peer.wire.paused
    for _ in range(24):
        world.reactor.advance(0.1)
    world.reactor.advance(0.1)
    assert received(world) == 35
    assert not peer.wire.paused


def test_every_message_is_acknowledged_in_order_and_the_rest_comes_in_order(world: Any) -> None:
    peer = client(world, messages_rate=Rate(2, 1.0))
    answers = peer.send(b"".join(publish(n, 1) for n in range(1, 7)) + PINGREQ)
    for _ in range(30):
        world.reactor.advance(0.1)
        answers += peer.wire.take()
    acks = b"".join(b"\x40\x03" + n.to_bytes(2, "big") + b"\x10" for n in range(1, 7))
    assert answers == acks + PINGRESP


def test_a_burst_on_top(world: Any) -> None:
    peer = client(world, messages_rate=Rate(2, 1.0), messages_burst=Rate(5, 3600.0))
    peer.send(b"".join(publish(0) for _ in range(20)))
    assert received(world) == 7


def test_other_packets_are_no_messages(world: Any) -> None:
    peer = client(world, messages_rate=Rate(1, 1.0))
    assert peer.send(PINGREQ * 100) == PINGRESP * 100


def test_bytes_come_at_the_rate(world: Any) -> None:
    peer = client(world, bytes_rate=Rate(10_000, 1.0))
    assert peer.wire.bufferSize == 2500
    message = publish(0, payload=bytes(2400))
    for _ in range(4):
        peer.send(message)
    assert not peer.wire.paused
    peer.send(message)
    assert peer.wire.paused
    assert received(world) == 5  # what was read is handled
    world.reactor.advance(0.1)
    assert peer.wire.paused
    world.reactor.advance(0.2)
    assert not peer.wire.paused


def test_silence_that_we_made_ends_no_client(world: Any) -> None:
    peer = world.peer(world.listener(bytes_rate=Rate(100, 1.0)))
    peer.connect(keep_alive=2)
    peer.send(publish(0, payload=bytes(2000)))
    world.pass_time(15)
    assert peer.wire.paused
    assert peer.wire.take() == b""
    world.pass_time(6)
    assert not peer.wire.paused
    world.pass_time(5)  # and now it is its own
    assert peer.wire.take()[:1] == DISCONNECT[:1]


@pytest.mark.parametrize("qos", [0, 1])
def test_what_was_sent_before_the_end_is_handled(world: Any, qos: int) -> None:
    peer = client(world, messages_rate=Rate(1, 1.0))
    peer.send(b"".join(publish(n, qos) for n in range(1, 9)) + DISCONNECT)
    assert received(world) == 1
    peer.lose()
    assert received(world) == 8
    assert not world.reactor.getDelayedCalls()


def test_time_stands_still_for_nobody_else(world: Any) -> None:
    factory = world.listener(messages_rate=Rate(1, 1.0))
    one, other = world.peer(factory), world.peer(factory)
    one.connect("one")
    other.connect("other")
    one.send(publish(0) * 5)
    assert one.wire.paused
    other.send(publish(0))
    assert received(world) == 2


def test_clients_of_a_listener_take_turns(world: Any) -> None:
    factory = world.listener(listener_messages_rate=Rate(20, 1.0))
    peers = [world.peer(factory) for _ in range(4)]
    counts = [0] * 4
    for number, peer in enumerate(peers):
        peer.connect(f"c{number}")
        peer.send(b"".join(publish(n, 1) for n in range(1, 60)))
    for _ in range(200):
        world.reactor.advance(0.05)
        for number, peer in enumerate(peers):
            counts[number] += peer.wire.take().count(b"\x40\x03")
    assert 200 <= received(world) <= 222
    assert received(world) <= 20 + 10 * 20
    assert max(counts) - min(counts) <= 20


def test_a_client_that_goes_leaves_the_queue(world: Any) -> None:
    factory = world.listener(listener_messages_rate=Rate(5, 1.0))
    one, other = world.peer(factory), world.peer(factory)
    one.connect("one")
    other.connect("other")
    one.send(publish(0) * 6)
    other.send(publish(0) * 6)
    one.lose()
    for _ in range(40):
        world.reactor.advance(0.1)
    assert received(world) == 12
    assert not other.wire.paused
    other.lose()
    assert not world.reactor.getDelayedCalls()


def test_bytes_of_a_listener(world: Any) -> None:
    factory = world.listener(listener_bytes_rate=Rate(1000, 1.0))
    one, other = world.peer(factory), world.peer(factory)
    one.connect("one")
    other.connect("other")
    one.send(publish(0, payload=bytes(1500)))
    assert one.wire.paused
    other.send(publish(0, payload=bytes(500)))
    assert other.wire.paused
    world.reactor.advance(0.9)
    assert one.wire.paused
    for _ in range(40):
        world.reactor.advance(0.1)
    assert not one.wire.paused
    assert not other.wire.paused


def test_other_rates_hold_at_once(world: Any) -> None:
    factory = world.listener(messages_rate=Rate(1, 3600.0))
    peer = world.peer(factory)
    peer.connect()
    peer.send(publish(0) * 10)
    assert received(world) == 1
    world.reactor.advance(1)
    faster = attrs.evolve(factory.options, messages_rate=Rate(4, 1.0))
    factory.configure_with(faster, world.limits, None)
    world.turn()
    assert received(world) == 5
    factory.configure_with(attrs.evolve(factory.options, messages_rate=None), world.limits, None)
    world.turn()
    assert received(world) == 10
    assert not peer.wire.paused
    factory.configure_with(faster, world.limits, None)
    peer.send(publish(0) * 10)
    assert received(world) == 14


def test_without_rates_there_is_nothing_to_pay(world: Any) -> None:
    factory = world.listener()
    peer = world.peer(factory)
    peer.connect()
    assert peer.protocol.reading.meter is None
    peer.send(publish(0) * 1000)
    assert received(world) == 1000


def test_the_list_of_listeners_says_how_often(world: Any) -> None:
    factory = world.listener(messages_rate=Rate(1, 1.0))
    peer = world.peer(factory)
    peer.connect()
    peer.send(publish(0) * 2)
    assert factory.throttled == 1

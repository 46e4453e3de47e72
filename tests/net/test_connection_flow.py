"""How a connection paces its peer, and how it ends."""

from __future__ import annotations

import math
from typing import Any

from mqttd.config.schema.tcp import TcpOptions
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a"
CONNACK = b"\x20\x02\x00\x00"
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"
PROXY = b"PROXY TCP4 198.51.100.9 192.0.2.1 5000 1883\r\n"
UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)


def test_a_close_with_a_reason_lingers_about_a_second(world: Any) -> None:
    peer = world.peer(world.listener())
    peer.connect()
    answer = peer.send(PINGREQ + b"\x00\x00")  # packet type 0 is malformed
    assert answer.startswith(PINGRESP + b"\xe0")
    assert answer[4] == 0x81
    assert peer.wire.write_closed
    assert not peer.wire.disconnecting
    assert peer.send(b"\x30" * 1000) == b""  # read away
    world.pass_time(2)
    assert peer.wire.aborted


def test_a_peer_that_goes_while_we_linger_is_not_aborted(world: Any) -> None:
    peer = world.peer(world.listener())
    peer.connect()
    peer.send(b"\x00\x00")
    peer.lose()
    world.pass_time(2)
    assert not peer.wire.aborted


def test_the_last_bytes_have_their_time_too(world: Any) -> None:
    """After DISCONNECT of the peer; a peer that takes nothing does not stay."""
    peer = world.peer(world.listener())
    peer.connect()
    peer.send(b"\xe0\x00")
    assert peer.wire.disconnecting
    world.pass_time(6)
    assert peer.wire.aborted


def _stalled(world: Any, **options: Any) -> Any:
    tcp = TcpOptions(**{"send_timeout": 3.0, **options})
    peer = world.peer(world.listener(tcp_options=tcp))
    peer.connect("slow")
    peer.protocol._buffer.pauseProducing()
    peer.wire.dataBuffer = bytes(1000)
    return peer


def test_a_peer_that_takes_no_bytes_is_closed_after_send_timeout(world: Any) -> None:
    peer = _stalled(world)
    world.pass_time(3)
    assert not peer.wire.aborted
    world.pass_time(2)
    assert peer.wire.aborted
    assert "Client slow [192.0.2.7:4711] disconnected: takes no bytes." in world.lines()


def test_a_peer_that_takes_a_little_stays(world: Any) -> None:
    peer = _stalled(world)
    for size in range(1000, 980, -1):
        peer.wire.dataBuffer = bytes(size)
        world.pass_time(1)
    assert not peer.wire.aborted


def test_send_timeout_close_false_keeps_it(world: Any) -> None:
    peer = _stalled(world, send_timeout_close=False)
    world.pass_time(30)
    assert not peer.wire.aborted


def test_messages_to_a_full_connection_are_dropped_and_counted(world: Any) -> None:
    factory = world.listener(tcp_options=TcpOptions(high_watermark=4096))
    slow, fast = world.peer(factory, port=1), world.peer(factory, port=2)
    subscribe = encode(Subscribe(1, [SubscribeTopic("t")]), 4)
    for name, peer in (("slow", slow), ("fast", fast)):
        peer.connect(name, level=4)
        peer.send(subscribe)
    slow.protocol._buffer.pauseProducing()
    publisher = world.peer(factory, port=3)
    publisher.connect("publisher", level=4)
    message = encode(Publish(b"t", bytes(1000)), 4)
    for _ in range(20):
        publisher.send(message)
    assert slow.protocol._buffer.size < 4096 + 2 * 1100
    assert fast.wire.take().count(message) == 20
    slow.protocol._buffer.resumeProducing()
    world.turn()
    assert slow.wire.take().count(message) < 8


def test_a_peer_that_asks_and_takes_no_answers_is_not_read(world: Any) -> None:
    factory = world.listener(tcp_options=TcpOptions(high_watermark=1024))
    factory.crowd = 2048
    peer = world.peer(factory)
    peer.connect(level=4)
    peer.protocol._buffer.pauseProducing()
    sent = 0
    while not peer.wire.paused:
        peer.send(PINGREQ * 100)
        sent += 100
        assert sent <= 1200
    peer.protocol.resume()
    assert peer.wire.paused
    peer.protocol._buffer.resumeProducing()
    assert not peer.wire.paused
    assert peer.wire.take() == PINGRESP * sent


def test_the_pause_of_the_broker_outlasts_that_of_the_buffer(world: Any) -> None:
    factory = world.listener()
    factory.crowd = 2048
    peer = world.peer(factory)
    peer.connect(level=4)
    peer.protocol.pause()
    peer.protocol._buffer.pauseProducing()
    peer.send(PINGREQ * 1200)
    peer.protocol._buffer.resumeProducing()
    assert peer.wire.paused
    peer.protocol.resume()
    assert not peer.wire.paused


def test_the_deadline_of_plain_mqtt_is_the_brokers(world: Any) -> None:
    peer = world.peer(world.listener())
    assert peer.protocol.deadline == math.inf

"""What another protocol begins with is named, once, and the connection counted."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.config.schema.websocket import WebSocketOptions

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def refusals(world: Any) -> list[str]:
    return [line for line in world.lines() if "refused" in line]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (HELLO, "tls-to-plain"),
        (b"\x16", "tls-to-plain"),
        (b"GET /mqtt HTTP/1.1\r\n", "http-to-mqtt"),
        (b"POST / HTTP/1.1\r\n", "http-to-mqtt"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http-to-mqtt"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "proxy-to-mqtt"),
        (b"\r\n\r\n\x00\r\nQUIT\n", "proxy-to-mqtt"),
        (b"SSH-2.0-x\r\n", "not-mqtt"),
        (b"\xc0\x00", "not-mqtt"),
        (b"\x16\x17", "not-mqtt"),
        (b"\x00", "not-mqtt"),
    ],
)
def test_on_a_plain_port(world: Any, data: bytes, kind: str) -> None:
    factory = world.listener()
    peer = world.peer(factory)
    assert peer.send(data) == b""
    assert peer.wire.write_closed
    (line,) = refusals(world)
    assert line.startswith("connection refused on tcp:default from 192.0.2.7:4711: ")
    assert line.endswith(f"[{kind}]")
    assert not world.broker.connections
    peer.send(b"\x10\x00")
    peer.lose()
    assert factory.shutdown_counts == {kind: 1}
    assert refusals(world) == [line]


def test_tls_on_a_websocket_port(world: Any) -> None:
    peer = world.peer(world.listener(type="ws", websocket=WebSocketOptions()))
    peer.send(HELLO)
    assert peer.wire.write_closed
    assert refusals(world)[0].endswith("[tls-to-plain]")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ((b"/mqtt", b"/other"), "websocket-path"),
        ((b"Upgrade: websocket\r\n", b""), "websocket-not-upgrade"),
        ((b"Protocol: mqtt", b"Protocol: soap"), "websocket-subprotocol"),
        ((b"Version: 13", b"Version: 8"), "websocket"),
    ],
)
def test_requests_that_are_refused(world: Any, change: tuple[bytes, bytes], kind: str) -> None:
    request = (
        b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
    peer = world.peer(world.listener(type="ws", websocket=WebSocketOptions()))
    assert peer.send(request.replace(*change)).startswith(b"HTTP/1.1 4")
    (line,) = refusals(world)
    assert line.endswith(f"[{kind}]")


def test_how_connections_end_is_counted(world: Any) -> None:
    factory = world.listener()
    left = world.peer(factory, port=1)
    left.connect("left")
    left.send(b"\xe0\x00")
    left.lose()
    lost = world.peer(factory, port=2)
    lost.connect("lost")
    lost.lose()
    silent = world.peer(factory, port=3)
    silent.lose()
    first = world.peer(factory, port=4)
    first.connect("same")
    second = world.peer(factory, port=5)
    second.connect("same")
    first.lose()
    assert factory.shutdown_counts == {
        "disconnected": 1,
        "lost": 2,
        "session_taken_over": 1,
    }
    assert factory.most_connections == 2


def test_the_words_counted_are_bounded(world: Any) -> None:
    factory = world.listener()
    for number in range(1000):
        factory.count(f"word-{number}")
    assert len(factory.shutdown_counts) <= 201
    assert factory.shutdown_counts["other"] == 800

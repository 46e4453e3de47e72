"""A peer that does not read costs no more memory than its high watermark."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Any

import pytest

from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.publish import Publish

SLACK = 12.0
"""MB: a megabyte of high watermark, the chunk in hand, copies on their way, the allocator."""


NARROW = """
mqtt.max_packet_size = 64KB
listeners.KIND.default.tcp_options { sndbuf = 16KB, recbuf = 64KB, high_watermark = 64KB }
"""


def flood(client: Any, data: bytes, *, total: int, patience: float = 2.0) -> int:
    """Send until ``total`` bytes are gone or the broker takes none for a while; bytes taken."""
    client.sock.settimeout(patience)
    sent = 0
    view = memoryview(data)
    with contextlib.suppress(TimeoutError):
        while sent < total:
            position = sent % len(data)
            sent += client.sock.send(view[position : position + 65_536])
    client.sock.settimeout(10)
    return sent


@pytest.mark.parametrize("kind", ["tcp", "ssl", "ws"])
def test_a_subscriber_that_never_reads(
    broker: Any, client: Any, resident: Any, sys_figure: Any, kind: str
) -> None:
    """100 MB of QoS 0: it is bounded, its drops are counted, the others get everything."""
    running = broker()
    client(running, kind).connect("deaf").subscribe("big/#")
    good = client(running).connect("good").subscribe("big/#")
    publisher = client(running).connect("publisher")
    batch = encode(Publish(b"big/1", bytes(50_000)), 4) * 10
    publisher.send_bytes(batch)
    good.payloads(500_000)
    before = resident(running)
    delivered = 10
    peak = before
    for _ in range(199):
        publisher.send_bytes(batch)
        delivered += good.payloads(500_000)
        peak = max(peak, resident(running))
    assert delivered == 2_000
    assert peak - before < SLACK
    # What the kernel holds for the deaf one was sent; all the rest was dropped.
    for dropped in sys_figure(running, "publish/messages/dropped"):
        if dropped > 1_000:
            break


def test_a_publisher_that_outruns_a_slow_subscriber(
    broker: Any, client: Any, resident: Any
) -> None:
    """The slow one loses QoS 0 messages, and keeps its connection and the order."""
    running = broker()
    slow = client(running).connect("slow").subscribe("fast")
    publisher = client(running).connect("publisher")
    before = resident(running)
    size = 20_000
    for number in range(3_000):
        publisher.send(Publish(b"fast", number.to_bytes(4, "big") + bytes(size)))
    publisher.send(Pingreq())
    assert isinstance(publisher.take(), Pingresp)  # everything before it was handled
    assert resident(running) - before < SLACK
    last = -1
    slow.sock.settimeout(1)
    with contextlib.suppress(TimeoutError):
        while True:
            packet = slow.take()
            assert isinstance(packet, Publish)
            number = int.from_bytes(packet.payload[:4], "big")
            assert number > last
            last = number
    slow.sock.settimeout(10)
    slow.send(Pingreq())
    assert isinstance(slow.take(), Pingresp)
    publisher.send(Publish(b"fast", b"\xff\xff\xff\xff"))
    assert slow.payloads(4) == 1


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize("kind", ["tcp", "ssl"])
def test_a_publisher_that_never_reads_its_acknowledgements(
    broker: Any, client: Any, resident: Any, kind: str, level: int
) -> None:
    """It is paused once its unread PUBACKs pass the watermark; the others are served."""
    running = broker(NARROW.replace("KIND", kind))
    deaf = client(running, kind, level)
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect("deaf")
    before = resident(running)
    # One identifier at a time, so that MQTT 5's Receive Maximum is kept.
    data = encode(Publish(b"t", b"", 1, packet_id=1), level) * 65_536
    sent = flood(deaf, data, total=60_000_000)
    assert sent < 60_000_000, "never paused"
    assert resident(running) - before < SLACK
    other = client(running, kind, level).connect("other").subscribe("o")
    other.send(Publish(b"o", b"hello"))
    assert other.payloads(5) == 1


@pytest.mark.parametrize("level", [4, 5])
def test_a_paused_publisher_goes_on_when_it_reads(broker: Any, client: Any, level: int) -> None:
    """Every PUBACK arrives in the end."""
    running = broker(NARROW.replace("KIND", "tcp"))
    lazy = client(running, "tcp", level)
    lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    lazy.connect("lazy")
    data = encode(Publish(b"t", b"", 1, packet_id=1), level) * 65_536
    sent = flood(lazy, data, total=20_000_000, patience=1)
    rest = -sent % (len(data) // 65_536)
    expected = (sent + rest) // (len(data) // 65_536)
    lazy.sock.setblocking(False)
    got = 0
    pending = data[-rest:] if rest else b""
    size = len(b"\x40\x02\x00\x01") if level == 4 else len(b"\x40\x03\x00\x01\x10")
    while got < expected * size:
        writers = [lazy.sock] if pending else []
        ready = select.select([lazy.sock], writers, [], 15)
        assert ready[0] or ready[1], f"stuck at {got} of {expected * size} bytes"
        if ready[1]:
            pending = pending[lazy.sock.send(pending) :]
        if ready[0]:
            data = lazy.receive()
            assert data, f"closed at {got} of {expected * size} bytes"
            got += len(data)
    assert got == expected * size


def test_pings_without_reading(broker: Any, client: Any, resident: Any) -> None:
    """PINGRESPs that nobody reads are bounded too."""
    running = broker(NARROW.replace("KIND", "tcp"))
    deaf = client(running)
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect("deaf")
    before = resident(running)
    sent = flood(deaf, encode(Pingreq(), 4) * 32_768, total=40_000_000)
    assert sent < 40_000_000
    assert resident(running) - before < SLACK


def test_a_websocket_ping_flood_without_reading(broker: Any, client: Any, resident: Any) -> None:
    """A pong for each ping would fill our memory."""
    running = broker(NARROW.replace("KIND", "ws"))
    deaf = client(running, "ws")
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect("deaf")
    before = resident(running)
    flood(deaf, deaf.frame(bytes(125), 9) * 1_000, total=40_000_000)
    assert resident(running) - before < SLACK
    other = client(running, "ws").connect("other").subscribe("o")
    other.send(Publish(b"o", b"hello"))
    assert other.payloads(5) == 1

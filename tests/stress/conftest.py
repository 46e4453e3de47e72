"""Blocking clients that misbehave on purpose, and a look at the broker's memory."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.decode import Packet, decode
from mqttd.packets.encode import encode
from mqttd.packets.framing import Framer
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic

LISTENERS = """
listeners.tcp.default { bind = "127.0.0.1:0" }
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "etc/certs/key.pem"
    certfile = "etc/certs/cert.pem"
    cacertfile = "etc/certs/cacert.pem"
    handshake_timeout = 2s
  }
}
listeners.ws.default { bind = "127.0.0.1:0" }
sys_topics.sys_msg_interval = 1s
"""


class Client:
    """A socket to one listener: raw bytes, or packets through the codec. ``level`` is 4 or 5."""

    def __init__(self, broker: Any, kind: str = "tcp", level: int = 4) -> None:
        self.level = level
        self.kind = kind
        port = broker.ports[f"{kind}:default"]
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if kind == "ssl":
            context = ssl.create_default_context(cafile=broker.cafile)
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self._framer = Framer(1 << 28)
        self._raw = b""
        if kind == "ws":
            self._upgrade()

    def _upgrade(self) -> None:
        self.sock.sendall(
            b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        )
        while b"\r\n\r\n" not in self._raw:
            self._raw += self.sock.recv(4096)
        status, _, self._raw = self._raw.partition(b"\r\n\r\n")
        assert b" 101 " in status

    def frame(self, data: bytes, opcode: int = 2) -> bytes:
        """A WebSocket frame; the masking key is zero, so the payload stays as it is."""
        size = len(data)
        if size < 126:
            length = bytes((0x80 | size,))
        elif size < 1 << 16:
            length = b"\xfe" + struct.pack("!H", size)
        else:
            length = b"\xff" + struct.pack("!Q", size)
        return bytes((0x80 | opcode,)) + length + bytes(4) + data

    def send_bytes(self, data: bytes) -> None:
        """Bytes of MQTT, in a frame where the listener is a WebSocket."""
        self.sock.sendall(self.frame(data) if self.kind == "ws" else data)

    def send(self, *packets: Packet) -> None:
        self.send_bytes(b"".join(encode(packet, self.level) for packet in packets))

    def receive(self) -> bytes:
        """Some bytes of MQTT; empty at the end."""
        if self.kind != "ws":
            return self.sock.recv(262_144)
        while True:
            start, size = 2, self._raw[1] & 0x7F if len(self._raw) > 1 else 1 << 62
            if size == 126 and len(self._raw) >= 4:
                start, size = 4, int.from_bytes(self._raw[2:4], "big")
            elif size == 127 and len(self._raw) >= 10:
                start, size = 10, int.from_bytes(self._raw[2:10], "big")
            elif size in (126, 127):
                size = 1 << 62
            if len(self._raw) >= start + size:
                body, self._raw = self._raw[start : start + size], self._raw[start + size :]
                return body
            more = self.sock.recv(262_144)
            if not more:
                return b""
            self._raw += more

    def take(self) -> Packet | None:
        """The next packet, or None when the broker closed the connection."""
        while (frame := self._framer.next_frame()) is None:
            data = self.receive()
            if not data:
                return None
            self._framer.feed(data)
        return decode(*frame, self.level, from_client=False)

    def connect(self, client_id: str, **fields: Any) -> Client:
        self.send(Connect(client_id, self.level, **fields))
        answer = self.take()
        assert isinstance(answer, Connack)
        assert answer.reason_code == 0
        return self

    def subscribe(self, topic_filter: str, qos: int = 0) -> Client:
        self.send(Subscribe(1, [SubscribeTopic(topic_filter, qos)]))
        assert isinstance(self.take(), Suback)
        return self

    def payloads(self, size: int) -> int:
        """Read PUBLISH packets until their payloads sum up to ``size``; returns how many."""
        count = 0
        while size > 0:
            packet = self.take()
            assert isinstance(packet, Publish)
            size -= len(packet.payload)
            count += 1
        return count

    def seconds_to_end(self) -> float:
        """Wait until the broker ends the connection."""
        started = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            while self.receive():
                pass
        return time.monotonic() - started


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    """Open a client; closed with the test."""
    opened: list[Client] = []

    def open_client(broker: Any, kind: str = "tcp", level: int = 4) -> Client:
        opened.append(Client(broker, kind, level))
        return opened[-1]

    yield open_client
    for each in opened:
        each.sock.close()


@pytest.fixture
def broker(start_broker: Callable[[str], Any]) -> Iterator[Callable[..., Any]]:
    """Start a broker of this test's own, with more options than the listeners."""
    started: list[Any] = []

    def start(options: str = "") -> Any:
        started.append(start_broker(LISTENERS + options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def resident() -> Callable[[Any], float]:
    """Resident memory of a broker in MB, as the kernel counts it."""

    def read(broker: Any) -> float:
        with open(f"/proc/{broker.process.pid}/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    return read


@pytest.fixture
def sys_figure(client: Callable[..., Client]) -> Callable[[Any, str], Iterator[int]]:
    """The values of one ``$SYS`` figure as they come, one a second or so."""

    def watch(broker: Any, name: str) -> Iterator[int]:
        watcher = client(broker).connect("watcher").subscribe(f"$SYS/broker/{name}")
        while True:
            packet = watcher.take()
            assert isinstance(packet, Publish)
            yield int(packet.payload)

    return watch

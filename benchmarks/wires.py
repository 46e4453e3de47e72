"""A blocking MQTT client over tcp, ssl or ws: packets in, packets out."""

from __future__ import annotations

import socket
import ssl
import struct

import peers

from mqttd.packets.decode import Packet, decode
from mqttd.packets.encode import encode
from mqttd.packets.framing import Framer
from mqttd.packets.types import PacketType

_UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)


class Wire:
    """One connection. Raises OSError and RuntimeError for whatever goes wrong."""

    def __init__(
        self, peer: peers.Peer, kind: str, level: int, context: ssl.SSLContext | None
    ) -> None:
        self.level = level
        self._websocket = kind == "ws"
        self._raw = b""
        self._framer = Framer(1 << 28)
        port = {"tcp": peer.tcp_port, "ssl": peer.tls_port, "ws": peer.ws_port}[kind]
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if kind == "ssl" and context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        if self._websocket:
            self.sock.sendall(_UPGRADE)
            while b"\r\n\r\n" not in self._raw:
                self._raw += self._some()
            status, _, self._raw = self._raw.partition(b"\r\n\r\n")
            if b" 101 " not in status:
                raise RuntimeError(f"no WebSocket: {status!r}")

    def close(self) -> None:
        """Without ceremony."""
        self.sock.close()

    def send(self, packet: Packet) -> None:
        """One packet; in a frame with a masking key of zero where it is a WebSocket."""
        data = encode(packet, self.level)
        if self._websocket:
            size = len(data)
            if size < 126:
                head = bytes((0x82, 0x80 | size))
            else:
                head = b"\x82\xfe" + struct.pack("!H", size)
            data = head + bytes(4) + data
        self.sock.sendall(data)

    def take(self, kind: PacketType | None = None) -> Packet:
        """The next packet, which must be of ``kind``."""
        while (frame := self._framer.next_frame()) is None:
            self._framer.feed(self._message() if self._websocket else self._some())
        if kind is not None and frame[0] >> 4 != kind:
            raise RuntimeError(f"not {kind.name}: {frame[0]:#x}")
        return decode(*frame, self.level, from_client=False)

    def _some(self) -> bytes:
        data = self.sock.recv(65_536)
        if not data:
            raise RuntimeError("the broker closed the connection")
        return data

    def _message(self) -> bytes:
        """The payload of the next frame; the broker's have no mask."""
        raw = self._raw
        while len(raw) < 2:
            raw += self._some()
        start, size = 2, raw[1] & 0x7F
        if size >= 126:
            width = 2 if size == 126 else 8
            start += width
            while len(raw) < start:
                raw += self._some()
            size = int.from_bytes(raw[2:start], "big")
        while len(raw) < start + size:
            raw += self._some()
        self._raw = raw[start + size :]
        return raw[start : start + size]

"""The server side of MQTT over WebSocket: HTTP request, frames in, frames out, close."""

from __future__ import annotations

import enum

from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.net.websocket_deflate import Deflate
from mqttd.net.websocket_frames import (
    BINARY,
    COMPRESSED,
    FIN,
    GOING_AWAY,
    NORMAL_CLOSURE,
    PONG,
    FrameError,
    FrameReader,
    close_frame,
    frame_header,
)
from mqttd.net.websocket_handshake import Handshake, Refusal, Upgrade

MAX_INFLATED = 4 * 1024 * 1024
"""Octets one call of receive() may make out of compressed data, unless told otherwise."""


class _State(enum.Enum):
    HANDSHAKE = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()  # our Close is sent, the peer's has not come
    FINISHED = enum.auto()


class WebSocketServer:
    """One client's WebSocket, between its bytes and those of MQTT.

    After every call of receive(), send() or close() the caller writes what outgoing() returns.
    Nothing a peer sends raises: bad HTTP is answered with HTTP, a bad frame with a Close frame,
    and then ``closed`` is True and ``reason`` says why. MQTT packets and frames need not be
    aligned in what comes [MQTT-6.0.0-2]; ``mqtt_piggyback = single`` concerns what is sent.
    Timeouts are the caller's.
    """

    __slots__ = (
        "_deflate",
        "_forwarded",
        "_handshake",
        "_max_inflated",
        "_options",
        "_out",
        "_path",
        "_pong",
        "_reader",
        "_single",
        "_state",
        "_subprotocol",
        "kind",
        "reason",
    )

    def __init__(self, options: WebSocketOptions, max_inflated: int = MAX_INFLATED) -> None:
        self.reason = ""
        """Why the request was refused or the WebSocket closed, for the log; "" at first."""
        self.kind = "websocket-closed"
        """The same as a word of the table of causes."""
        self._options = options
        self._max_inflated = max_inflated
        self._handshake = Handshake(options)
        self._state = _State.HANDSHAKE
        self._out: list[bytes] = []
        self._pong: bytes | None = None
        self._reader: FrameReader | None = None
        self._deflate: Deflate | None = None
        self._single = options.mqtt_piggyback == "single"
        self._path: str | None = None
        self._subprotocol: str | None = None
        self._forwarded: tuple[str | None, int | None] = (None, None)

    @property
    def established(self) -> bool:
        """Whether the request was accepted (also after the close)."""
        return self._reader is not None

    @property
    def closed(self) -> bool:
        """Whether payload no longer goes either way; what outgoing() has is still to be sent."""
        return self._state in {_State.CLOSING, _State.FINISHED}

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be waited for: the connection under it may be closed."""
        return self._state is _State.FINISHED

    @property
    def path(self) -> str | None:
        """Path of the request, without the query; None before ``established``."""
        return self._path

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol agreed on; None also where none is demanded and none was offered."""
        return self._subprotocol

    @property
    def forwarded_for(self) -> str | None:
        """The client's address as ``proxy_address_header`` says; None without that option."""
        return self._forwarded[0]

    @property
    def forwarded_port(self) -> int | None:
        """The client's port as ``proxy_port_header`` says; None without that option."""
        return self._forwarded[1]

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes of the peer and return the MQTT bytes among them, in order, in pieces."""
        if self._state is _State.FINISHED:
            return []
        reader = self._reader
        if reader is None:
            outcome = self._handshake.feed(data)
            if not isinstance(outcome, Upgrade):
                if outcome is not None:
                    self._refuse(outcome)
                return []
            reader = self._open(outcome)
            data = outcome.rest
        payload: list[bytes] = []
        try:
            reader.feed(data, payload)
        except FrameError as error:
            self._read_ping(reader)
            if self._state is _State.OPEN:
                self._send_close(error.code, error.reason)
                self.reason = error.reason
                self.kind = "websocket-frame"
            # [RFC 6455, 7.1.7] nothing more is read from a peer that broke the rules.
            self._state = _State.FINISHED
            return payload
        if self._state is _State.CLOSING:
            payload.clear()
        self._read_ping(reader)
        if reader.close_code is not None:
            if self._state is _State.OPEN:
                self._send_close(reader.close_code)
                self.reason = "the peer closed the WebSocket"
            self._state = _State.FINISHED
        return payload

    def send(self, payload: bytes) -> None:
        """Queue MQTT bytes as one binary frame [MQTT-6.0.0-1]; dropped when not open.

        With ``mqtt_piggyback = single`` each MQTT packet gets a frame, and ``payload`` has to
        hold whole ones.
        """
        if self._state is not _State.OPEN or not payload:
            return
        if self._single:
            for packet in _packets(payload):
                self._send_message(packet)
        else:
            self._send_message(payload)

    def outgoing(self) -> bytes:
        """Return and forget the bytes to be written to the peer."""
        if self._pong is not None:
            self._send_pong()
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Queue the Close frame, or before the WebSocket is open an HTTP refusal (408 or 503)."""
        if self._state is _State.OPEN:
            self._send_close(code, reason)
            self._state = _State.CLOSING
        elif self._state is _State.HANDSHAKE:
            if self._handshake.begun:
                self._refuse(self._handshake.give_up(503 if code == GOING_AWAY else 408))
            self._state = _State.FINISHED

    def _open(self, upgrade: Upgrade) -> FrameReader:
        options = self._options
        if upgrade.deflate is not None:
            self._deflate = Deflate(upgrade.deflate, options.deflate_opts)
        reader = FrameReader(options.max_frame_size, self._max_inflated, self._deflate)
        self._reader = reader
        self._state = _State.OPEN
        self._out.append(upgrade.response)
        self._path = upgrade.path
        self._subprotocol = upgrade.subprotocol
        self._forwarded = (upgrade.forwarded_for, upgrade.forwarded_port)
        return reader

    def _refuse(self, refusal: Refusal) -> None:
        self._out.append(refusal.response)
        self.reason = refusal.reason
        self.kind = refusal.kind
        self._state = _State.FINISHED

    def _read_ping(self, reader: FrameReader) -> None:
        if reader.ping is not None:
            if self._state is _State.OPEN:
                self._pong = reader.ping
            reader.ping = None

    def _send_pong(self) -> None:
        assert self._pong is not None
        self._out += (frame_header(FIN | PONG, len(self._pong)), self._pong)
        self._pong = None

    def _send_message(self, payload: bytes) -> None:
        if self._deflate is not None:
            compressed = self._deflate.deflate(payload)
            if compressed is not None:
                self._out += (frame_header(FIN | COMPRESSED | BINARY, len(compressed)), compressed)
                return
        self._out += (frame_header(FIN | BINARY, len(payload)), payload)

    def _send_close(self, code: int, reason: str = "") -> None:
        if self._pong is not None:
            self._send_pong()  # nothing may follow the Close frame
        self._out.append(close_frame(code, reason))


def _packets(data: bytes) -> list[bytes]:
    """Cut bytes of our own making into MQTT packets, by their remaining length."""
    packets: list[bytes] = []
    position, end = 0, len(data)
    while position < end:
        length, shift, index = 0, 0, position + 1
        while index < end:
            length |= (data[index] & 0x7F) << shift
            shift += 7
            index += 1
            if data[index - 1] < 0x80:
                break
        packets.append(data[position : index + length])
        position = index + length
    return packets

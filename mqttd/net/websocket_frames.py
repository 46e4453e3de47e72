"""The frames of a WebSocket as a server reads and writes them (RFC 6455, section 5)."""

from __future__ import annotations

import struct

from mqttd.net.websocket_deflate import Deflate, InflationError

FIN = 0x80
COMPRESSED = 0x40
CONTINUATION, TEXT, BINARY = 0x0, 0x1, 0x2
CLOSE, PING, PONG = 0x8, 0x9, 0xA

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_STATUS = 1005
INVALID_PAYLOAD = 1007
MESSAGE_TOO_BIG = 1009

_LAST_LENGTH = 2**63 - 1
_XOR = tuple(bytes(value ^ key for value in range(256)) for key in range(256))
_NO_KEY = bytes(4)
_INTEGER_LIMIT = 1024
"""Octets up to which one big-integer XOR is faster than four translations (measured)."""


class FrameError(Exception):
    """The peer broke a rule; ``code`` is the close code [RFC 6455, 7.4.1]. No peer data in it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def unmask(key: bytes, data: bytes) -> bytes:
    """Return ``data`` with the four octets of ``key`` repeated over it [RFC 6455, 5.3]."""
    if key == _NO_KEY:
        return data
    size = len(data)
    if size <= _INTEGER_LIMIT:
        repeated = (key * ((size >> 2) + 1))[:size]
        return (int.from_bytes(data) ^ int.from_bytes(repeated)).to_bytes(size)
    plain = bytearray(data)
    for index in range(4):
        plain[index::4] = plain[index::4].translate(_XOR[key[index]])
    return bytes(plain)


def frame_header(first: int, length: int) -> bytes:
    """Return the header of a frame to a client; ``first`` is FIN, COMPRESSED and opcode."""
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a Close frame; NO_STATUS makes an empty one. The reason is cut at 123 octets."""
    body = b""
    if code != NO_STATUS:
        text = reason.encode("utf-8")[:123].decode("utf-8", "ignore")
        body = code.to_bytes(2) + text.encode("utf-8")
    return frame_header(FIN | CLOSE, len(body)) + body


class FrameReader:
    """Takes the bytes of one client apart. Keeps no payload: it is handed on as it arrives.

    Only an unfinished header or control frame is held, at most 139 octets. ``max_frame_size``
    bounds what a frame may declare and, with compression, what it may inflate to;
    ``max_inflated`` bounds what one call of feed() may make out of compressed data.
    """

    __slots__ = (
        "_compressed",
        "_deflate",
        "_fin",
        "_held",
        "_in_frame",
        "_in_message",
        "_inflated",
        "_key",
        "_left",
        "_max_frame_size",
        "_max_inflated",
        "_spent",
        "close_code",
        "ping",
    )

    def __init__(
        self, max_frame_size: int | None, max_inflated: int, deflate: Deflate | None
    ) -> None:
        self.ping: bytes | None = None
        """Payload of the latest Ping; the caller answers it and sets None."""
        self.close_code: int | None = None
        """Code of the peer's Close, NO_STATUS when it has none. Nothing is read after it."""
        self._max_frame_size = _LAST_LENGTH if max_frame_size is None else max_frame_size
        self._max_inflated = max_inflated
        self._deflate = deflate
        self._held = b""
        self._in_message = False  # a continuation has to come
        self._compressed = False  # of the message
        self._in_frame = False
        self._fin = False
        self._left = 0
        self._key = _NO_KEY
        self._inflated = 0  # octets out of the current frame
        self._spent = 0  # octets inflated in this call

    def feed(self, data: bytes, out: list[bytes]) -> None:
        """Append the payload of binary messages to ``out``, in order, in pieces of any size.

        Raises FrameError; what came before the error is in ``out`` then.
        """
        self._spent = 0
        if self._held:
            data = self._held + data
            self._held = b""
        position = self._payload(data, 0, out) if self._in_frame else 0
        end = len(data)
        while position < end:
            start = self._frame(data, position, end, out)
            if start == position:
                self._held = data[position:]
                return
            position = start
            if self.close_code is not None:
                return

    def _frame(self, data: bytes, position: int, end: int, out: list[bytes]) -> int:
        """Take one frame, or what is there of its payload, and return where the next begins.

        Returns ``position`` when the header (or the control frame) is not complete.
        """
        if end - position < 2:
            return position
        first, second = data[position], data[position + 1]
        if first != FIN | BINARY or self._in_message:
            self._check_first(first, second)
        if second < 0x80:
            raise FrameError(PROTOCOL_ERROR, "a frame is not masked")
        length = second & 0x7F
        body = position + 2
        if length > 125:
            width, least = (2, 126) if length == 126 else (8, 65536)
            body += width
            if body > end:
                return position
            length = int.from_bytes(data[body - width : body])
            if not least <= length <= _LAST_LENGTH:
                raise FrameError(PROTOCOL_ERROR, "a frame length is not in its shortest form")
        # Refused from what the header declares: nothing of it is ever kept.
        if length > self._max_frame_size:
            raise FrameError(MESSAGE_TOO_BIG, "a frame is larger than max_frame_size")
        body += 4
        if body > end:
            return position
        key = data[body - 4 : body]
        stop = body + length
        if first & 0x08:
            if stop > end:
                return position
            self._control(first & 0x0F, unmask(key, data[body:stop]))
            return stop
        if first == FIN | BINARY and stop <= end and not self._in_message:
            # By far the most frequent case: a whole message in a whole frame.
            if length:
                out.append(unmask(key, data[body:stop]))
            return stop
        if first & 0x0F:
            self._compressed = bool(first & COMPRESSED)
        self._fin = bool(first & FIN)
        self._in_frame = self._in_message = True
        self._left, self._key, self._inflated = length, key, 0
        return self._payload(data, body, out)

    def _check_first(self, first: int, second: int) -> None:
        """Raise FrameError for what the first two octets cannot be here."""
        opcode = first & 0x0F
        if first & 0x70 and not (first & 0x70 == COMPRESSED and self._may_compress(opcode)):
            raise FrameError(PROTOCOL_ERROR, "a frame has reserved bits set")
        if opcode == TEXT:
            # [MQTT-6.0.0-1] MQTT Control Packets come in binary frames.
            raise FrameError(UNSUPPORTED_DATA, "a text frame: MQTT needs binary ones")
        if opcode in {BINARY, CONTINUATION}:
            if (opcode == CONTINUATION) != self._in_message:
                raise FrameError(PROTOCOL_ERROR, "a message is begun or continued out of turn")
        elif opcode not in {CLOSE, PING, PONG}:
            raise FrameError(PROTOCOL_ERROR, "a frame has an unknown opcode")
        elif not first & FIN or second & 0x7F > 125:
            raise FrameError(PROTOCOL_ERROR, "a control frame is fragmented or too long")

    def _may_compress(self, opcode: int) -> bool:
        # Only the first frame of a message says that it is compressed [RFC 7692, 6].
        return self._deflate is not None and opcode in {TEXT, BINARY}

    def _payload(self, data: bytes, position: int, out: list[bytes]) -> int:
        """Hand on what is there of the current frame's payload; return where it ends."""
        stop = min(len(data), position + self._left)
        piece = unmask(self._key, data[position:stop])
        self._left -= len(piece)
        if self._left:
            turn = len(piece) % 4
            self._key = self._key[turn:] + self._key[:turn]
        else:
            self._in_frame = False
            self._in_message = not self._fin
        if self._compressed:
            piece = self._inflate(piece, message_ends=not self._in_message)
        if piece:
            out.append(piece)
        return stop

    def _inflate(self, piece: bytes, *, message_ends: bool) -> bytes:
        assert self._deflate is not None
        limit = min(self._max_inflated - self._spent, self._max_frame_size - self._inflated)
        try:
            plain = self._deflate.inflate(piece, limit, message_ends=message_ends)
        except InflationError as error:
            if error.too_big:
                raise FrameError(MESSAGE_TOO_BIG, "compressed data inflates too far") from None
            raise FrameError(INVALID_PAYLOAD, "compressed data is damaged") from None
        self._spent += len(plain)
        self._inflated += len(plain)
        return plain

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            # Only the latest is answered [RFC 6455, 5.5.3]: a flood of Pings builds up nothing.
            self.ping = payload
        elif opcode == CLOSE:
            self.close_code = _read_close(payload)


def _read_close(payload: bytes) -> int:
    """Return the code of a Close frame. Raises FrameError [RFC 6455, 5.5.1 and 7.4]."""
    if not payload:
        return NO_STATUS
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or not (
        1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    ):
        raise FrameError(PROTOCOL_ERROR, "a Close frame has no valid code")
    try:
        payload[2:].decode("utf-8")
    except UnicodeDecodeError:
        raise FrameError(INVALID_PAYLOAD, "the reason of a Close frame is not UTF-8") from None
    return code

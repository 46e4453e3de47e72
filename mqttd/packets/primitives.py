"""The data types of the wire (1.5): integers, strings, binary data, variable byte integers."""

from __future__ import annotations

from typing import TypeGuard

from mqttd.packets.errors import MalformedPacket

MAX_VARIABLE = 268_435_455
"""The largest Variable Byte Integer, and so the longest body of a packet (1.5.5)."""

LONGEST_STRING = 65_535
"""Bytes of a UTF-8 Encoded String and of Binary Data (1.5.4, 1.5.6)."""

_TOO_SHORT = "the packet ends too early"


class Reader:
    """Reads a part of one packet from left to right; raises MalformedPacket where it ends early.

    ``position`` is the next byte to read, ``end`` one behind the last that may be read.
    """

    __slots__ = ("_data", "end", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self.position = position
        self.end = len(data)

    def byte(self) -> int:
        """One byte."""
        position = self.position
        if position >= self.end:
            raise MalformedPacket(_TOO_SHORT)
        self.position = position + 1
        return self._data[position]

    def two(self) -> int:
        """Two Byte Integer."""
        position = self.position
        if position + 2 > self.end:
            raise MalformedPacket(_TOO_SHORT)
        self.position = position + 2
        return self._data[position] << 8 | self._data[position + 1]

    def four(self) -> int:
        """Four Byte Integer."""
        return int.from_bytes(self._take(4), "big")

    def binary(self) -> bytes:
        """Binary Data: a two byte length, then as many bytes (1.5.6)."""
        return self._take(self.two())

    def string(self) -> str:
        """UTF-8 Encoded String (1.5.4)."""
        start = self.position + 2
        if start > self.end:
            raise MalformedPacket(_TOO_SHORT)
        data = self._data
        end = start + (data[start - 2] << 8 | data[start - 1])
        if end > self.end:
            raise MalformedPacket(_TOO_SHORT)
        self.position = end
        return text(data[start:end])

    def variable(self) -> int:
        """Variable Byte Integer (1.5.5)."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    # [MQTT-1.5.5-1]
                    raise MalformedPacket("a variable byte integer is not in its shortest form")
                return value
        raise MalformedPacket("a variable byte integer is longer than four bytes")

    def rest(self) -> bytes:
        """Everything that is left."""
        return self._take(self.end - self.position)

    def more(self) -> bool:
        """Whether anything is left."""
        return self.position < self.end

    def finish(self) -> None:
        """The packet must end here."""
        if self.position != self.end:
            raise MalformedPacket("the packet is longer than its content")

    def _take(self, count: int) -> bytes:
        position = self.position
        end = position + count
        if end > self.end:
            raise MalformedPacket(_TOO_SHORT)
        self.position = end
        return self._data[position:end]


def text(data: bytes) -> str:
    """The characters of a UTF-8 Encoded String; raises MalformedPacket when it is none.

    U+FEFF stays where it is [MQTT-1.5.4-3]; the other code points that SHOULD NOT be used pass.
    """
    try:
        # [MQTT-1.5.4-1]: the decoder refuses surrogates and overlong forms by itself.
        result = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedPacket("a string is not well-formed UTF-8") from None
    if "\0" in result:
        raise MalformedPacket("a string holds U+0000")  # [MQTT-1.5.4-2]
    return result


def encode_byte(value: int) -> bytes:
    """One byte. Raises ValueError out of range."""
    return bytes((value,))


def encode_two(value: int) -> bytes:
    """Two Byte Integer. Raises ValueError out of range."""
    return bytes((value >> 8, value & 0xFF))


def encode_four(value: int) -> bytes:
    """Four Byte Integer. Raises ValueError out of range."""
    return encode_two(value >> 16) + encode_two(value & 0xFFFF)


def encode_binary(data: bytes) -> bytes:
    """Binary Data with its length. Raises ValueError above 65,535 bytes."""
    return encode_two(len(data)) + data


def encode_string(value: str) -> bytes:
    """UTF-8 Encoded String with its length.

    Raises ValueError above 65,535 bytes, and for surrogates and U+0000, which no string may hold.
    """
    if "\0" in value:
        raise ValueError("U+0000 has no place in a string")  # [MQTT-1.5.4-2]
    return encode_binary(value.encode("utf-8"))


def is_text(value: object) -> TypeGuard[str]:
    """Whether a UTF-8 Encoded String can carry it: :func:`encode_string` does not raise."""
    if not isinstance(value, str) or "\0" in value:  # [MQTT-1.5.4-2]
        return False
    try:
        return len(value) <= LONGEST_STRING and len(value.encode("utf-8")) <= LONGEST_STRING
    except UnicodeEncodeError:  # half of a pair
        return False


def encode_variable(value: int) -> bytes:
    """Variable Byte Integer, shortest form [MQTT-1.5.5-1]. Raises ValueError out of range."""
    if 0 <= value < 0x80:
        return bytes((value,))
    if not 0 <= value <= MAX_VARIABLE:
        raise ValueError(f"{value} is out of the range of a variable byte integer")
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def frame(first_byte: int, *parts: bytes) -> bytes:
    """A whole packet: fixed header and body. Raises ValueError for a body above 256 MB."""
    body = b"".join(parts)
    return bytes((first_byte,)) + encode_variable(len(body)) + body

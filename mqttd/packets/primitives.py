"""The data types of the wire (1.5): integers, strings, binary data, variable byte integers."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket

MAX_VARIABLE = 268_435_455


class Reader:
    """Reads the body of one packet from left to right; raises MalformedPacket where it ends early.

    ``position`` is the next byte to read, ``end`` one behind the last that may be read.
    """

    __slots__ = ("_data", "end", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        self._data = data
        self.position = position
        self.end = len(data) if end is None else end

    def byte(self) -> int:
        """One byte."""
        position = self.position
        if position >= self.end:
            raise MalformedPacket("the packet ends too early")
        self.position = position + 1
        return self._data[position]

    def two(self) -> int:
        """Two Byte Integer."""
        return int.from_bytes(self.take(2), "big")

    def four(self) -> int:
        """Four Byte Integer."""
        return int.from_bytes(self.take(4), "big")

    def take(self, count: int) -> bytes:
        """``count`` raw bytes."""
        position = self.position
        if position + count > self.end:
            raise MalformedPacket("the packet ends too early")
        self.position = position + count
        return self._data[position : position + count]

    def binary(self) -> bytes:
        """Binary Data: a two byte length, then as many bytes."""
        return self.take(self.two())

    def string(self) -> str:
        """UTF-8 Encoded String."""
        return text(self.binary())

    def variable(self) -> int:
        """Variable Byte Integer."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    # [MQTT-1.5.5-1]: the shortest form must be used.
                    raise MalformedPacket("a variable byte integer is not in its shortest form")
                return value
        raise MalformedPacket("a variable byte integer is longer than four bytes")

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(self.end - self.position)

    def finish(self) -> None:
        """The packet must end here."""
        if self.position != self.end:
            raise MalformedPacket("the packet is longer than its content")


def text(data: bytes) -> str:
    """Decode a UTF-8 Encoded String. [MQTT-1.5.4-1] (no surrogates), [MQTT-1.5.4-2] (no U+0000).

    Python's decoder refuses surrogates and overlong forms by itself; U+FEFF is kept as it is
    [MQTT-1.5.4-3].
    """
    try:
        result = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedPacket("a string is not well-formed UTF-8") from None
    if "\0" in result:
        raise MalformedPacket("a string holds U+0000")
    return result


def encode_two(value: int) -> bytes:
    """Two Byte Integer."""
    return value.to_bytes(2, "big")


def encode_binary(data: bytes) -> bytes:
    """Binary Data with its length. Raises ValueError above 65,535 bytes."""
    if len(data) > 65_535:
        raise ValueError("more than 65,535 bytes do not fit")
    return len(data).to_bytes(2, "big") + data


def encode_string(value: str) -> bytes:
    """UTF-8 Encoded String with its length."""
    return encode_binary(value.encode())


def encode_variable(value: int) -> bytes:
    """Variable Byte Integer in its shortest form. Raises ValueError out of range."""
    if 0 <= value < 0x80:
        return bytes((value,))
    if not 0 <= value <= MAX_VARIABLE:
        raise ValueError("out of the range of a variable byte integer")
    result = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        if not value:
            result.append(byte)
            return bytes(result)
        result.append(byte | 0x80)


def frame(first_byte: int, *parts: bytes) -> bytes:
    """Fixed header and body."""
    body = b"".join(parts)
    return bytes((first_byte,)) + encode_variable(len(body)) + body

"""A byte stream cut into packets; the size limit is applied before anything is kept."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket, PacketTooLarge


class Framer:
    """Feed it bytes, ask it for frames.

    ``max_packet_size`` bounds a whole packet, fixed header included; it may be changed at any
    time. A packet announced longer than that is refused as soon as its length is known, so a peer
    makes nobody keep more than one packet of that size.
    """

    __slots__ = ("_chunks", "_data", "_position", "_size", "_wanted", "max_packet_size")

    def __init__(self, max_packet_size: int) -> None:
        self.max_packet_size = max_packet_size
        self._data = b""
        self._position = 0
        # Chunks of a packet that is not complete yet are joined once, when it is.
        self._chunks: list[bytes] = []
        self._size = 0
        self._wanted = 0

    @property
    def buffered(self) -> int:
        """Bytes kept."""
        return len(self._data) - self._position + self._size

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if not self._chunks and self._position == len(self._data):
            self._data = data
            self._position = 0
        else:
            self._chunks.append(data)
            self._size += len(data)

    def next_frame(self) -> tuple[int, bytes] | None:
        """(first byte, body) of the next packet, or None when more bytes are needed.

        Raises MalformedPacket for a bad length, PacketTooLarge above the limit.
        """
        if self._chunks and self.buffered >= self._wanted:
            self._join()
        data = self._data
        position = self._position
        available = len(data) - position
        if available < 2:
            self._wanted = 2
            return None
        length = data[position + 1]
        start = position + 2
        if length >= 0x80:
            length &= 0x7F
            shift = 7
            while True:
                if shift > 21:
                    raise MalformedPacket("the remaining length is longer than four bytes")
                if start >= len(data):
                    self._wanted = available + 1
                    return None
                byte = data[start]
                start += 1
                length |= (byte & 0x7F) << shift
                if byte < 0x80:
                    if not byte:
                        # [MQTT-1.5.5-1]
                        raise MalformedPacket("the remaining length is not in its shortest form")
                    break
                shift += 7
        end = start + length
        if end - position > self.max_packet_size:
            raise PacketTooLarge(
                f"a packet of {end - position} bytes, the maximum is {self.max_packet_size}"
            )
        if end > len(data):
            self._wanted = end - position
            return None
        self._position = end
        return data[position], data[start:end]

    def _join(self) -> None:
        chunks = self._chunks
        if self._position < len(self._data):
            chunks.insert(0, self._data[self._position :])
        self._data = b"".join(chunks)
        self._position = 0
        self._size = 0
        self._wanted = 0
        chunks.clear()

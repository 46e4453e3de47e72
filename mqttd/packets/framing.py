"""A byte stream cut into packets; the size limit is applied before a body is kept."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket, PacketTooLarge


class Framer:
    """Feed it bytes, ask it for frames.

    ``max_packet_size`` is the largest whole packet, fixed header included, in bytes; it may be
    changed at any time. A packet announced longer than that is refused as soon as its length is
    known, so a peer makes nobody keep more than one packet of that size and one chunk.

    Every byte is copied a fixed number of times, however the peer cuts its packets: whole packets
    are cut from the chunk they came in, and an incomplete one grows in one buffer that is looked
    at again only when it can be complete.
    """

    __slots__ = ("_data", "_incomplete", "_position", "_wanted", "max_packet_size")

    def __init__(self, max_packet_size: int) -> None:
        self.max_packet_size = max_packet_size
        self._data = b""
        self._position = 0
        self._incomplete = bytearray()
        # The length at which _incomplete is worth another look.
        self._wanted = 0

    @property
    def buffered(self) -> int:
        """Bytes kept and not yet returned as frames."""
        return len(self._data) - self._position + len(self._incomplete)

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer."""
        position = self._position
        if not self._incomplete and position == len(self._data):
            self._data = data
        else:
            if position < len(self._data):
                self._incomplete += self._data[position:]
                self._wanted = 0  # nobody has looked at these yet
            self._data = b""
            self._incomplete += data
        self._position = 0

    def next_frame(self) -> tuple[int, bytes] | None:
        """(first byte, body) of the next packet, or None when more bytes are needed.

        Raises MalformedPacket for a Remaining Length that is none, PacketTooLarge above the limit.
        After an error the stream has no more packets to find; asking again gives the same error.
        """
        if self._incomplete:
            if len(self._incomplete) < self._wanted:
                return None
            self._data = bytes(self._incomplete)
            self._incomplete = bytearray()
        data = self._data
        position = self._position
        available = len(data) - position
        if available < 2:
            self._wait(2)
            return None
        length = data[position + 1]
        start = position + 2
        if length >= 0x80:
            length &= 0x7F
            shift = 7
            while True:
                if start == len(data):
                    self._wait(available + 1)
                    return None
                byte = data[start]
                start += 1
                length |= (byte & 0x7F) << shift
                if byte < 0x80:
                    break
                shift += 7
                if shift == 28:
                    raise MalformedPacket("the remaining length is longer than four bytes")
            if not byte:
                # [MQTT-1.5.5-1]
                raise MalformedPacket("the remaining length is not in its shortest form")
        end = start + length
        if end - position > self.max_packet_size:
            # [MQTT-3.2.2-15]
            raise PacketTooLarge(
                f"a packet of {end - position} bytes, the maximum is {self.max_packet_size}"
            )
        if end > len(data):
            self._wait(end - position)
            return None
        self._position = end
        return data[position], data[start:end]

    def rest(self) -> bytes:
        """What is kept and not yet returned as frames, for another framer."""
        return bytes(self._incomplete) + self._data[self._position :]

    def _wait(self, wanted: int) -> None:
        """Keep what is left until ``wanted`` bytes are there."""
        self._wanted = wanted
        if self._position < len(self._data):
            self._incomplete += self._data[self._position :]
        self._data = b""
        self._position = 0

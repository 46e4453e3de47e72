"""DISCONNECT (3.14)."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket
from mqttd.packets.primitives import Reader, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue

_CODES = frozenset(
    (0x00, 0x04, *range(0x80, 0x84), 0x87, 0x89, 0x8B, *range(0x8D, 0x91), *range(0x93, 0xA3))
)


class Disconnect(PacketValue):
    """DISCONNECT; below level 5 it is always a normal one from the client."""

    __slots__ = ("properties", "reason_code")

    def __init__(self, reason_code: int = 0, properties: Properties | None = None) -> None:
        self.reason_code = int(reason_code)
        self.properties = properties


def decode_disconnect(flags: int, body: bytes, level: int) -> Disconnect:
    """Read DISCONNECT. Raises MalformedPacket, ProtocolError."""
    if flags:
        raise MalformedPacket("reserved flags of DISCONNECT are not 0")  # [MQTT-3.14.1-1]
    if level < 5:
        if body:
            raise MalformedPacket("DISCONNECT with content")
        return Disconnect()
    if not body:
        return Disconnect()
    reader = Reader(body)
    code = reader.byte()
    if code not in _CODES:
        raise MalformedPacket(f"DISCONNECT with the reason code 0x{code:02x}")
    properties = None
    if reader.position < reader.end:
        properties = decode_properties(reader, PacketType.DISCONNECT)
        reader.finish()
    return Disconnect(code, properties)


def encode_disconnect(packet: Disconnect, level: int) -> bytes:
    """Bytes of DISCONNECT."""
    if level < 5 or (not packet.reason_code and packet.properties is None):
        return frame(PacketType.DISCONNECT << 4)
    properties = b"" if packet.properties is None else encode_properties(packet.properties)
    return frame(PacketType.DISCONNECT << 4, bytes((packet.reason_code,)), properties)

"""DISCONNECT (3.14)."""

from __future__ import annotations

from typing import ClassVar

from mqttd.packets.errors import MalformedPacket, ProtocolError
from mqttd.packets.flags import check_flags
from mqttd.packets.primitives import Reader, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.reason_codes import ALLOWED
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Disconnect(PacketValue):
    """DISCONNECT; below level 5 it is always a normal one from the client."""

    FIELDS: ClassVar[tuple[str, ...]] = ("properties", "reason_code")
    __slots__ = FIELDS

    def __init__(self, reason_code: int = 0, properties: Properties | None = None) -> None:
        self.reason_code = reason_code
        self.properties = properties


def decode_disconnect(flags: int, body: bytes, level: int) -> Disconnect:
    """Read DISCONNECT. Raises MalformedPacket, ProtocolError."""
    check_flags(PacketType.DISCONNECT, flags, level)  # [MQTT-3.14.1-1]
    if not body:
        return Disconnect()
    if level < 5:
        raise MalformedPacket("DISCONNECT is longer than its content")
    reader = Reader(body)
    code = reader.byte()
    if code not in ALLOWED[PacketType.DISCONNECT]:
        raise ProtocolError(f"DISCONNECT with the reason code 0x{code:02x}")  # [MQTT-3.14.2-1]
    properties = None
    if reader.more():
        # 3.14.2.2.1: with a Remaining Length below 2 there is no Property Length.
        properties = decode_properties(reader, PacketType.DISCONNECT)
        reader.finish()
    return Disconnect(code, properties)


def encode_disconnect(packet: Disconnect, level: int) -> bytes:
    """Bytes of DISCONNECT. Below level 5 a reason code has no place and is left out."""
    if level < 5 or (not packet.reason_code and packet.properties is None):
        return frame(PacketType.DISCONNECT << 4)
    properties = b"" if packet.properties is None else encode_properties(packet.properties)
    return frame(PacketType.DISCONNECT << 4, bytes((packet.reason_code,)), properties)

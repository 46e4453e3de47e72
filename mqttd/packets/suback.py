"""SUBACK (3.9)."""

from __future__ import annotations

from typing import ClassVar

from mqttd.packets.errors import ProtocolError
from mqttd.packets.flags import check_flags
from mqttd.packets.primitives import Reader, encode_two, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.reason_codes import ALLOWED, SUBACK_RETURN_CODES
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Suback(PacketValue):
    """SUBACK: one code for each Topic Filter of the SUBSCRIBE, in order [MQTT-3.9.3-1]."""

    FIELDS: ClassVar[tuple[str, ...]] = ("packet_id", "properties", "reason_codes")
    __slots__ = FIELDS

    def __init__(
        self, packet_id: int, reason_codes: list[int], properties: Properties | None = None
    ) -> None:
        self.packet_id = packet_id
        self.reason_codes = reason_codes
        self.properties = properties


def decode_suback(flags: int, body: bytes, level: int) -> Suback:
    """Read SUBACK. Raises MalformedPacket, ProtocolError."""
    check_flags(PacketType.SUBACK, flags, level)
    reader = Reader(body)
    packet_id = reader.two()
    if not packet_id:
        raise ProtocolError("the packet identifier is 0")  # [MQTT-2.2.1-6]
    properties = decode_properties(reader, PacketType.SUBACK) if level >= 5 else None
    codes = list(reader.rest())
    if not codes:
        raise ProtocolError("SUBACK without a reason code")  # 2.3, 3.9.3
    allowed = SUBACK_RETURN_CODES if level < 5 else ALLOWED[PacketType.SUBACK]
    if not allowed.issuperset(codes):
        raise ProtocolError("SUBACK with a code that is none of its own")  # [MQTT-3.9.3-2]
    return Suback(packet_id, codes, properties)


def encode_suback(packet: Suback, level: int) -> bytes:
    """Bytes of SUBACK."""
    return frame(
        PacketType.SUBACK << 4,
        encode_two(packet.packet_id),
        encode_properties(packet.properties) if level >= 5 else b"",
        bytes(packet.reason_codes),
    )

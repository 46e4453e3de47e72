"""UNSUBACK (3.11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mqttd.packets.errors import ProtocolError
from mqttd.packets.flags import check_flags
from mqttd.packets.primitives import Reader, encode_two, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.reason_codes import ALLOWED
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Unsuback(PacketValue):
    """UNSUBACK: one code for each Topic Filter of the UNSUBSCRIBE; below level 5 it has none."""

    FIELDS: ClassVar[tuple[str, ...]] = ("packet_id", "properties", "reason_codes")
    __slots__ = FIELDS

    def __init__(
        self,
        packet_id: int,
        reason_codes: Sequence[int] = (),
        properties: Properties | None = None,
    ) -> None:
        self.packet_id = packet_id
        self.reason_codes = list(reason_codes)
        self.properties = properties


def decode_unsuback(flags: int, body: bytes, level: int) -> Unsuback:
    """Read UNSUBACK. Raises MalformedPacket, ProtocolError."""
    check_flags(PacketType.UNSUBACK, flags, level)
    reader = Reader(body)
    packet_id = reader.two()
    if not packet_id:
        raise ProtocolError("the packet identifier is 0")  # [MQTT-2.2.1-6]
    if level < 5:
        reader.finish()
        return Unsuback(packet_id)
    properties = decode_properties(reader, PacketType.UNSUBACK)
    codes = list(reader.rest())
    if not codes:
        raise ProtocolError("UNSUBACK without a reason code")  # 2.3, 3.11.3
    if not ALLOWED[PacketType.UNSUBACK].issuperset(codes):
        raise ProtocolError("UNSUBACK with a code that is none of its own")  # [MQTT-3.11.3-2]
    return Unsuback(packet_id, codes, properties)


def encode_unsuback(packet: Unsuback, level: int) -> bytes:
    """Bytes of UNSUBACK."""
    if level < 5:
        return frame(PacketType.UNSUBACK << 4, encode_two(packet.packet_id))
    return frame(
        PacketType.UNSUBACK << 4,
        encode_two(packet.packet_id),
        encode_properties(packet.properties),
        bytes(packet.reason_codes),
    )

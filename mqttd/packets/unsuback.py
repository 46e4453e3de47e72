"""UNSUBACK (3.11)."""

from __future__ import annotations

from collections.abc import Sequence

from mqttd.packets.errors import MalformedPacket
from mqttd.packets.primitives import Reader, encode_two, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Unsuback(PacketValue):
    """UNSUBACK; below level 5 it has no codes."""

    __slots__ = ("packet_id", "properties", "reason_codes")

    def __init__(
        self,
        packet_id: int,
        reason_codes: Sequence[int] = (),
        properties: Properties | None = None,
    ) -> None:
        self.packet_id = packet_id
        self.reason_codes = [int(code) for code in reason_codes]
        self.properties = properties


def decode_unsuback(flags: int, body: bytes, level: int) -> Unsuback:
    """Read UNSUBACK. Raises MalformedPacket, ProtocolError."""
    if flags:
        raise MalformedPacket("reserved flags of UNSUBACK are not 0")
    reader = Reader(body)
    packet_id = reader.two()
    if not packet_id:
        raise MalformedPacket("the packet identifier is 0")
    if level < 5:
        reader.finish()
        return Unsuback(packet_id)
    properties = decode_properties(reader, PacketType.UNSUBACK)
    return Unsuback(packet_id, list(reader.rest()), properties)


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

"""SUBACK (3.9)."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket
from mqttd.packets.primitives import Reader, encode_two, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Suback(PacketValue):
    """SUBACK: one code for each Topic Filter of the SUBSCRIBE, in order."""

    __slots__ = ("packet_id", "properties", "reason_codes")

    def __init__(
        self, packet_id: int, reason_codes: list[int], properties: Properties | None = None
    ) -> None:
        self.packet_id = packet_id
        self.reason_codes = [int(code) for code in reason_codes]
        self.properties = properties


def decode_suback(flags: int, body: bytes, level: int) -> Suback:
    """Read SUBACK. Raises MalformedPacket, ProtocolError."""
    if flags:
        raise MalformedPacket("reserved flags of SUBACK are not 0")
    reader = Reader(body)
    packet_id = reader.two()
    if not packet_id:
        raise MalformedPacket("the packet identifier is 0")
    properties = decode_properties(reader, PacketType.SUBACK) if level >= 5 else None
    return Suback(packet_id, list(reader.rest()), properties)


def encode_suback(packet: Suback, level: int) -> bytes:
    """Bytes of SUBACK."""
    return frame(
        PacketType.SUBACK << 4,
        encode_two(packet.packet_id),
        encode_properties(packet.properties) if level >= 5 else b"",
        bytes(packet.reason_codes),
    )

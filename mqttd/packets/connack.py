"""CONNACK (3.2)."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket
from mqttd.packets.primitives import Reader, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Connack(PacketValue):
    """CONNACK. Below level 5 ``reason_code`` is a 3.1.1 return code."""

    __slots__ = ("properties", "reason_code", "session_present")

    def __init__(
        self,
        session_present: bool = False,
        reason_code: int = 0,
        properties: Properties | None = None,
    ) -> None:
        self.session_present = session_present
        self.reason_code = int(reason_code)
        self.properties = properties


def decode_connack(flags: int, body: bytes, level: int) -> Connack:
    """Read CONNACK. Raises MalformedPacket."""
    if flags:
        raise MalformedPacket("reserved flags of CONNACK are not 0")
    reader = Reader(body)
    acknowledge = reader.byte()
    if acknowledge & 0xFE:
        raise MalformedPacket("reserved acknowledge flags of CONNACK are not 0")  # [MQTT-3.2.2-1]
    code = reader.byte()
    properties = decode_properties(reader, PacketType.CONNACK) if level >= 5 else None
    reader.finish()
    return Connack(bool(acknowledge), code, properties)


def encode_connack(packet: Connack, level: int) -> bytes:
    """Bytes of CONNACK. MQTT 3.1 has no session present flag: its byte is reserved."""
    present = packet.session_present and level > 3
    return frame(
        PacketType.CONNACK << 4,
        bytes((present, packet.reason_code)),
        encode_properties(packet.properties) if level >= 5 else b"",
    )

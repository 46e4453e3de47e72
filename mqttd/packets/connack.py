"""CONNACK (3.2)."""

from __future__ import annotations

from typing import ClassVar

from mqttd.packets.errors import MalformedPacket, ProtocolError
from mqttd.packets.flags import check_flags
from mqttd.packets.primitives import Reader, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.reason_codes import ALLOWED, RETURN_CODES
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Connack(PacketValue):
    """CONNACK. Below level 5 ``reason_code`` is a return code of 3.1.1 (0 to 5)."""

    FIELDS: ClassVar[tuple[str, ...]] = ("properties", "reason_code", "session_present")
    __slots__ = FIELDS

    def __init__(
        self,
        session_present: bool = False,
        reason_code: int = 0,
        properties: Properties | None = None,
    ) -> None:
        self.session_present = session_present
        self.reason_code = reason_code
        self.properties = properties


def decode_connack(flags: int, body: bytes, level: int) -> Connack:
    """Read CONNACK. Raises MalformedPacket, ProtocolError."""
    check_flags(PacketType.CONNACK, flags, level)
    reader = Reader(body)
    acknowledge = reader.byte()
    if level < 4:
        acknowledge = 0  # MQTT 3.1, 3.2: this byte is not used
    if acknowledge > 1:
        raise MalformedPacket("reserved acknowledge flags of CONNACK are set")  # [MQTT-3.2.2-1]
    code = reader.byte()
    if code not in (RETURN_CODES if level < 5 else ALLOWED[PacketType.CONNACK]):
        raise ProtocolError(f"CONNACK with the reason code 0x{code:02x}")  # [MQTT-3.2.2-8]
    if code and acknowledge:
        # [MQTT-3.2.2-6] (3.1.1: [MQTT-3.2.2-4])
        raise ProtocolError("CONNACK with an error and with session present")
    properties = decode_properties(reader, PacketType.CONNACK) if level >= 5 else None
    reader.finish()
    return Connack(acknowledge == 1, code, properties)


def encode_connack(packet: Connack, level: int) -> bytes:
    """Bytes of CONNACK. MQTT 3.1 has no session present flag: its byte stays 0."""
    present = packet.session_present and level > 3
    return frame(
        PacketType.CONNACK << 4,
        bytes((present, packet.reason_code)),
        encode_properties(packet.properties) if level >= 5 else b"",
    )

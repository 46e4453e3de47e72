"""AUTH (3.15): a packet of MQTT 5 only."""

from __future__ import annotations

from typing import ClassVar

from mqttd.packets.errors import MalformedPacket, ProtocolError
from mqttd.packets.flags import check_flags
from mqttd.packets.primitives import Reader, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.reason_codes import ALLOWED
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Auth(PacketValue):
    """AUTH: one step of enhanced authentication."""

    FIELDS: ClassVar[tuple[str, ...]] = ("properties", "reason_code")
    __slots__ = FIELDS

    def __init__(self, reason_code: int = 0, properties: Properties | None = None) -> None:
        self.reason_code = reason_code
        self.properties = properties


def decode_auth(flags: int, body: bytes, level: int) -> Auth:
    """Read AUTH. Raises MalformedPacket, ProtocolError."""
    if level < 5:
        # 15 is a reserved packet type (3.1.1, 2.2.1).
        raise MalformedPacket("AUTH is a packet of MQTT 5")
    check_flags(PacketType.AUTH, flags, level)  # [MQTT-3.15.1-1]
    if not body:
        # 3.15.2.1: the one AUTH that may come without an Authentication Method.
        return Auth()
    reader = Reader(body)
    code = reader.byte()
    if code not in ALLOWED[PacketType.AUTH]:
        raise ProtocolError(f"AUTH with the reason code 0x{code:02x}")  # [MQTT-3.15.2-1]
    properties = decode_properties(reader, PacketType.AUTH)
    reader.finish()
    if properties is None or properties.authentication_method is None:
        raise ProtocolError("AUTH without an Authentication Method")  # 3.15.2.2.2
    return Auth(code, properties)


def encode_auth(packet: Auth, level: int) -> bytes:
    """Bytes of AUTH. Raises ValueError below level 5."""
    if level < 5:
        raise ValueError("AUTH is a packet of MQTT 5")
    if not packet.reason_code and packet.properties is None:
        return frame(PacketType.AUTH << 4)
    properties = encode_properties(packet.properties)
    return frame(PacketType.AUTH << 4, bytes((packet.reason_code,)), properties)

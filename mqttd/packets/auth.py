"""AUTH (3.15): a packet of MQTT 5 only."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket, ProtocolError
from mqttd.packets.primitives import Reader, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue

_CODES = frozenset((0x00, 0x18, 0x19))


class Auth(PacketValue):
    """AUTH."""

    __slots__ = ("properties", "reason_code")

    def __init__(self, reason_code: int = 0, properties: Properties | None = None) -> None:
        self.reason_code = int(reason_code)
        self.properties = properties


def decode_auth(flags: int, body: bytes, level: int) -> Auth:
    """Read AUTH. Raises MalformedPacket, ProtocolError."""
    if level < 5:
        raise ProtocolError("AUTH is a packet of MQTT 5")
    if flags:
        raise MalformedPacket("reserved flags of AUTH are not 0")  # [MQTT-3.15.1-1]
    if not body:
        return Auth()
    reader = Reader(body)
    code = reader.byte()
    if code not in _CODES:
        raise MalformedPacket(f"AUTH with the reason code 0x{code:02x}")  # [MQTT-3.15.2-1]
    properties = decode_properties(reader, PacketType.AUTH)
    reader.finish()
    return Auth(code, properties)


def encode_auth(packet: Auth, level: int) -> bytes:
    """Bytes of AUTH."""
    if not packet.reason_code and packet.properties is None:
        return frame(PacketType.AUTH << 4)
    properties = encode_properties(packet.properties)
    return frame(PacketType.AUTH << 4, bytes((packet.reason_code,)), properties)

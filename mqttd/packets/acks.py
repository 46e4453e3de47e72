"""PUBACK, PUBREC, PUBREL and PUBCOMP (3.4 to 3.7): one shape, four meanings."""

from __future__ import annotations

from typing import TypeVar

from mqttd.packets.errors import MalformedPacket
from mqttd.packets.primitives import Reader, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Ack(PacketValue):
    """What the four have in common."""

    __slots__ = ("packet_id", "properties", "reason_code")
    packet_type = PacketType.PUBACK

    def __init__(
        self, packet_id: int, reason_code: int = 0, properties: Properties | None = None
    ) -> None:
        self.packet_id = packet_id
        self.reason_code = int(reason_code)
        self.properties = properties

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Ack)
            and self.packet_type == other.packet_type
            and self.packet_id == other.packet_id
            and self.reason_code == other.reason_code
            and self.properties == other.properties
        )

    __hash__ = None

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.packet_id}, 0x{self.reason_code:02x}, "
            f"{self.properties!r})"
        )


class Puback(Ack):
    """Answer to a QoS 1 PUBLISH."""

    __slots__ = ()


class Pubrec(Ack):
    """First answer to a QoS 2 PUBLISH."""

    __slots__ = ()
    packet_type = PacketType.PUBREC


class Pubrel(Ack):
    """Answer to PUBREC."""

    __slots__ = ()
    packet_type = PacketType.PUBREL


class Pubcomp(Ack):
    """Answer to PUBREL."""

    __slots__ = ()
    packet_type = PacketType.PUBCOMP


_Any = TypeVar("_Any", bound=Ack)

_CODES: dict[PacketType, frozenset[int]] = {
    PacketType.PUBACK: frozenset((0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)),
    PacketType.PUBREC: frozenset((0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)),
    PacketType.PUBREL: frozenset((0, 0x92)),
    PacketType.PUBCOMP: frozenset((0, 0x92)),
}


def _first_byte(packet_type: PacketType) -> int:
    return packet_type << 4 | (2 if packet_type is PacketType.PUBREL else 0)  # [MQTT-3.6.1-1]


def _decode(kind: type[_Any], flags: int, body: bytes, level: int) -> _Any:
    name = kind.__name__.upper()
    if flags != _first_byte(kind.packet_type) & 0x0F:
        raise MalformedPacket(f"wrong flags in {name}")  # [MQTT-2.1.3-1]
    if len(body) < 2 or (level < 5 and len(body) > 2):
        raise MalformedPacket(f"{name} has the wrong length")
    packet_id = body[0] << 8 | body[1]
    if not packet_id:
        raise MalformedPacket("the packet identifier is 0")  # [MQTT-2.2.1-3]
    if len(body) == 2:
        return kind(packet_id)
    reader = Reader(body, 2)
    code = reader.byte()
    if code not in _CODES[kind.packet_type]:
        raise MalformedPacket(f"{name} with the reason code 0x{code:02x}")
    properties = None
    if reader.position < reader.end:
        properties = decode_properties(reader, kind.packet_type)
        reader.finish()
    return kind(packet_id, code, properties)


def decode_puback(flags: int, body: bytes, level: int) -> Puback:
    """Read PUBACK. Raises MalformedPacket, ProtocolError."""
    return _decode(Puback, flags, body, level)


def decode_pubrec(flags: int, body: bytes, level: int) -> Pubrec:
    """Read PUBREC. Raises MalformedPacket, ProtocolError."""
    return _decode(Pubrec, flags, body, level)


def decode_pubrel(flags: int, body: bytes, level: int) -> Pubrel:
    """Read PUBREL. Raises MalformedPacket, ProtocolError."""
    return _decode(Pubrel, flags, body, level)


def decode_pubcomp(flags: int, body: bytes, level: int) -> Pubcomp:
    """Read PUBCOMP. Raises MalformedPacket, ProtocolError."""
    return _decode(Pubcomp, flags, body, level)


def encode_ack(packet_type: PacketType, packet_id: int, level: int = 4) -> bytes:
    """The four bytes that say success, the same in every version."""
    del level
    return bytes((_first_byte(packet_type), 2, packet_id >> 8, packet_id & 0xFF))


def encode_any_ack(packet: Ack, level: int) -> bytes:
    """Bytes of any of the four."""
    if level < 5 or (not packet.reason_code and packet.properties is None):
        return encode_ack(packet.packet_type, packet.packet_id)
    parts = [packet.packet_id.to_bytes(2, "big"), bytes((packet.reason_code,))]
    if packet.properties is not None:
        parts.append(encode_properties(packet.properties))
    return frame(_first_byte(packet.packet_type), *parts)

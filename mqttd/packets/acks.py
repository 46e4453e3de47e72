"""PUBACK, PUBREC, PUBREL and PUBCOMP (3.4 to 3.7): one shape, four meanings."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from mqttd.packets.errors import MalformedPacket, ProtocolError
from mqttd.packets.flags import FIRST_BYTES, check_flags
from mqttd.packets.primitives import Reader, encode_two, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.reason_codes import ALLOWED
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Ack(PacketValue):
    """What the four have in common; below level 5 there is only the Packet Identifier."""

    FIELDS: ClassVar[tuple[str, ...]] = ("packet_id", "properties", "reason_code")
    __slots__ = FIELDS

    packet_type: ClassVar[PacketType] = PacketType.PUBACK

    def __init__(
        self, packet_id: int, reason_code: int = 0, properties: Properties | None = None
    ) -> None:
        self.packet_id = packet_id
        self.reason_code = reason_code
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
            f"{type(self).__name__}(packet_id={self.packet_id}, "
            f"reason_code=0x{self.reason_code:02x}, properties={self.properties!r})"
        )


class Puback(Ack):
    """Answer to a QoS 1 PUBLISH."""

    __slots__ = ()


class Pubrec(Ack):
    """First answer to a QoS 2 PUBLISH."""

    __slots__ = ()
    packet_type: ClassVar[PacketType] = PacketType.PUBREC


class Pubrel(Ack):
    """Answer to PUBREC."""

    __slots__ = ()
    packet_type: ClassVar[PacketType] = PacketType.PUBREL


class Pubcomp(Ack):
    """Answer to PUBREL."""

    __slots__ = ()
    packet_type: ClassVar[PacketType] = PacketType.PUBCOMP


_Any = TypeVar("_Any", bound=Ack)


def _decode(kind: type[_Any], flags: int, body: bytes, level: int) -> _Any:
    packet_type = kind.packet_type
    check_flags(packet_type, flags, level)
    length = len(body)
    if length < 2 or (length > 2 and level < 5):
        raise MalformedPacket(f"{packet_type.name} has the wrong length")
    packet_id = body[0] << 8 | body[1]
    if not packet_id:
        raise ProtocolError("the packet identifier is 0")  # [MQTT-2.2.1-3] [MQTT-2.2.1-5]
    if length == 2:
        return kind(packet_id)
    code = body[2]
    if code not in ALLOWED[packet_type]:
        raise ProtocolError(f"{packet_type.name} with the reason code 0x{code:02x}")
    if length == 3:
        # 3.4.2.2.1: with a Remaining Length below 4 there is no Property Length.
        return kind(packet_id, code)
    reader = Reader(body, 3)
    properties = decode_properties(reader, packet_type)
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


def encode_ack(packet_type: PacketType, packet_id: int, level: int = 4) -> bytes:  # noqa: ARG001
    """The four bytes that say success, the same in every version (3.4.2.1)."""
    return bytes((FIRST_BYTES[packet_type], 2, packet_id >> 8, packet_id & 0xFF))


def encode_any_ack(packet: Ack, level: int) -> bytes:
    """Bytes of any of the four. Below level 5 a reason code has no place and is left out."""
    if level < 5 or (not packet.reason_code and packet.properties is None):
        return encode_ack(packet.packet_type, packet.packet_id)
    return frame(
        FIRST_BYTES[packet.packet_type],
        encode_two(packet.packet_id),
        bytes((packet.reason_code,)),
        b"" if packet.properties is None else encode_properties(packet.properties),
    )

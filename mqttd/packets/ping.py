"""PINGREQ and PINGRESP (3.12, 3.13): packets without content."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket
from mqttd.packets.flags import check_flags
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Pingreq(PacketValue):
    """The client asks whether the server is there."""

    __slots__ = ()


class Pingresp(PacketValue):
    """The server is there."""

    __slots__ = ()


def _check(packet_type: PacketType, flags: int, body: bytes, level: int) -> None:
    check_flags(packet_type, flags, level)
    if body:
        raise MalformedPacket(f"{packet_type.name} is longer than its content")


def decode_pingreq(flags: int, body: bytes, level: int) -> Pingreq:
    """Read PINGREQ. Raises MalformedPacket."""
    _check(PacketType.PINGREQ, flags, body, level)
    return Pingreq()


def decode_pingresp(flags: int, body: bytes, level: int) -> Pingresp:
    """Read PINGRESP. Raises MalformedPacket."""
    _check(PacketType.PINGRESP, flags, body, level)
    return Pingresp()


def encode_pingreq(packet: Pingreq, level: int) -> bytes:  # noqa: ARG001
    """Bytes of PINGREQ."""
    return b"\xc0\x00"


def encode_pingresp(packet: Pingresp, level: int) -> bytes:  # noqa: ARG001
    """Bytes of PINGRESP."""
    return b"\xd0\x00"

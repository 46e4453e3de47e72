"""PINGREQ and PINGRESP (3.12, 3.13)."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Pingreq(PacketValue):
    """Are you there?"""

    __slots__ = ()


class Pingresp(PacketValue):
    """Yes."""

    __slots__ = ()


def decode_pingreq(flags: int, body: bytes, level: int) -> Pingreq:
    """Read PINGREQ. Raises MalformedPacket."""
    _check(flags, body)
    return Pingreq()


def decode_pingresp(flags: int, body: bytes, level: int) -> Pingresp:
    """Read PINGRESP. Raises MalformedPacket."""
    _check(flags, body)
    return Pingresp()


def _check(flags: int, body: bytes) -> None:
    if flags or body:
        raise MalformedPacket("a ping with flags or content")  # [MQTT-2.1.3-1]


def encode_pingreq(packet: Pingreq, level: int) -> bytes:
    """Bytes of PINGREQ."""
    return bytes((PacketType.PINGREQ << 4, 0))


def encode_pingresp(packet: Pingresp, level: int) -> bytes:
    """Bytes of PINGRESP."""
    return bytes((PacketType.PINGRESP << 4, 0))

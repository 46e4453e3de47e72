"""The flag bits of the first byte (2.1.3) of every packet but PUBLISH, where they are content."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket
from mqttd.packets.types import PacketType

# [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1]
_TWO = (PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE)

# By packet type; a tuple, for the hash of an enumeration's member is slow.
_FLAGS = tuple(0x02 if number in _TWO else 0x00 for number in range(16))
FIRST_BYTES = tuple(number << 4 | flags for number, flags in enumerate(_FLAGS))
"""The first byte of a packet, by its type."""


def check_flags(packet_type: PacketType, flags: int, level: int) -> None:
    """Raise MalformedPacket unless the bits are as the type demands.

    In MQTT 3.1 the bits are not reserved: three packets have QoS 1, and DUP when they are sent
    again, and everywhere else the bits are not used.
    """
    # [MQTT-2.1.3-1] (3.1.1: [MQTT-2.2.2-2])
    expected = _FLAGS[packet_type]
    if flags == expected or (level == 3 and (not expected or flags & 0x06 == expected)):
        return
    raise MalformedPacket(f"the flags of {packet_type.name} are {flags:04b}")

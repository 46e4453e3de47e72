"""UNSUBSCRIBE (3.10)."""

from __future__ import annotations

from typing import ClassVar

from mqttd.packets.errors import ProtocolError
from mqttd.packets.flags import FIRST_BYTES, check_flags
from mqttd.packets.primitives import Reader, encode_string, encode_two, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Unsubscribe(PacketValue):
    """UNSUBSCRIBE. The Topic Filters are well-formed strings; the rest of them is not checked."""

    FIELDS: ClassVar[tuple[str, ...]] = ("packet_id", "properties", "topic_filters")
    __slots__ = FIELDS

    def __init__(
        self, packet_id: int, topic_filters: list[str], properties: Properties | None = None
    ) -> None:
        self.packet_id = packet_id
        self.topic_filters = topic_filters
        self.properties = properties


def decode_unsubscribe(flags: int, body: bytes, level: int) -> Unsubscribe:
    """Read UNSUBSCRIBE. Raises MalformedPacket, ProtocolError."""
    check_flags(PacketType.UNSUBSCRIBE, flags, level)  # [MQTT-3.10.1-1]
    reader = Reader(body)
    packet_id = reader.two()
    if not packet_id:
        raise ProtocolError("the packet identifier is 0")  # [MQTT-2.2.1-3]
    properties = decode_properties(reader, PacketType.UNSUBSCRIBE) if level >= 5 else None
    topic_filters = []
    while reader.more():
        topic_filters.append(reader.string())  # [MQTT-3.10.3-1]
    if not topic_filters:
        raise ProtocolError("UNSUBSCRIBE without a Topic Filter")  # [MQTT-3.10.3-2]
    return Unsubscribe(packet_id, topic_filters, properties)


def encode_unsubscribe(packet: Unsubscribe, level: int) -> bytes:
    """Bytes of UNSUBSCRIBE."""
    parts = [encode_two(packet.packet_id)]
    if level >= 5:
        parts.append(encode_properties(packet.properties))
    parts += [encode_string(topic_filter) for topic_filter in packet.topic_filters]
    return frame(FIRST_BYTES[PacketType.UNSUBSCRIBE], *parts)

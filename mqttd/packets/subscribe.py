"""SUBSCRIBE (3.8)."""

from __future__ import annotations

from typing import ClassVar

from mqttd.packets.errors import MalformedPacket, ProtocolError
from mqttd.packets.flags import FIRST_BYTES, check_flags
from mqttd.packets.primitives import Reader, encode_string, encode_two, frame
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class SubscribeTopic(PacketValue):
    """One Topic Filter with its Subscription Options; below level 5 only the QoS exists.

    The filter is a well-formed string; the rest of it is not checked.
    """

    FIELDS: ClassVar[tuple[str, ...]] = (
        "no_local",
        "qos",
        "retain_as_published",
        "retain_handling",
        "topic_filter",
    )
    __slots__ = FIELDS

    def __init__(
        self,
        topic_filter: str,
        qos: int = 0,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
    ) -> None:
        self.topic_filter = topic_filter
        self.qos = qos
        self.no_local = no_local
        self.retain_as_published = retain_as_published
        self.retain_handling = retain_handling


class Subscribe(PacketValue):
    """SUBSCRIBE."""

    FIELDS: ClassVar[tuple[str, ...]] = ("packet_id", "properties", "topics")
    __slots__ = FIELDS

    def __init__(
        self, packet_id: int, topics: list[SubscribeTopic], properties: Properties | None = None
    ) -> None:
        self.packet_id = packet_id
        self.topics = topics
        self.properties = properties


def decode_subscribe(flags: int, body: bytes, level: int) -> Subscribe:
    """Read SUBSCRIBE. Raises MalformedPacket, ProtocolError."""
    check_flags(PacketType.SUBSCRIBE, flags, level)  # [MQTT-3.8.1-1]
    reader = Reader(body)
    packet_id = reader.two()
    if not packet_id:
        raise ProtocolError("the packet identifier is 0")  # [MQTT-2.2.1-3]
    properties = decode_properties(reader, PacketType.SUBSCRIBE) if level >= 5 else None
    decode_options = _decode_options if level >= 5 else _decode_qos
    topics = []
    while reader.more():
        topic_filter = reader.string()  # [MQTT-3.8.3-1]
        topics.append(decode_options(topic_filter, reader.byte()))
    if not topics:
        # [MQTT-3.8.3-2] (3.1.1: [MQTT-3.8.3-3])
        raise ProtocolError("SUBSCRIBE without a Topic Filter")
    return Subscribe(packet_id, topics, properties)


def _decode_qos(topic_filter: str, options: int) -> SubscribeTopic:
    if options > 2:
        # 3.1.1: [MQTT-3-8.3-4]
        raise MalformedPacket("a requested QoS above 2")
    return SubscribeTopic(topic_filter, options)


def _decode_options(topic_filter: str, options: int) -> SubscribeTopic:
    if options & 0xC0:
        # [MQTT-3.8.3-5]
        raise MalformedPacket("reserved bits of the subscription options are set")
    qos = options & 0x03
    handling = options >> 4
    if qos == 3:
        raise ProtocolError("a maximum QoS of 3")  # 3.8.3.1
    if handling == 3:
        raise ProtocolError("the retain handling is 3")  # 3.8.3.1
    return SubscribeTopic(topic_filter, qos, options & 0x04 != 0, options & 0x08 != 0, handling)


def encode_subscribe(packet: Subscribe, level: int) -> bytes:
    """Bytes of SUBSCRIBE. Below level 5 the options other than the QoS are left out."""
    parts = [encode_two(packet.packet_id)]
    if level >= 5:
        parts.append(encode_properties(packet.properties))
    for topic in packet.topics:
        options = topic.qos
        if level >= 5:
            options |= topic.no_local << 2 | topic.retain_as_published << 3
            options |= topic.retain_handling << 4
        parts += [encode_string(topic.topic_filter), bytes((options,))]
    return frame(FIRST_BYTES[PacketType.SUBSCRIBE], *parts)

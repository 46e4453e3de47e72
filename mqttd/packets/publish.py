"""PUBLISH (3.3); the hot path of the codec."""

from __future__ import annotations

from typing import ClassVar

from mqttd.packets.errors import MalformedPacket, ProtocolError
from mqttd.packets.primitives import Reader, encode_binary, encode_two, encode_variable
from mqttd.packets.properties import Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue


class Publish(PacketValue):
    """PUBLISH. ``topic`` is raw bytes: the broker checks each Topic Name once and remembers it."""

    FIELDS: ClassVar[tuple[str, ...]] = (
        "dup",
        "packet_id",
        "payload",
        "properties",
        "qos",
        "retain",
        "topic",
    )
    __slots__ = FIELDS

    def __init__(
        self,
        topic: bytes,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        packet_id: int = 0,
        properties: Properties | None = None,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.dup = dup
        self.packet_id = packet_id
        self.properties = properties


def decode_publish(flags: int, body: bytes, level: int, from_client: bool = True) -> Publish:
    """Read PUBLISH. Raises MalformedPacket, ProtocolError, TopicAliasInvalid.

    ``from_client`` False: it comes from a server, which may name subscription identifiers.
    """
    size = len(body)
    if size < 2:
        raise MalformedPacket("the packet ends too early")
    position = (body[0] << 8 | body[1]) + 2
    if position > size:
        raise MalformedPacket("the packet ends too early")
    topic = body[2:position]
    qos = flags >> 1 & 3
    packet_id = 0
    if qos:
        if qos == 3:
            raise MalformedPacket("PUBLISH with QoS 3")  # [MQTT-3.3.1-4]
        if position + 2 > size:
            raise MalformedPacket("the packet ends too early")
        packet_id = body[position] << 8 | body[position + 1]
        if not packet_id:
            raise ProtocolError("the packet identifier is 0")  # [MQTT-2.2.1-3]
        position += 2
    elif flags & 8:
        raise MalformedPacket("DUP with QoS 0")  # [MQTT-3.3.1-2]
    properties = None
    if level >= 5:
        if position < size and not body[position]:
            position += 1
        else:
            reader = Reader(body, position)
            properties = decode_properties(reader, PacketType.PUBLISH, from_client=from_client)
            position = reader.position
        if not topic and (properties is None or properties.topic_alias is None):
            raise ProtocolError("neither a topic name nor a topic alias")  # 3.3.2.1
    return Publish(
        topic, body[position:], qos, flags & 1 == 1, flags & 8 == 8, packet_id, properties
    )


def encode_publish_parts(
    topic: bytes,
    payload: bytes,
    qos: int,
    retain: bool,
    properties: Properties | None,
    level: int,
) -> tuple[bytes, bytes]:
    """(head, tail) of a PUBLISH, so that receivers share its bytes; DUP is not set.

    The packet is ``head + tail``; with QoS > 0 the two bytes of the Packet Identifier stand
    between them. Raises ValueError when the topic or the whole is too long.
    """
    block = encode_properties(properties) if level >= 5 else b""
    name = encode_binary(topic)
    length = len(name) + len(block) + len(payload) + (2 if qos else 0)
    head = bytes((0x30 | qos << 1 | retain,)) + encode_variable(length) + name
    if qos:
        return head, block + payload if block else payload
    return head + block, payload


def encode_publish(packet: Publish, level: int) -> bytes:
    """Bytes of PUBLISH. Raises ValueError when it is too long."""
    head, tail = encode_publish_parts(
        packet.topic, packet.payload, packet.qos, packet.retain, packet.properties, level
    )
    if not packet.qos:
        return head + tail  # [MQTT-2.2.1-2]
    if packet.dup:
        head = bytes((head[0] | 8,)) + head[1:]
    return head + encode_two(packet.packet_id) + tail

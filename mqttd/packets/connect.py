"""CONNECT (3.1)."""

from __future__ import annotations

from typing import ClassVar

from mqttd.packets.errors import MalformedPacket, UnsupportedProtocolVersion
from mqttd.packets.flags import check_flags
from mqttd.packets.primitives import (
    Reader,
    encode_binary,
    encode_string,
    encode_two,
    frame,
    text,
)
from mqttd.packets.properties import WILL, Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue

_NAMES: dict[int, str] = {3: "MQIsdp", 4: "MQTT", 5: "MQTT"}

# Mosquitto's bridges say by this bit of the level that they are bridges.
_BRIDGE = 0x80
_BRIDGES = frozenset((0x83, 0x84))

# The Connect Flags (3.1.2.3).
_RESERVED = 0x01
_CLEAN_START = 0x02
_WILL = 0x04
_WILL_QOS = 0x18
_WILL_RETAIN = 0x20
_PASSWORD = 0x40
_USERNAME = 0x80


class ConnectWill(PacketValue):
    """The Will as CONNECT carries it. ``topic`` is UTF-8, its validity not yet checked."""

    FIELDS: ClassVar[tuple[str, ...]] = ("payload", "properties", "qos", "retain", "topic")
    __slots__ = FIELDS

    def __init__(
        self,
        topic: bytes,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties


class Connect(PacketValue):
    """CONNECT. ``level`` is 3, 4 or 5; ``bridge`` is mosquitto's bit 7 of the level."""

    FIELDS: ClassVar[tuple[str, ...]] = (
        "bridge",
        "clean_start",
        "client_id",
        "keep_alive",
        "level",
        "password",
        "properties",
        "username",
        "will",
    )
    __slots__ = FIELDS

    def __init__(
        self,
        client_id: str,
        level: int = 4,
        clean_start: bool = True,
        keep_alive: int = 0,
        username: str | None = None,
        password: bytes | None = None,
        will: ConnectWill | None = None,
        properties: Properties | None = None,
        bridge: bool = False,
    ) -> None:
        self.client_id = client_id
        self.level = level
        self.clean_start = clean_start
        self.keep_alive = keep_alive
        self.username = username
        self.password = password
        self.will = will
        self.properties = properties
        self.bridge = bridge


def decode_connect(flags: int, body: bytes) -> Connect:
    """Read CONNECT. Raises UnsupportedProtocolVersion, MalformedPacket, ProtocolError.

    A wrong protocol name is answered like a wrong level: it says no more than that this is not a
    protocol spoken here.
    """
    check_flags(PacketType.CONNECT, flags, 4)
    reader = Reader(body)
    name = reader.string()
    level = reader.byte()
    bridge = level in _BRIDGES
    if bridge:
        level &= 0x7F
    if _NAMES.get(level) != name:
        # [MQTT-3.1.2-1] [MQTT-3.1.2-2]
        raise UnsupportedProtocolVersion("the protocol name and level are not ones spoken here")
    connect_flags = reader.byte()
    if level > 3:
        _check_connect_flags(connect_flags)
    if connect_flags & (_USERNAME | _PASSWORD) == _PASSWORD and level < 5:
        raise MalformedPacket("a password without a user name")  # 3.1.1: [MQTT-3.1.2-22]
    keep_alive = reader.two()
    properties = decode_properties(reader, PacketType.CONNECT) if level >= 5 else None
    client_id = reader.string()  # [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-4]
    will = _decode_will(reader, connect_flags, level) if connect_flags & _WILL else None
    # [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.3-12]
    username = reader.string() if _present(reader, connect_flags & _USERNAME, level) else None
    # [MQTT-3.1.2-18] [MQTT-3.1.2-19]
    password = reader.binary() if _present(reader, connect_flags & _PASSWORD, level) else None
    reader.finish()
    return Connect(
        client_id,
        level,
        connect_flags & _CLEAN_START != 0,
        keep_alive,
        username,
        password,
        will,
        properties,
        bridge,
    )


def _check_connect_flags(flags: int) -> None:
    """The bits that MQTT 3.1 does not look at."""
    if flags & _RESERVED:
        raise MalformedPacket("the reserved flag of CONNECT is set")  # [MQTT-3.1.2-3]
    if not flags & _WILL and flags & (_WILL_QOS | _WILL_RETAIN):
        # [MQTT-3.1.2-11] [MQTT-3.1.2-13] (3.1.1: [MQTT-3.1.2-11])
        raise MalformedPacket("flags of a Will without a Will")


def _decode_will(reader: Reader, flags: int, level: int) -> ConnectWill:
    qos = (flags & _WILL_QOS) >> 3
    if qos == 3:
        raise MalformedPacket("a Will with QoS 3")  # [MQTT-3.1.2-12] (3.1.1: [MQTT-3.1.2-14])
    properties = decode_properties(reader, WILL) if level >= 5 else None
    topic = reader.binary()
    text(topic)  # [MQTT-3.1.3-11]
    payload = reader.binary()  # [MQTT-3.1.2-9]
    return ConnectWill(topic, payload, qos, flags & _WILL_RETAIN != 0, properties)


def _present(reader: Reader, flag: int, level: int) -> bool:
    """Whether a field is there. MQTT 3.1, 3.1: the packet's length counts more than its flag."""
    return flag != 0 and (level > 3 or reader.more())


def encode_connect(packet: Connect, level: int = 0) -> bytes:
    """Bytes of CONNECT, which names its level itself. Raises ValueError when there is no such."""
    level = packet.level
    name = _NAMES.get(level)
    if name is None:
        raise ValueError(f"there is no protocol level {level}")
    flags = _CLEAN_START if packet.clean_start else 0
    will = packet.will
    tail = [encode_string(packet.client_id)]
    if will is not None:
        flags |= _WILL | will.qos << 3 | (_WILL_RETAIN if will.retain else 0)
        if level >= 5:
            tail.append(encode_properties(will.properties))
        tail += [encode_binary(will.topic), encode_binary(will.payload)]
    if packet.username is not None:
        flags |= _USERNAME
        tail.append(encode_string(packet.username))
    if packet.password is not None:
        flags |= _PASSWORD
        tail.append(encode_binary(packet.password))
    return frame(
        PacketType.CONNECT << 4,
        encode_string(name),
        bytes((level | (_BRIDGE if packet.bridge else 0), flags)),
        encode_two(packet.keep_alive),
        encode_properties(packet.properties) if level >= 5 else b"",
        *tail,
    )

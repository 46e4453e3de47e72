"""CONNECT (3.1)."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket, UnsupportedProtocolVersion
from mqttd.packets.primitives import Reader, encode_binary, encode_string, encode_two, frame
from mqttd.packets.properties import WILL, Properties, decode_properties, encode_properties
from mqttd.packets.types import PacketType
from mqttd.packets.values import PacketValue

_NAMES = {3: "MQIsdp", 4: "MQTT", 5: "MQTT"}
_BRIDGE = 0x80


class ConnectWill(PacketValue):
    """The Will as CONNECT carries it. ``topic`` is UTF-8, its validity not yet checked."""

    __slots__ = ("payload", "properties", "qos", "retain", "topic")

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

    __slots__ = (
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
    """Read CONNECT. Raises UnsupportedProtocolVersion, MalformedPacket, ProtocolError."""
    if flags:
        raise MalformedPacket("reserved flags of CONNECT are not 0")  # [MQTT-2.1.3-1]
    reader = Reader(body)
    name = reader.string()
    level = reader.byte()
    bridge = False
    if level & _BRIDGE and level & 0x7F in (3, 4):
        bridge = True
        level &= 0x7F
    if _NAMES.get(level) != name:  # [MQTT-3.1.2-1] [MQTT-3.1.2-2]
        raise UnsupportedProtocolVersion("the protocol name and level are not ones spoken here")
    connect_flags = reader.byte()
    if connect_flags & 0x01:
        raise MalformedPacket("the reserved flag of CONNECT is set")  # [MQTT-3.1.2-3]
    will_qos = connect_flags >> 3 & 0x03
    has_will = bool(connect_flags & 0x04)
    if will_qos == 3:
        raise MalformedPacket("the Will has QoS 3")  # [MQTT-3.1.2-12]
    if not has_will and connect_flags & 0x38:
        # [MQTT-3.1.2-11] [MQTT-3.1.2-13]
        raise MalformedPacket("Will flags without a Will")
    has_username = bool(connect_flags & 0x80)
    has_password = bool(connect_flags & 0x40)
    if has_password and not has_username and level < 5:
        raise MalformedPacket("a password without a user name")  # 3.1.1: [MQTT-3.1.2-22]
    keep_alive = reader.two()
    properties = decode_properties(reader, PacketType.CONNECT) if level >= 5 else None
    client_id = reader.string()  # [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-4]
    will = None
    if has_will:
        will_properties = decode_properties(reader, WILL) if level >= 5 else None
        topic = reader.string().encode()  # [MQTT-3.1.3-11]
        will = ConnectWill(
            topic, reader.binary(), will_qos, bool(connect_flags & 0x20), will_properties
        )
    username = reader.string() if has_username else None  # [MQTT-3.1.3-12]
    password = reader.binary() if has_password else None
    reader.finish()
    return Connect(
        client_id,
        level,
        bool(connect_flags & 0x02),
        keep_alive,
        username,
        password,
        will,
        properties,
        bridge,
    )


def encode_connect(packet: Connect, level: int | None = None) -> bytes:
    """Bytes of CONNECT in the packet's own level."""
    del level  # CONNECT says its own
    flags = packet.clean_start << 1
    will = packet.will
    tail = [encode_string(packet.client_id)]
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        if packet.level >= 5:
            tail.append(encode_properties(will.properties))
        tail += [encode_binary(will.topic), encode_binary(will.payload)]
    if packet.username is not None:
        flags |= 0x80
        tail.append(encode_string(packet.username))
    if packet.password is not None:
        flags |= 0x40
        tail.append(encode_binary(packet.password))
    return frame(
        PacketType.CONNECT << 4,
        encode_string(_NAMES.get(packet.level, "MQTT")),
        bytes((packet.level | (_BRIDGE if packet.bridge else 0), flags)),
        encode_two(packet.keep_alive),
        encode_properties(packet.properties) if packet.level >= 5 else b"",
        *tail,
    )

"""What is written, and what cannot be."""

from __future__ import annotations

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel, encode_ack
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish, encode_publish_parts
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.types import PacketType
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_parts_of_publish_with_the_identifier_between(level: int, qos: int) -> None:
    properties = Properties(topic_alias=3)
    head, tail = encode_publish_parts(b"a/b", b"payload", qos, True, properties, level)
    middle = b"\x12\x34" if qos else b""
    packet = Publish(b"a/b", b"payload", qos, True, False, 0x1234 if qos else 0, properties)
    assert head + middle + tail == encode(packet, level)
    assert head[0] & 0x08 == 0


def test_the_payload_is_shared_and_not_copied() -> None:
    payload = bytes(1000)
    for level, qos in ((4, 0), (4, 1), (4, 2), (5, 0)):
        _head, tail = encode_publish_parts(b"t", payload, qos, False, None, level)
        assert tail is payload


def test_dup_is_never_written_with_qos_0() -> None:
    assert encode(Publish(b"t", b"", dup=True), 4)[0] == 0x30  # [MQTT-3.3.1-2]


@pytest.mark.parametrize(
    ("packet_type", "first"),
    [
        (PacketType.PUBACK, 0x40),
        (PacketType.PUBREC, 0x50),
        (PacketType.PUBREL, 0x62),
        (PacketType.PUBCOMP, 0x70),
    ],
)
@pytest.mark.parametrize("level", [3, 4, 5])
def test_success_is_four_bytes(packet_type: PacketType, first: int, level: int) -> None:
    assert encode_ack(packet_type, 0x1234, level) == bytes((first, 2, 0x12, 0x34))


@pytest.mark.parametrize(
    ("packet", "data"),
    [
        (Puback(1, 0x87, Properties(reason_string="no")), b"\x40\x02\x00\x01"),
        (Disconnect(0x8E, Properties(reason_string="no")), b"\xe0\x00"),
        (Unsuback(1, [0x11], Properties(reason_string="no")), b"\xb0\x02\x00\x01"),
        (Suback(1, [0x80], Properties(reason_string="no")), b"\x90\x03\x00\x01\x80"),
        (Connack(False, 5, Properties(reason_string="no")), b"\x20\x02\x00\x05"),
        (
            Subscribe(1, [SubscribeTopic("t", 1, True, True, 2)], Properties(topic_alias=1)),
            b"\x82\x06\x00\x01\x00\x01t\x01",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_place_before_mqtt_5_is_left_out(packet: Packet, data: bytes) -> None:
    assert encode(packet, 3) == encode(packet, 4) == data


def test_session_present_has_no_place_in_mqtt_3_1() -> None:
    assert encode(Connack(True), 3) == b"\x20\x02\x00\x00"


def test_connect_is_written_in_its_own_level() -> None:
    assert encode(Connect("c", 5), 3) == encode(Connect("c", 5), 5)


LONG = "x" * 65_536

IMPOSSIBLE: list[tuple[Packet, int]] = [
    (Connect("c", 6), 5),
    (Connect(LONG), 4),
    (Connect("a\0"), 4),
    (Connect("c", username="\ud800"), 4),
    (Connect("c", password=LONG.encode()), 4),
    (Connect("c", keep_alive=65_536), 4),
    (Connect("c", will=ConnectWill(LONG.encode(), b"")), 4),
    (Publish(LONG.encode(), b""), 4),
    (Publish(b"t", b"", 1, packet_id=65_536), 4),
    (Publish(b"t", bytes(268_435_456)), 4),
    (Publish(b"t", b"", properties=Properties(topic_alias=65_536)), 5),
    (Publish(b"t", b"", properties=Properties(message_expiry_interval=1 << 32)), 5),
    (Publish(b"t", b"", properties=Properties(subscription_identifiers=(1 << 28,))), 5),
    (Publish(b"t", b"", properties=Properties(user_properties=(("a", "\0"),))), 5),
    (Puback(65_536), 4),
    (Puback(-1), 4),
    (Puback(1, 256), 5),
    (Subscribe(1, [SubscribeTopic(LONG)]), 4),
    (Unsubscribe(1, ["a\0b"]), 4),
    (Suback(1, [256]), 4),
    (Auth(0x18), 4),
]


@pytest.mark.parametrize(
    ("packet", "level"), IMPOSSIBLE, ids=[type(packet).__name__ for packet, _ in IMPOSSIBLE]
)
def test_what_cannot_be_written(packet: Packet, level: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are partly Python's
        encode(packet, level)


def test_equality_is_by_kind_and_fields() -> None:
    assert Puback(1) == Puback(1, 0, None)
    assert Puback(1) != Pubrec(1)
    assert Pubrel(1) != Pubcomp(1)
    assert Puback(1) != Puback(2)
    assert Puback(1) != Puback(1, 0x10)
    assert Puback(1) != Puback(1, 0, Properties(reason_string="r"))
    assert Puback(1) != 1
    assert Pingreq() == Pingreq()
    assert Publish(b"t", b"") != Publish(b"t", b"x")
    assert Publish(b"t", b"") != Connack()
    with pytest.raises(TypeError, match="unhashable"):
        hash(Publish(b"t", b""))


def test_no_secret_and_no_payload_is_shown() -> None:
    will = ConnectWill(b"gone", b"last words")
    packet = Connect("c", 5, username="u", password=b"hunter2", will=will)
    assert repr(packet) == (
        "Connect(bridge=False, clean_start=True, client_id='c', keep_alive=0, level=5, "
        "password=<7 bytes>, properties=None, username='u', "
        "will=ConnectWill(payload=<10 bytes>, properties=None, qos=0, retain=False, "
        "topic=b'gone'))"
    )
    assert "password=None" in repr(Connect("c"))
    assert "payload=<6 bytes>" in repr(Publish(b"t", b"secret"))
    assert repr(Puback(1, 0x87)) == "Puback(packet_id=1, reason_code=0x87, properties=None)"
    assert repr(Auth(0x18, Properties(authentication_data=b"proof"))) == (
        "Auth(properties=Properties(authentication_data=<5 bytes>), reason_code=24)"
    )

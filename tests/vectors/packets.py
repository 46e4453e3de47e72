"""Well-formed packets: bytes, level, and the packet they mean."""

from __future__ import annotations

from typing import NamedTuple

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.primitives import frame
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe


class Vector(NamedTuple):
    """One row. ``from_client`` False: only a server writes this."""

    name: str
    data: bytes
    level: int
    packet: Packet
    from_client: bool = True


BOTH: list[Vector] = []
"""Rows that hold in both directions."""

READ: list[Vector] = []
"""Rows for reading only: the same packet is written otherwise."""


def both(levels: str, name: str, data: bytes, packet: Packet) -> None:
    """A row for each digit of ``levels``."""
    BOTH.extend(Vector(f"{name} v{level}", data, int(level), packet) for level in levels)


def read(levels: str, name: str, data: bytes, packet: Packet) -> None:
    """A row for each digit of ``levels``, for reading only."""
    READ.extend(Vector(f"{name} v{level}", data, int(level), packet) for level in levels)


# --- CONNECT ---------------------------------------------------------------------------------

V3, V4, V5 = b"\x00\x06MQIsdp\x03", b"\x00\x04MQTT\x04", b"\x00\x04MQTT\x05"

both(
    "4",
    "connect, that of the first conversation",
    b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01a",
    Connect("a", 4, clean_start=False),
)
both(
    "3",
    "connect",
    b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01c",
    Connect("c", 3, keep_alive=60),
)
both(
    "5",
    "connect",
    b"\x10\x0e\x00\x04MQTT\x05\x02\xff\xff\x00\x00\x01c",
    Connect("c", 5, keep_alive=65535),
)
both("4", "connect, no identifier", frame(0x10, V4, b"\x02\x00\x00\x00\x00"), Connect(""))
both(
    "3",
    "connect, a bridge",
    frame(0x10, b"\x00\x06MQIsdp\x83\x02\x00\x00\x00\x01b"),
    Connect("b", 3, bridge=True),
)
both(
    "4",
    "connect, a bridge",
    frame(0x10, b"\x00\x04MQTT\x84\x02\x00\x00\x00\x01b"),
    Connect("b", 4, bridge=True),
)
both(
    "4",
    "connect, figure 3.6",
    frame(0x10, V4, b"\xce\x00\x0a\x00\x01c\x00\x01t\x00\x02up\x00\x01u\x00\x03\x00p\xff"),
    Connect("c", 4, True, 10, "u", b"\x00p\xff", ConnectWill(b"t", b"up", 1)),
)
both(
    "3",
    "connect, everything",
    frame(0x10, V3, b"\xf6\x00\x00\x00\x01c\x00\x01t\x00\x01w\x00\x01u\x00\x01p"),
    Connect("c", 3, True, 0, "u", b"p", ConnectWill(b"t", b"w", 2, True)),
)
both(
    "5",
    "connect, empty user name and password",
    frame(0x10, V5, b"\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
    Connect("", 5, False, 0, "", b""),
)
both(
    "5",
    "connect, password alone",
    frame(0x10, V5, b"\x42\x00\x00\x00\x00\x01c\x00\x01p"),
    Connect("c", 5, password=b"p"),
)
both(
    "5",
    "connect, empty will",
    frame(0x10, V5, b"\x36\x00\x00\x00\x00\x01c\x00\x00\x01t\x00\x00"),
    Connect("c", 5, will=ConnectWill(b"t", b"", 2, True)),
)
both(
    "5",
    "connect, all properties",
    frame(
        0x10, V5, b"\x02\x00\x00\x2a\x11\xff\xff\xff\xff\x21\xff\xff\x27\x00\x00\x00\x01"
        b"\x22\x00\x00\x19\x01\x17\x00\x26\x00\x01a\x00\x01b\x26\x00\x01a\x00\x00"
        b"\x15\x00\x01m\x16\x00\x02\x00\xff\x00\x01c"
    ),
    Connect("c", 5, properties=Properties(
        session_expiry_interval=0xFFFFFFFF, receive_maximum=65535, maximum_packet_size=1,
        topic_alias_maximum=0, request_response_information=1, request_problem_information=0,
        user_properties=(("a", "b"), ("a", "")), authentication_method="m",
        authentication_data=b"\x00\xff",
    )),
)  # fmt: skip
both(
    "5",
    "connect, all properties of a will",
    frame(
        0x10, V5, b"\x06\x00\x00\x00\x00\x01c\x21\x18\x00\x00\x00\x05\x01\x01\x02\x00\x00\x00\x3c"
        b"\x03\x00\x02ct\x08\x00\x01r\x09\x00\x01d\x26\x00\x01n\x00\x02\xc3\xa9\x00\x01t\x00\x01p"
    ),
    Connect("c", 5, will=ConnectWill(b"t", b"p", properties=Properties(
        will_delay_interval=5, payload_format_indicator=1, message_expiry_interval=60,
        content_type="ct", response_topic="r", correlation_data=b"d",
        user_properties=(("n", "é"),),
    ))),
)  # fmt: skip
both(
    "4",
    "connect, characters that are kept [MQTT-1.5.4-3]",
    frame(0x10, V4, b"\x02\x00\x00\x00\x0e\xef\xbb\xbfA\xf0\xaa\x9b\x94\xef\xbf\xbf\x01\x7f\x0a"),
    Connect("\ufeffA\U0002a6d4\uffff\x01\x7f\n"),
)
read(
    "3",
    "connect, flags of a will that is not there",
    frame(0x10, V3, b"\x3b\x00\x3c\x00\x01c"),
    Connect("c", 3, keep_alive=60),
)
read(
    "3",
    "connect, flags of a user name and password that are not there",
    frame(0x10, V3, b"\xc2\x00\x3c\x00\x01c"),
    Connect("c", 3, keep_alive=60),
)
read(
    "3",
    "connect, flag of a password that is not there",
    frame(0x10, V3, b"\xc2\x00\x3c\x00\x01c\x00\x01u"),
    Connect("c", 3, keep_alive=60, username="u"),
)

# --- CONNACK ---------------------------------------------------------------------------------

both("34", "connack", b"\x20\x02\x00\x00", Connack())
both("34", "connack, not authorized", b"\x20\x02\x00\x05", Connack(False, 5))
both("4", "connack, session present", b"\x20\x02\x01\x00", Connack(True))
both("5", "connack", b"\x20\x03\x00\x00\x00", Connack())
both("5", "connack, session present", b"\x20\x03\x01\x00\x00", Connack(True))
both(
    "5",
    "connack, banned",
    b"\x20\x0c\x00\x8a\x09\x1f\x00\x06banned",
    Connack(False, 0x8A, Properties(reason_string="banned")),
)
both(
    "5",
    "connack, all properties",
    frame(
        0x20, b"\x00\x00\x40\x11\x00\x00\x00\x0a\x21\x00\x14\x24\x01\x25\x00\x27\x00\x10\x00\x00"
        b"\x12\x00\x02id\x22\x00\x05\x1f\x00\x01r\x26\x00\x01k\x00\x01v\x28\x01\x29\x01\x2a\x00"
        b"\x13\x00\x1e\x1a\x00\x02ri\x1c\x00\x03srv\x15\x00\x01m\x16\x00\x01d"
    ),
    Connack(False, 0, Properties(
        session_expiry_interval=10, receive_maximum=20, maximum_qos=1, retain_available=0,
        maximum_packet_size=1048576, assigned_client_identifier="id", topic_alias_maximum=5,
        reason_string="r", user_properties=(("k", "v"),), wildcard_subscription_available=1,
        subscription_identifier_available=1, shared_subscription_available=0,
        server_keep_alive=30, response_information="ri", server_reference="srv",
        authentication_method="m", authentication_data=b"d",
    )),
)  # fmt: skip
read("3", "connack, the first byte is not used", b"\x20\x02\xff\x00", Connack())

# --- PUBLISH ---------------------------------------------------------------------------------

both("34", "publish", b"\x30\x05\x00\x01thi", Publish(b"t", b"hi"))
both("34", "publish, no payload", b"\x30\x03\x00\x01t", Publish(b"t", b""))
both("34", "publish, no topic", b"\x30\x02\x00\x00", Publish(b"", b""))
both("34", "publish, retained", b"\x31\x04\x00\x01t\x00", Publish(b"t", b"\x00", retain=True))
both(
    "34",
    "publish, figure 3.11",
    b"\x32\x07\x00\x03a/b\x00\x0a",
    Publish(b"a/b", b"", 1, packet_id=10),
)
both(
    "34",
    "publish, QoS 2 again, retained",
    b"\x3d\x06\x00\x01t\xff\xffx",
    Publish(b"t", b"x", 2, True, True, 65535),
)
both(
    "34",
    "publish, the topic is not looked at",
    b"\x30\x04\x00\x02\xff\x00",
    Publish(b"\xff\0", b""),
)
both(
    "34",
    "publish, a length of two bytes",
    b"\x30\x80\x01\x00\x01t" + b"x" * 125,
    Publish(b"t", b"x" * 125),
)
both(
    "4",
    "publish, a length of three bytes",
    b"\x30\x80\x80\x01\x00\x01t" + b"x" * 16381,
    Publish(b"t", b"x" * 16381),
)
both("5", "publish", b"\x30\x06\x00\x01t\x00hi", Publish(b"t", b"hi"))
both(
    "5",
    "publish, QoS 1 again",
    b"\x3a\x08\x00\x01t\x00\x01\x00hi",
    Publish(b"t", b"hi", 1, dup=True, packet_id=1),
)
both(
    "5",
    "publish, by alias",
    b"\x30\x06\x00\x00\x03\x23\x00\x01",
    Publish(b"", b"", properties=Properties(topic_alias=1)),
)
both(
    "5",
    "publish, all properties",
    frame(
        0x34, b"\x00\x01t\x00\x07\x26\x01\x01\x02\xff\xff\xff\xff\x23\xff\xff\x08\x00\x03r/1"
        b"\x09\x00\x02\x00\xff\x26\x00\x00\x00\x00\x26\x00\x01a\x00\x01b\x03\x00\x02ctx"
    ),
    Publish(b"t", b"x", 2, packet_id=7, properties=Properties(
        payload_format_indicator=1, message_expiry_interval=0xFFFFFFFF, topic_alias=65535,
        response_topic="r/1", correlation_data=b"\x00\xff",
        user_properties=(("", ""), ("a", "b")), content_type="ct",
    )),
)  # fmt: skip
BOTH.append(
    Vector(
        "publish, subscription identifiers v5",
        b"\x30\x0c\x00\x01t\x07\x0b\x01\x0b\xff\xff\xff\x7fx",
        5,
        Publish(b"t", b"x", properties=Properties(subscription_identifiers=(1, 268_435_455))),
        from_client=False,
    )
)

# --- PUBACK, PUBREC, PUBREL, PUBCOMP ---------------------------------------------------------

for first, kind, code in (
    (0x40, Puback, 0x10),
    (0x50, Pubrec, 0x97),
    (0x62, Pubrel, 0x92),
    (0x70, Pubcomp, 0x92),
):
    name = kind.__name__.lower()
    start = bytes((first,))
    both("345", name, start + b"\x02\x00\x01", kind(1))
    both("345", f"{name}, 65535", start + b"\x02\xff\xff", kind(65535))
    both("5", f"{name}, a code", start + b"\x03\x00\x01" + bytes((code,)), kind(1, code))
    both(
        "5",
        f"{name}, properties",
        start + b"\x0f\x00\x01\x00\x0b\x1f\x00\x01r\x26\x00\x01k\x00\x01v",
        kind(1, 0, Properties(reason_string="r", user_properties=(("k", "v"),))),
    )
    read("5", f"{name}, success said", start + b"\x03\x00\x01\x00", kind(1))
    read("5", f"{name}, no properties said", start + b"\x04\x00\x01\x00\x00", kind(1))
read("3", "pubrel, again", b"\x6a\x02\x00\x01", Pubrel(1))
read("3", "puback, bits that are not used", b"\x4f\x02\x00\x01", Puback(1))

# --- SUBSCRIBE and SUBACK --------------------------------------------------------------------

both(
    "34",
    "subscribe, figure 3.23",
    b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/d\x02",
    Subscribe(10, [SubscribeTopic("a/b", 1), SubscribeTopic("c/d", 2)]),
)
both("34", "subscribe, no filter to speak of", b"\x82\x05\x00\x01\x00\x00\x00",
     Subscribe(1, [SubscribeTopic("")]))  # fmt: skip
both("5", "subscribe", b"\x82\x07\x00\x01\x00\x00\x01#\x00", Subscribe(1, [SubscribeTopic("#")]))
both(
    "5",
    "subscribe, all options",
    frame(0x82, b"\x00\x01\x00\x00\x01a\x04\x00\x01b\x09\x00\x01c\x12\x00\x01d\x2e"),
    Subscribe(
        1,
        [
            SubscribeTopic("a", 0, no_local=True),
            SubscribeTopic("b", 1, retain_as_published=True),
            SubscribeTopic("c", 2, retain_handling=1),
            SubscribeTopic("d", 2, True, True, 2),
        ],
    ),
)
both(
    "5",
    "subscribe, all properties",
    frame(0x82, b"\x00\x01\x0c\x0b\xff\xff\xff\x7f\x26\x00\x01k\x00\x01v\x00\x01t\x00"),
    Subscribe(
        1,
        [SubscribeTopic("t")],
        Properties(subscription_identifiers=(268_435_455,), user_properties=(("k", "v"),)),
    ),
)
read(
    "3", "subscribe, again", b"\x8a\x06\x00\x01\x00\x01t\x00", Subscribe(1, [SubscribeTopic("t")])
)
both("34", "suback", b"\x90\x06\x00\x0a\x00\x01\x02\x80", Suback(10, [0, 1, 2, 0x80]))
both("5", "suback", b"\x90\x05\x00\x0a\x00\x01\x8f", Suback(10, [1, 0x8F]))
both(
    "5",
    "suback, properties",
    b"\x90\x08\x00\x01\x04\x1f\x00\x01r\x97",
    Suback(1, [0x97], Properties(reason_string="r")),
)

# --- UNSUBSCRIBE and UNSUBACK ----------------------------------------------------------------

both(
    "34",
    "unsubscribe, figure 3.30",
    b"\xa2\x0c\x00\x0a\x00\x03a/b\x00\x03c/d",
    Unsubscribe(10, ["a/b", "c/d"]),
)
both("5", "unsubscribe", b"\xa2\x06\x00\x01\x00\x00\x01t", Unsubscribe(1, ["t"]))
both(
    "5",
    "unsubscribe, properties",
    b"\xa2\x0d\x00\x01\x07\x26\x00\x01k\x00\x01v\x00\x01t",
    Unsubscribe(1, ["t"], Properties(user_properties=(("k", "v"),))),
)
read("3", "unsubscribe, again", b"\xaa\x05\x00\x01\x00\x01t", Unsubscribe(1, ["t"]))
both("34", "unsuback", b"\xb0\x02\x00\x0a", Unsuback(10))
both("5", "unsuback", b"\xb0\x05\x00\x0a\x00\x00\x11", Unsuback(10, [0, 0x11]))
both(
    "5",
    "unsuback, properties",
    b"\xb0\x08\x00\x01\x04\x1f\x00\x01r\x87",
    Unsuback(1, [0x87], Properties(reason_string="r")),
)

# --- PINGREQ, PINGRESP, DISCONNECT, AUTH -----------------------------------------------------

both("345", "pingreq", b"\xc0\x00", Pingreq())
both("345", "pingresp", b"\xd0\x00", Pingresp())
both("345", "disconnect", b"\xe0\x00", Disconnect())
both("5", "disconnect, a code", b"\xe0\x01\x04", Disconnect(0x04))
both(
    "5",
    "disconnect, all properties",
    frame(0xE0, b"\x9d\x14\x11\x00\x00\x00\x00\x1f\x00\x01r\x1c\x00\x03srv\x26\x00\x00\x00\x00"),
    Disconnect(
        0x9D,
        Properties(
            session_expiry_interval=0,
            reason_string="r",
            server_reference="srv",
            user_properties=(("", ""),),
        ),
    ),
)
read("5", "disconnect, success said", b"\xe0\x01\x00", Disconnect())
read("5", "disconnect, no properties said", b"\xe0\x02\x00\x00", Disconnect())
read("5", "disconnect, code without properties", b"\xe0\x02\x8e\x00", Disconnect(0x8E))
both("5", "auth", b"\xf0\x00", Auth())
both(
    "5",
    "auth, all properties",
    frame(
        0xF0, b"\x18\x14\x15\x00\x01m\x16\x00\x03\x00\x01\x02\x1f\x00\x01r\x26\x00\x00\x00\x01v"
    ),
    Auth(
        0x18,
        Properties(
            authentication_method="m",
            authentication_data=b"\x00\x01\x02",
            reason_string="r",
            user_properties=(("", "v"),),
        ),
    ),
)

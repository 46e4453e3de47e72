"""Bytes that are no packets, the level they come at, the reason code they get, and why."""

from __future__ import annotations

from typing import NamedTuple

from mqttd.packets.primitives import encode_binary as s
from mqttd.packets.primitives import frame as packet
from mqttd.packets.reason_codes import ReasonCode

LARGEST = 1024
"""The Maximum Packet Size these bytes are read with."""

BAD = ReasonCode.MALFORMED_PACKET
ERR = ReasonCode.PROTOCOL_ERROR
BIG = ReasonCode.PACKET_TOO_LARGE
VER = ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
ALIAS = ReasonCode.TOPIC_ALIAS_INVALID


class Malformed(NamedTuple):
    """One row."""

    data: bytes
    level: int
    code: ReasonCode
    why: str


ROWS: list[Malformed] = []


def add(levels: str, data: bytes, code: ReasonCode, why: str) -> None:
    """One row for each digit of ``levels``."""
    ROWS.extend(Malformed(data, int(level), code, why) for level in levels)


def props(*parts: bytes) -> bytes:
    """Properties with the right length."""
    return s(b"".join(parts))[1:]


HEADS = {3: b"\x00\x06MQIsdp\x03", 4: b"\x00\x04MQTT\x04", 5: b"\x00\x04MQTT\x05"}
NONE = b"\x00"
BAD_TEXT = {
    "a lone continuation byte": b"\x80",
    "a byte that never occurs": b"a\xff",
    "an overlong slash": b"\xc0\xaf",
    "an overlong NUL": b"\xc0\x80",
    "a low surrogate": b"\xed\xb0\x80",
    "a high surrogate": b"\xed\xa0\x80",
    "a surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "a character cut short": b"\xe2\x82",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "U+0000": b"a\x00b",
}  # [MQTT-1.5.4-1] [MQTT-1.5.4-2]


def connect(level: int, flags: int, *payload: bytes, properties: bytes = NONE) -> bytes:
    """CONNECT with these flags and fields."""
    return packet(
        0x10,
        HEADS[level],
        bytes((flags,)),
        b"\x00\x3c",
        properties if level == 5 else b"",
        *payload,
    )


# --- framing (1.5.5, 2.1.4) and reserved types (2.1.2) ---------------------------------------

add("345", b"\x30\x80\x80\x80\x80\x01", BAD, "a remaining length of five bytes")
add("345", b"\x10\xff\xff\xff\xff", BAD, "a remaining length that does not end at four bytes")
add("45", b"\xc0\x80\x00", BAD, "remaining length 0 in two bytes")
add("45", b"\x30\x85\x00\x00\x01tab", BAD, "remaining length 5 in two bytes")
add("45", b"\x30\xff\x80\x00", BAD, "remaining length 127 in three bytes")
add("45", b"\xe0\x80\x80\x80\x00", BAD, "remaining length 0 in four bytes")
add("345", b"\x30\xff\xff\xff\x7f", BIG, "the longest packet there is, announced only")
add("345", b"\x10\xff\xff\xff\x7f\x00\x04MQTT", BIG, "a CONNECT of 256 MB, announced only")
add("45", b"\x82\xfe\x07", BIG, "one byte above the limit, announced only")
add("45", b"\x30\x80\x80\x01", BIG, "a length of three bytes above the limit")
add("45", packet(0x30, s(b"t"), b"x" * 1020), BIG, "one byte above the limit, complete")
add("45", b"\xc0\x00\x30\xff\xff\x7f", BIG, "too large after a good packet")
add("45", b"\xc0\x00\xc0\x01\x00", BAD, "malformed after a good packet")
add("345", b"\x00\x00", BAD, "packet type 0 is reserved")
add("345", b"\x0f\x00", BAD, "packet type 0 with flags")
add("345", b"\x00\x02\x00\x01", BAD, "packet type 0 with content")
add("34", b"\xf0\x00", BAD, "packet type 15 is reserved before MQTT 5")
add("34", b"\xf0\x02\x18\x00", BAD, "AUTH before MQTT 5")
add("34", b"\xff\x00", BAD, "packet type 15 with flags before MQTT 5")

# --- flags of the first byte (2.1.3) ---------------------------------------------------------

BODIES = {
    0x10: HEADS[5] + b"\x02\x00\x00\x00\x00\x01c",
    0x20: b"\x00\x00\x00",
    0x40: b"\x00\x01",
    0x50: b"\x00\x01",
    0x62: b"\x00\x01",
    0x70: b"\x00\x01",
    0x82: b"\x00\x01\x00\x00\x01t\x00",
    0x90: b"\x00\x01\x00\x00",
    0xA2: b"\x00\x01\x00\x00\x01t",
    0xB0: b"\x00\x01\x00\x00",
    0xC0: b"",
    0xD0: b"",
    0xE0: b"",
    0xF0: b"",
}
"""A right body of each type at level 5, by the right first byte."""

for right, body in BODIES.items():
    for flags in sorted({0, 1, 2, 8, 15} - {right & 0x0F}):
        add("5", packet(right & 0xF0 | flags, body), BAD, f"flags {flags:04b} [MQTT-2.1.3-1]")
for right in (0x40, 0x50, 0x62, 0x70, 0xC0, 0xD0, 0xE0):
    for flags in sorted({0, 1, 2, 4, 8} - {right & 0x0F}):
        data = packet(right & 0xF0 | flags, BODIES[right])
        add("4", data, BAD, f"flags {flags:04b} (3.1.1: [MQTT-2.2.2-2])")
for first in (0x60, 0x64, 0x66, 0x6C):
    add("3", packet(first, b"\x00\x01"), BAD, "MQTT 3.1: PUBREL has QoS 1")
for first in (0x80, 0x84, 0x86, 0x88):
    add("34", packet(first, b"\x00\x01\x00\x01t\x00"), BAD, "SUBSCRIBE has QoS 1")
    add("34", packet(first | 0x20, b"\x00\x01\x00\x01t"), BAD, "UNSUBSCRIBE has QoS 1")

# --- CONNECT (3.1) ---------------------------------------------------------------------------

add("5", b"\x10\x00", BAD, "CONNECT without content")
add("5", packet(0x10, b"\x00"), BAD, "half a length")
add("5", packet(0x10, b"\x00\x04MQT"), BAD, "the protocol name cut short")
add("5", packet(0x10, b"\x00\x04MQTT"), BAD, "no protocol level")
add("5", packet(0x10, s(b"\xff\xfe\xfd\xfc"), b"\x05"), BAD, "the protocol name is no text")
for name, number in (
    (b"mqtt", 4), (b"MQTTT", 4), (b"MQT", 5), (b"", 4), (b"HTTP", 5), (b"MQIsdp", 4),
    (b"MQIsdp", 5), (b"MQTT", 3), (b"MQTT", 0), (b"MQTT", 6), (b"MQTT", 0x85), (b"MQTT", 255),
    (b"MQIsdp", 0x84), (b"MQTT", 0x83), (b"MQIsdp", 0x03 | 0x40),
):  # fmt: skip
    data = packet(0x10, s(name), bytes((number,)), b"\x02\x00\x00\x00\x00\x01c")
    add("5", data, VER, f"{name.decode()!r} level {number} [MQTT-3.1.2-1] [MQTT-3.1.2-2]")
for level, head in HEADS.items():
    at = str(level)
    add(at, packet(0x10, head), BAD, "no connect flags")
    add(at, packet(0x10, head, b"\x02"), BAD, "no keep alive")
    add(at, packet(0x10, head, b"\x02\x00"), BAD, "half a keep alive")
    add(at, connect(level, 2), BAD, "no client identifier [MQTT-3.1.3-3]")
    add(at, connect(level, 2, b"\x00"), BAD, "half the length of the client identifier")
    add(at, connect(level, 2, b"\x00\x02c"), BAD, "the client identifier cut short")
    add(at, connect(level, 2, s(b"c"), b"\x00"), BAD, "a byte too much")
    add(at, connect(level, 2, s(b"c"), s(b"u")), BAD, "a user name without its flag")
    add(at, connect(level, 0x82, s(b"c"), b"\x00\x02u"), BAD, "the user name cut short")
    add(at, connect(level, 0x82, s(b"c"), s(b"\xff")), BAD, "the user name is no text")
    add(at, connect(level, 0x82, s(b"c"), s(b"u\x00")), BAD, "the user name holds U+0000")
    add(at, connect(level, 0x82, s(b"c"), s(b"u"), s(b"p")), BAD, "a password without its flag")
    add(at, connect(level, 0xC2, s(b"c"), s(b"u"), b"\x00"), BAD, "half a password length")
    add(at, connect(level, 0xC2, s(b"c"), s(b"u"), b"\x00\x02p"), BAD, "the password cut short")
    will = NONE if level == 5 else b""
    add(at, connect(level, 6, s(b"c"), will), BAD, "no will topic [MQTT-3.1.2-9]")
    add(at, connect(level, 6, s(b"c"), will, s(b"t")), BAD, "no will payload [MQTT-3.1.2-9]")
    data = connect(level, 6, s(b"c"), will, s(b"t"), b"\x00\x02p")
    add(at, data, BAD, "the will payload cut short")
    data = connect(level, 6, s(b"c"), will, s(b"\xc3"), s(b"p"))
    add(at, data, BAD, "the will topic is no text [MQTT-3.1.3-11]")
    data = connect(level, 6, s(b"c"), will, s(b"t\x00"), s(b"p"))
    add(at, data, BAD, "the will topic holds U+0000")
    data = connect(level, 0x1E, s(b"c"), will, s(b"t"), s(b"p"))
    add(at, data, BAD, "a will with QoS 3 [MQTT-3.1.2-12]")
    for why, wrong in BAD_TEXT.items():
        add(at, connect(level, 2, s(wrong)), BAD, f"in the client identifier: {why}")
    if level > 3:
        add(at, connect(level, 3, s(b"c")), BAD, "the reserved flag [MQTT-3.1.2-3]")
        add(at, connect(level, 0x0A, s(b"c")), BAD, "will QoS 1 without will [MQTT-3.1.2-11]")
        add(at, connect(level, 0x12, s(b"c")), BAD, "will QoS 2 without will [MQTT-3.1.2-11]")
        add(at, connect(level, 0x1A, s(b"c")), BAD, "will QoS 3 without will [MQTT-3.1.2-11]")
        add(at, connect(level, 0x22, s(b"c")), BAD, "will retain without will [MQTT-3.1.2-13]")
        add(at, connect(level, 0x82, s(b"c")), BAD, "no user name [MQTT-3.1.2-17]")
        add(at, connect(level, 0xC2, s(b"c"), s(b"u")), BAD, "no password [MQTT-3.1.2-19]")
    if level < 5:
        add(at, connect(level, 0x42, s(b"c"), s(b"p")), BAD, "3.1.1: [MQTT-3.1.2-22]")
add("5", connect(5, 6, s(b"c"), s(b"t"), s(b"p")), BAD, "a will topic where properties belong")
add("5", connect(5, 6, s(b"c"), b"\x09", s(b"t"), s(b"p")), BAD, "will properties too long")


def connect_props(*parts: bytes) -> bytes:
    """CONNECT of MQTT 5 with these properties."""
    return connect(5, 2, s(b"c"), properties=props(*parts))


def will_props(*parts: bytes) -> bytes:
    """CONNECT of MQTT 5 with these Will Properties."""
    return connect(5, 6, s(b"c"), props(*parts), s(b"t"), s(b"p"))


METHOD, DATA = b"\x15\x00\x01m", b"\x16\x00\x01d"
for part, why in (
    (b"\x11\x00\x00\x00\x01", "session expiry interval"), (b"\x21\x00\x01", "receive maximum"),
    (b"\x27\x00\x00\x00\x64", "maximum packet size"), (b"\x22\x00\x01", "topic alias maximum"),
    (b"\x19\x01", "request response information"), (b"\x17\x01", "request problem information"),
    (METHOD, "authentication method"), (METHOD + DATA, "authentication data"),
):  # fmt: skip
    add("5", connect_props(part, part), ERR, f"{why} twice (3.1.2.11)")
for part, why in (
    (b"\x21\x00\x00", "receive maximum 0 (3.1.2.11.3)"),
    (b"\x27\x00\x00\x00\x00", "maximum packet size 0 (3.1.2.11.4)"),
    (b"\x19\x02", "2 (3.1.2.11.6)"), (b"\x17\x02", "2 (3.1.2.11.7)"),
    (b"\x17\xff", "255 (3.1.2.11.7)"), (DATA, "authentication data alone (3.1.2.11.10)"),
):  # fmt: skip
    add("5", connect_props(part), ERR, why)
for part, why in (
    (b"\x11\x00\x00\x00", "a four byte integer of three"), (b"\x11", "an identifier alone"),
    (b"\x21\x00", "a two byte integer of one"), (b"\x17", "a byte of none"),
    (b"\x15\x00\x02m", "a string cut short"), (b"\x15\x00", "half the length of a string"),
    (METHOD + b"\x16\x00\x05d", "binary data cut short"), (b"\x26\x00\x01a", "half a pair"),
    (b"\x26\x00\x01a\x00\x02b", "a pair cut short"),
    (b"\x26\x00\x01\x00\x00\x00", "U+0000 in a name"),
    (b"\x26\x00\x00\x00\x01\xff", "a pair that is no text [MQTT-1.5.7-1]"),
    (b"\x15\x00\x01\xed", "an authentication method that is no text"),
    (b"\x91\x00\x00\x00\x00\x01", "an identifier in two bytes"),
    (b"\xff\xff\xff\xff\x01", "no identifier"),
):  # fmt: skip
    add("5", connect_props(part), BAD, why)
for number in (0, 4, 5, 6, 7, 10, 12, 16, 20, 27, 29, 30, 32, 43, 0x7F):
    add("5", connect_props(bytes((number, 0))), BAD, f"there is no property {number} (2.2.2.2)")
for length in (
    b"\x05",
    b"\xff\x7f",
    b"\x80\x00",
    b"\x80\x80\x80\x00",
    b"\xff\xff\xff\xff",
    b"\x80",
):
    data = connect(5, 2, s(b"c"), properties=length)
    add("5", data, BAD, f"the property length {length.hex()} (2.2.2.1)")
for part, why in (
    (b"\x01\x01", "payload format indicator"),
    (b"\x02\x00\x00\x00\x01", "message expiry interval"),
    (b"\x03\x00\x00", "content type"), (b"\x08\x00\x01r", "response topic"),
    (b"\x09\x00\x00", "correlation data"), (b"\x18\x00\x00\x00\x01", "will delay interval"),
):  # fmt: skip
    add("5", will_props(part, part), ERR, f"will: {why} twice (3.1.3.2)")
add("5", will_props(b"\x01\x02"), ERR, "will: payload format 2 (3.1.3.2.3)")
add("5", will_props(b"\x08\x00\x01#"), ERR, "will: wildcard in the response topic")
add("5", will_props(b"\x03\x00\x01\xff"), BAD, "will: the content type is no text")
add("5", will_props(b"\x18\x00\x00"), BAD, "will: half a delay interval")

# --- CONNACK (3.2) ---------------------------------------------------------------------------

add("345", b"\x20\x00", BAD, "CONNACK without content")
add("345", b"\x20\x01\x00", BAD, "CONNACK without a code")
add("34", b"\x20\x03\x00\x00\x00", BAD, "a byte too much")
add("45", b"\x20\x03\x02\x00\x00", BAD, "a reserved acknowledge flag [MQTT-3.2.2-1]")
add("45", b"\x20\x03\x80\x00\x00", BAD, "another reserved acknowledge flag [MQTT-3.2.2-1]")
add("34", b"\x20\x02\x00\x06", ERR, "return code 6 (3.1.1: table 3.1)")
add("34", b"\x20\x02\x00\x80", ERR, "return code 128 (3.1.1: table 3.1)")
add("4", b"\x20\x02\x01\x02", ERR, "session present with an error (3.1.1: [MQTT-3.2.2-4])")
add("5", b"\x20\x03\x01\x87\x00", ERR, "session present with an error [MQTT-3.2.2-6]")
for number in (0x01, 0x10, 0x7F, 0x8B, 0x8D, 0x93, 0x98, 0xA0, 0xFF):
    add("5", packet(0x20, bytes((0, number, 0))), ERR, f"code {number:#x} [MQTT-3.2.2-8]")
add("5", b"\x20\x02\x00\x00", BAD, "no property length")
add("5", b"\x20\x04\x00\x00\x00\x00", BAD, "a byte too much")
add("5", b"\x20\x04\x00\x00\x05\x24", BAD, "properties longer than the packet")
for part, why in (
    (b"\x24\x01", "maximum QoS"), (b"\x25\x01", "retain available"),
    (b"\x13\x00\x01", "server keep alive"),
    (b"\x12\x00\x01c", "assigned client identifier"), (b"\x1f\x00\x01r", "reason string"),
    (b"\x28\x01", "wildcard subscription"), (b"\x29\x01", "subscription identifier"),
    (b"\x2a\x01", "shared subscription"), (b"\x1a\x00\x01r", "response information"),
    (b"\x1c\x00\x01s", "server reference"),
):  # fmt: skip
    add("5", packet(0x20, b"\x00\x00", props(part, part)), ERR, f"{why} twice (3.2.2.3)")
for part in (
    b"\x24\x02",
    b"\x25\x02",
    b"\x28\x02",
    b"\x29\xff",
    b"\x2a\x03",
    b"\x21\x00\x00",
    DATA,
):
    add("5", packet(0x20, b"\x00\x00", props(part)), ERR, f"{part.hex()} is no value (3.2.2.3)")

# --- PUBLISH (3.3) ---------------------------------------------------------------------------

add("345", b"\x30\x00", BAD, "PUBLISH without content")
add("345", b"\x30\x01\x00", BAD, "half the length of the topic")
add("345", b"\x30\x03\x00\x02t", BAD, "the topic cut short")
add("345", b"\x30\x02\xff\xff", BAD, "a topic of 65,535 bytes that are not there")
for first in (0x36, 0x37, 0x3E, 0x3F):
    add("345", packet(first, s(b"t"), b"\x00\x01\x00"), BAD, "QoS 3 [MQTT-3.3.1-4]")
for first in (0x38, 0x39):
    add("345", packet(first, s(b"t"), b"\x00"), BAD, "DUP with QoS 0 [MQTT-3.3.1-2]")
for first in (0x32, 0x34, 0x3B, 0x3D):
    add("345", packet(first, s(b"t"), b"\x00\x00\x00"), ERR, "identifier 0 [MQTT-2.2.1-3]")
for first in (0x32, 0x34):
    add("345", packet(first, s(b"t")), BAD, "no packet identifier")
    add("345", packet(first, s(b"t"), b"\x01"), BAD, "half a packet identifier")
add("5", packet(0x30, s(b"t")), BAD, "no property length")
add("5", packet(0x32, s(b"t"), b"\x00\x01"), BAD, "no property length behind the identifier")
add("5", packet(0x30, s(b""), NONE), ERR, "no topic and no alias (3.3.2.1)")
add("5", packet(0x32, s(b""), b"\x00\x01", NONE), ERR, "no topic and no alias, QoS 1 (3.3.2.1)")
add("5", packet(0x30, s(b""), props(b"\x01\x00")), ERR, "no alias among the properties (3.3.2.1)")
add("5", packet(0x30, s(b"t"), b"\x02\x01"), BAD, "properties longer than the packet")
add("5", packet(0x30, s(b"t"), b"\x80\x00"), BAD, "the property length in two bytes")


def publish_props(*parts: bytes) -> bytes:
    """PUBLISH of MQTT 5 with these properties."""
    return packet(0x30, s(b"t"), props(*parts), b"payload")


add("5", publish_props(b"\x23\x00\x00"), ALIAS, "topic alias 0 [MQTT-3.3.2-8]")
add("5", packet(0x30, s(b""), props(b"\x23\x00\x00")), ALIAS, "alias 0, no topic [MQTT-3.3.2-8]")
add("5", publish_props(b"\x0b\x01"), ERR, "a client's subscription identifier [MQTT-3.3.4-6]")
add("5", publish_props(b"\x0b\x00"), ERR, "subscription identifier 0 (3.3.2.3.8)")
add("5", publish_props(b"\x0b\x81\x00"), BAD, "a subscription identifier not in its shortest form")
add(
    "5", publish_props(b"\x0b\xff\xff\xff\xff\x01"), BAD, "a subscription identifier of five bytes"
)
for part, why in (
    (b"\x01\x00", "payload format indicator"),
    (b"\x02\x00\x00\x00\x00", "message expiry interval"),
    (b"\x03\x00\x01a", "content type"), (b"\x08\x00\x01r", "response topic"),
    (b"\x09\x00\x01d", "correlation data"), (b"\x23\x00\x01", "topic alias"),
):  # fmt: skip
    add("5", publish_props(part, part), ERR, f"{why} twice (3.3.2.3)")
for number in (2, 0x80, 0xFF):
    add("5", publish_props(bytes((1, number))), ERR, f"payload format {number} (3.3.2.3.2)")
for topic in (b"", b"#", b"+", b"a/#", b"a/+/b", b"a+", b"a#b"):
    add("5", publish_props(b"\x08", s(topic)), ERR, f"response topic {topic!r} [MQTT-3.3.2-14]")
for why, wrong in BAD_TEXT.items():
    add("5", publish_props(b"\x03", s(wrong)), BAD, f"in the content type: {why}")
    add("5", publish_props(b"\x26", s(b"n"), s(wrong)), BAD, f"in a user property: {why}")

# --- PUBACK, PUBREC, PUBREL, PUBCOMP (3.4 to 3.7) --------------------------------------------

for first, statement in (
    (0x40, "3.4.2-1"),
    (0x50, "3.5.2-1"),
    (0x62, "3.6.2-1"),
    (0x70, "3.7.2-1"),
):
    add("345", packet(first), BAD, "no packet identifier")
    add("345", packet(first, b"\x01"), BAD, "half a packet identifier")
    add("345", packet(first, b"\x00\x00"), ERR, "identifier 0 [MQTT-2.2.1-5]")
    add("34", packet(first, b"\x00\x01\x00"), BAD, "a byte too much")
    for number in (0x01, 0x81, 0xFF, 0x92 if first < 0x60 else 0x10):
        data = packet(first, b"\x00\x01", bytes((number,)))
        add("5", data, ERR, f"code {number:#x} [MQTT-{statement}]")
    add("5", packet(first, b"\x00\x01\x00\x01"), BAD, "properties longer than the packet")
    add("5", packet(first, b"\x00\x01\x00\x00\x00"), BAD, "a byte too much")
    data = packet(first, b"\x00\x01\x00", props(b"\x1f\x00\x00", b"\x1f\x00\x00"))
    add("5", data, ERR, "reason string twice")
    data = packet(first, b"\x00\x01\x00", props(b"\x1f\x00\x01\xff"))
    add("5", data, BAD, "the reason string is no text")

# --- SUBSCRIBE (3.8) and UNSUBSCRIBE (3.10) --------------------------------------------------

for first, tail in ((0x82, b"\x00"), (0xA2, b"")):
    add("345", packet(first), BAD, "no packet identifier")
    add("345", packet(first, b"\x01"), BAD, "half a packet identifier")
    add("345", packet(first, b"\x00\x00", b"\x00", s(b"t"), tail), ERR, "identifier 0")
    add("34", packet(first, b"\x00\x01"), ERR, "no topic filter [MQTT-3.8.3-2] [MQTT-3.10.3-2]")
    add("5", packet(first, b"\x00\x01"), BAD, "no property length")
    add("5", packet(first, b"\x00\x01\x00"), ERR, "no topic filter [MQTT-3.8.3-2] [MQTT-3.10.3-2]")
    add("5", packet(first, b"\x00\x01", props(b"\x26\x00\x01a\x00\x00")), ERR, "properties only")
    for level in (3, 4, 5):
        start = b"\x00\x01" + (NONE if level == 5 else b"")
        at = str(level)
        add(at, packet(first, start, b"\x00"), BAD, "half the length of a topic filter")
        add(at, packet(first, start, b"\x00\x02t"), BAD, "the topic filter cut short")
        add(at, packet(first, start, s(b"t"), tail, b"\x00\x01"), BAD, "the second cut short")
        for why, wrong in BAD_TEXT.items():
            add(at, packet(first, start, s(wrong), tail), BAD, f"in a topic filter: {why}")
for level in (3, 4, 5):
    start = b"\x00\x01" + (NONE if level == 5 else b"")
    add(str(level), packet(0x82, start, s(b"t")), BAD, "no subscription options")
    data = packet(0x82, start, s(b"t"), b"\x00", s(b"u"))
    add(str(level), data, BAD, "no options for the second topic filter")
for number in (0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF):
    data = packet(0x82, b"\x00\x01", s(b"t"), bytes((number,)))
    add("34", data, BAD, f"requested QoS {number:#x} (3.1.1: [MQTT-3-8.3-4])")
for number, code in (
    (0x03, ERR), (0x07, ERR), (0x30, ERR), (0x31, ERR),
    (0x40, BAD), (0x80, BAD), (0xC0, BAD), (0xFF, BAD),
):  # fmt: skip
    data = packet(0x82, b"\x00\x01\x00", s(b"t"), bytes((number,)))
    add("5", data, code, f"options {number:#x} (3.8.3.1) [MQTT-3.8.3-5]")
for part, code, why in (
    (b"\x0b\x00", ERR, "subscription identifier 0 (3.8.2.1.2)"),
    (b"\x0b\x01\x0b\x02", ERR, "subscription identifier twice (3.8.2.1.2)"),
    (b"\x0b\x80\x80\x80\x80\x01", BAD, "a subscription identifier of five bytes"),
    (b"\x0b\x80", BAD, "a subscription identifier cut short"),
):
    add("5", packet(0x82, b"\x00\x01", props(part), s(b"t"), b"\x00"), code, why)

# --- SUBACK (3.9) and UNSUBACK (3.11) --------------------------------------------------------

add("345", b"\x90\x00", BAD, "no packet identifier")
add("345", b"\xb0\x01\x01", BAD, "half a packet identifier")
add("345", b"\x90\x04\x00\x00\x00\x00", ERR, "identifier 0 [MQTT-2.2.1-6]")
add("345", b"\xb0\x04\x00\x00\x00\x00", ERR, "identifier 0 [MQTT-2.2.1-6]")
add("34", b"\x90\x02\x00\x01", ERR, "no return code")
add("34", b"\xb0\x03\x00\x01\x00", BAD, "a byte too much")
for number in (0x03, 0x7F, 0x81, 0x87, 0xFF):
    add("34", packet(0x90, b"\x00\x01", bytes((number,))), ERR, "3.1.1: [MQTT-3.9.3-2]")
for first, statement in ((0x90, "3.9.3-2"), (0xB0, "3.11.3-2")):
    add("5", packet(first, b"\x00\x01"), BAD, "no property length")
    add("5", packet(first, b"\x00\x01\x00"), ERR, "no reason code")
    add("5", packet(first, b"\x00\x01\x09\x00"), BAD, "properties longer than the packet")
    for number in (0x03, 0x10, 0x81, 0x98, 0xFF):
        data = packet(first, b"\x00\x01\x00\x00", bytes((number,)))
        add("5", data, ERR, f"code {number:#x} [MQTT-{statement}]")

# --- PINGREQ, PINGRESP, DISCONNECT, AUTH (3.12 to 3.15) --------------------------------------

for first in (0xC0, 0xD0):
    add("345", packet(first, b"\x00"), BAD, "a byte too much")
    add("345", packet(first, b"\x00\x01"), BAD, "a ping with a packet identifier")
add("34", b"\xe0\x01\x00", BAD, "DISCONNECT has no content before MQTT 5")
add("34", b"\xe0\x02\x04\x00", BAD, "DISCONNECT has no content before MQTT 5")
for number in (0x01, 0x18, 0x7F, 0x84, 0x86, 0x88, 0x8A, 0x91, 0xA3, 0xFF):
    add("5", packet(0xE0, bytes((number,))), ERR, f"code {number:#x} [MQTT-3.14.2-1]")
for number in (0x01, 0x17, 0x1A, 0x80, 0x8C):
    data = packet(0xF0, bytes((number,)), props(METHOD))
    add("5", data, ERR, f"code {number:#x} [MQTT-3.15.2-1]")
for first, more in ((0xE0, b""), (0xF0, METHOD)):
    add("5", packet(first, b"\x00\x01"), BAD, "properties longer than the packet")
    add("5", packet(first, b"\x00", props(more), b"\x00"), BAD, "a byte too much")
    add("5", packet(first, b"\x00\x80\x00"), BAD, "the property length in two bytes")
    twice = b"\x1f\x00\x00\x1f\x00\x00"
    add("5", packet(first, b"\x00", props(more, twice)), ERR, "reason string twice")
add("5", packet(0xE0, b"\x00", props(b"\x11\x00\x00\x00\x01" * 2)), ERR, "session expiry twice")
add("5", packet(0xE0, b"\x00", props(b"\x11\x00\x00")), BAD, "session expiry cut short")
add("5", packet(0xE0, b"\x9c", props(b"\x1c\x00\x01s" * 2)), ERR, "server reference twice")
add("5", packet(0xF0, b"\x18"), BAD, "no property length (3.15.2.1)")
add("5", packet(0xF0, b"\x18\x00"), ERR, "no authentication method (3.15.2.2.2)")
add("5", packet(0xF0, b"\x19", props(DATA)), ERR, "no authentication method (3.15.2.2.2)")
add("5", packet(0xF0, b"\x18", props(METHOD, METHOD)), ERR, "authentication method twice")
add("5", packet(0xF0, b"\x18", props(METHOD, DATA, DATA)), ERR, "authentication data twice")

# --- properties where they do not belong (table 2-4) -----------------------------------------

TABLE = {
    0x01: (b"\x00", "PUBLISH WILL"), 0x02: (b"\x00" * 4, "PUBLISH WILL"),
    0x03: (b"\x00\x00", "PUBLISH WILL"), 0x08: (b"\x00\x01r", "PUBLISH WILL"),
    0x09: (b"\x00\x00", "PUBLISH WILL"), 0x0B: (b"\x01", "PUBLISH SUBSCRIBE"),
    0x11: (b"\x00" * 4, "CONNECT CONNACK DISCONNECT"), 0x12: (b"\x00\x01c", "CONNACK"),
    0x13: (b"\x00\x00", "CONNACK"), 0x15: (b"\x00\x01m", "CONNECT CONNACK AUTH"),
    0x16: (b"\x00\x00", "CONNECT CONNACK AUTH"), 0x17: (b"\x00", "CONNECT"),
    0x18: (b"\x00" * 4, "WILL"), 0x19: (b"\x00", "CONNECT"), 0x1A: (b"\x00\x00", "CONNACK"),
    0x1C: (b"\x00\x01s", "CONNACK DISCONNECT"),
    0x1F: (b"\x00\x00", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"),
    0x21: (b"\x00\x01", "CONNECT CONNACK"), 0x22: (b"\x00\x00", "CONNECT CONNACK"),
    0x23: (b"\x00\x01", "PUBLISH"), 0x24: (b"\x00", "CONNACK"), 0x25: (b"\x00", "CONNACK"),
    0x27: (b"\x00\x00\x00\x01", "CONNECT CONNACK"), 0x28: (b"\x00", "CONNACK"),
    0x29: (b"\x00", "CONNACK"), 0x2A: (b"\x00", "CONNACK"),
}  # fmt: skip
"""A value of each property but User Property, which belongs everywhere, and its places."""


def holding(place: str, block: bytes) -> bytes:
    """A packet of MQTT 5 with these properties."""
    if place == "WILL":
        return will_props(block)
    first, head, tail = {
        "CONNECT": (0x10, HEADS[5] + b"\x02\x00\x00", s(b"c")),
        "CONNACK": (0x20, b"\x00\x00", b""),
        "PUBLISH": (0x30, s(b"t"), b""), "PUBACK": (0x40, b"\x00\x01\x00", b""),
        "PUBREC": (0x50, b"\x00\x01\x00", b""), "PUBREL": (0x62, b"\x00\x01\x00", b""),
        "PUBCOMP": (0x70, b"\x00\x01\x00", b""),
        "SUBSCRIBE": (0x82, b"\x00\x01", s(b"t") + b"\x00"),
        "SUBACK": (0x90, b"\x00\x01", b"\x00"), "UNSUBSCRIBE": (0xA2, b"\x00\x01", s(b"t")),
        "UNSUBACK": (0xB0, b"\x00\x01", b"\x00"), "DISCONNECT": (0xE0, b"\x00", b""),
        "AUTH": (0xF0, b"\x18", b""),
    }[place]  # fmt: skip
    return packet(first, head, props(block), tail)


PLACES = (
    "WILL", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
    "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "DISCONNECT", "AUTH",
)  # fmt: skip

for number, (value, allowed) in TABLE.items():
    for place in PLACES:
        if place not in allowed.split():
            block = bytes((number,)) + value
            add("5", holding(place, block), BAD, f"property {number:#x} in {place} (2.2.2.2)")

"""The table of MQTT 5 properties (2.2.2.2): identifier, form on the wire, place, values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mqttd.packets.primitives import (
    MAX_VARIABLE,
    Reader,
    encode_binary,
    encode_byte,
    encode_four,
    encode_string,
    encode_two,
    encode_variable,
)
from mqttd.packets.types import PacketType

WILL = 0
"""Stands beside the packet types as the place of a Will's properties."""


class WireType:
    """A data type of the wire (1.5): how a value is read and written."""

    __slots__ = ("name", "read", "write")

    def __init__(
        self, name: str, read: Callable[[Reader], Any], write: Callable[[Any], bytes]
    ) -> None:
        self.name = name
        self.read = read
        self.write = write


def _read_pair(reader: Reader) -> tuple[str, str]:
    return reader.string(), reader.string()  # [MQTT-1.5.7-1]


def _write_pair(pair: tuple[str, str]) -> bytes:
    name, value = pair
    return encode_string(name) + encode_string(value)


BYTE = WireType("Byte", Reader.byte, encode_byte)
TWO = WireType("Two Byte Integer", Reader.two, encode_two)
FOUR = WireType("Four Byte Integer", Reader.four, encode_four)
VARIABLE = WireType("Variable Byte Integer", Reader.variable, encode_variable)
BINARY = WireType("Binary Data", Reader.binary, encode_binary)
STRING = WireType("UTF-8 Encoded String", Reader.string, encode_string)
PAIR = WireType("UTF-8 String Pair", _read_pair, _write_pair)


class Property:
    """One row: ``places`` are packet types and WILL, ``values`` the integers allowed (None: all).

    ``many``: it may be there more than once, and its attribute is a tuple.
    """

    __slots__ = ("attribute", "identifier", "many", "mask", "places", "values", "wire")

    def __init__(
        self,
        identifier: int,
        attribute: str,
        wire: WireType,
        places: tuple[int, ...],
        values: range | None = None,
        many: bool = False,
    ) -> None:
        self.identifier = identifier
        self.attribute = attribute
        self.wire = wire
        self.places = frozenset(places)
        # The places as bits, which are asked for every property of every packet.
        self.mask = sum(1 << place for place in places)
        self.values = values
        self.many = many


_CONNECT = PacketType.CONNECT
_CONNACK = PacketType.CONNACK
_PUBLISH = PacketType.PUBLISH
_SUBSCRIBE = PacketType.SUBSCRIBE
_DISCONNECT = PacketType.DISCONNECT
_AUTH = PacketType.AUTH
_ANSWERS = (
    _CONNACK,
    PacketType.PUBACK,
    PacketType.PUBREC,
    PacketType.PUBREL,
    PacketType.PUBCOMP,
    PacketType.SUBACK,
    PacketType.UNSUBACK,
    _DISCONNECT,
    _AUTH,
)
_EVERYWHERE = (WILL, _CONNECT, _PUBLISH, _SUBSCRIBE, PacketType.UNSUBSCRIBE, *_ANSWERS)

_FLAG = range(2)
_NOT_ZERO_2 = range(1, 1 << 16)
_NOT_ZERO_4 = range(1, 1 << 32)
_IDENTIFIER = range(1, MAX_VARIABLE + 1)

_ROWS = (
    Property(0x01, "payload_format_indicator", BYTE, (_PUBLISH, WILL), _FLAG),
    Property(0x02, "message_expiry_interval", FOUR, (_PUBLISH, WILL)),
    Property(0x03, "content_type", STRING, (_PUBLISH, WILL)),
    Property(0x08, "response_topic", STRING, (_PUBLISH, WILL)),
    Property(0x09, "correlation_data", BINARY, (_PUBLISH, WILL)),
    Property(
        0x0B, "subscription_identifiers", VARIABLE, (_PUBLISH, _SUBSCRIBE), _IDENTIFIER, True
    ),
    Property(0x11, "session_expiry_interval", FOUR, (_CONNECT, _CONNACK, _DISCONNECT)),
    Property(0x12, "assigned_client_identifier", STRING, (_CONNACK,)),
    Property(0x13, "server_keep_alive", TWO, (_CONNACK,)),
    Property(0x15, "authentication_method", STRING, (_CONNECT, _CONNACK, _AUTH)),
    Property(0x16, "authentication_data", BINARY, (_CONNECT, _CONNACK, _AUTH)),
    Property(0x17, "request_problem_information", BYTE, (_CONNECT,), _FLAG),
    Property(0x18, "will_delay_interval", FOUR, (WILL,)),
    Property(0x19, "request_response_information", BYTE, (_CONNECT,), _FLAG),
    Property(0x1A, "response_information", STRING, (_CONNACK,)),
    Property(0x1C, "server_reference", STRING, (_CONNACK, _DISCONNECT)),
    Property(0x1F, "reason_string", STRING, _ANSWERS),
    Property(0x21, "receive_maximum", TWO, (_CONNECT, _CONNACK), _NOT_ZERO_2),
    Property(0x22, "topic_alias_maximum", TWO, (_CONNECT, _CONNACK)),
    Property(0x23, "topic_alias", TWO, (_PUBLISH,), _NOT_ZERO_2),
    Property(0x24, "maximum_qos", BYTE, (_CONNACK,), _FLAG),
    Property(0x25, "retain_available", BYTE, (_CONNACK,), _FLAG),
    Property(0x26, "user_properties", PAIR, _EVERYWHERE, None, True),
    Property(0x27, "maximum_packet_size", FOUR, (_CONNECT, _CONNACK), _NOT_ZERO_4),
    Property(0x28, "wildcard_subscription_available", BYTE, (_CONNACK,), _FLAG),
    Property(0x29, "subscription_identifier_available", BYTE, (_CONNACK,), _FLAG),
    Property(0x2A, "shared_subscription_available", BYTE, (_CONNACK,), _FLAG),
)

PROPERTIES: dict[int, Property] = {row.identifier: row for row in _ROWS}
"""By identifier (table 2-4)."""

BY_ATTRIBUTE: dict[str, Property] = {row.attribute: row for row in _ROWS}
"""By the attribute of :class:`mqttd.packets.properties.Properties`."""

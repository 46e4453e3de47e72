"""The properties of MQTT 5 (2.2.2): one table, one value class, one reader, one writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mqttd.packets.errors import MalformedPacket, ProtocolError, TopicAliasInvalid
from mqttd.packets.primitives import (
    Reader,
    encode_binary,
    encode_string,
    encode_variable,
)
from mqttd.packets.types import PacketType

WILL = 0
"""Stands beside the packet types as the place of a Will's properties."""


class Properties:
    """The properties of one packet or Will; what is not set is None (or an empty tuple).

    Integers are as on the wire (seconds, counts, flags 0 or 1). Only what was set is in the
    instance, in the order it was set or received.
    """

    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: tuple[int, ...] = ()
    session_expiry_interval: int | None = None
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_interval: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    maximum_packet_size: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifier_available: int | None = None
    shared_subscription_available: int | None = None

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            if name not in _BY_ATTRIBUTE:
                raise TypeError(f"there is no property {name}")
            setattr(self, name, value)

    def copy(self) -> Properties:
        """A copy that can be changed without changing this one."""
        result = Properties()
        result.__dict__.update(self.__dict__)
        return result

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Properties) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}=<{len(value)} bytes>" if isinstance(value, bytes) else f"{name}={value!r}"
            for name, value in self.__dict__.items()
        )
        return f"Properties({shown})"


class _Wire:
    """How a property's value stands on the wire."""

    __slots__ = ("read", "write")

    def __init__(self, read: Callable[[Reader], Any], write: Callable[[Any], bytes]) -> None:
        self.read = read
        self.write = write


def _read_pair(reader: Reader) -> tuple[str, str]:
    return reader.string(), reader.string()


def _write_pair(pair: tuple[str, str]) -> bytes:
    return encode_string(pair[0]) + encode_string(pair[1])


BYTE = _Wire(Reader.byte, lambda value: bytes((value,)))
TWO = _Wire(Reader.two, lambda value: value.to_bytes(2, "big"))
FOUR = _Wire(Reader.four, lambda value: value.to_bytes(4, "big"))
VARIABLE = _Wire(Reader.variable, encode_variable)
BINARY = _Wire(Reader.binary, encode_binary)
STRING = _Wire(Reader.string, encode_string)
PAIR = _Wire(_read_pair, _write_pair)

_CONNECT = PacketType.CONNECT
_CONNACK = PacketType.CONNACK
_PUBLISH = PacketType.PUBLISH
_ACKS = (PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBREL, PacketType.PUBCOMP)
_SUBACKS = (PacketType.SUBACK, PacketType.UNSUBACK)
_ANSWERS = (_CONNACK, *_ACKS, *_SUBACKS, PacketType.DISCONNECT, PacketType.AUTH)

_FLAG = range(2)
_NOT_ZERO_TWO = range(1, 1 << 16)
_NOT_ZERO_FOUR = range(1, 1 << 32)


class Property:
    """One row of the table: identifier, attribute, wire form, where allowed, which values."""

    __slots__ = ("attribute", "identifier", "many", "places", "values", "wire")

    def __init__(
        self,
        identifier: int,
        attribute: str,
        wire: _Wire,
        places: tuple[int, ...],
        values: range | None = None,
        *,
        many: bool = False,
    ) -> None:
        self.identifier = identifier
        self.attribute = attribute
        self.wire = wire
        self.places = frozenset(places)
        self.values = values
        self.many = many


_TABLE = (
    Property(0x01, "payload_format_indicator", BYTE, (_PUBLISH, WILL), _FLAG),
    Property(0x02, "message_expiry_interval", FOUR, (_PUBLISH, WILL)),
    Property(0x03, "content_type", STRING, (_PUBLISH, WILL)),
    Property(0x08, "response_topic", STRING, (_PUBLISH, WILL)),
    Property(0x09, "correlation_data", BINARY, (_PUBLISH, WILL)),
    Property(
        0x0B,
        "subscription_identifiers",
        VARIABLE,
        (_PUBLISH, PacketType.SUBSCRIBE),
        range(1, 268_435_456),
        many=True,
    ),
    Property(0x11, "session_expiry_interval", FOUR, (_CONNECT, _CONNACK, PacketType.DISCONNECT)),
    Property(0x12, "assigned_client_identifier", STRING, (_CONNACK,)),
    Property(0x13, "server_keep_alive", TWO, (_CONNACK,)),
    Property(0x15, "authentication_method", STRING, (_CONNECT, _CONNACK, PacketType.AUTH)),
    Property(0x16, "authentication_data", BINARY, (_CONNECT, _CONNACK, PacketType.AUTH)),
    Property(0x17, "request_problem_information", BYTE, (_CONNECT,), _FLAG),
    Property(0x18, "will_delay_interval", FOUR, (WILL,)),
    Property(0x19, "request_response_information", BYTE, (_CONNECT,), _FLAG),
    Property(0x1A, "response_information", STRING, (_CONNACK,)),
    Property(0x1C, "server_reference", STRING, (_CONNACK, PacketType.DISCONNECT)),
    Property(0x1F, "reason_string", STRING, _ANSWERS),
    Property(0x21, "receive_maximum", TWO, (_CONNECT, _CONNACK), _NOT_ZERO_TWO),
    Property(0x22, "topic_alias_maximum", TWO, (_CONNECT, _CONNACK)),
    Property(0x23, "topic_alias", TWO, (_PUBLISH,), _NOT_ZERO_TWO),
    Property(0x24, "maximum_qos", BYTE, (_CONNACK,), _FLAG),
    Property(0x25, "retain_available", BYTE, (_CONNACK,), _FLAG),
    Property(
        0x26,
        "user_properties",
        PAIR,
        (
            _CONNECT,
            _PUBLISH,
            WILL,
            PacketType.SUBSCRIBE,
            PacketType.UNSUBSCRIBE,
            *_ANSWERS,
        ),
        many=True,
    ),
    Property(0x27, "maximum_packet_size", FOUR, (_CONNECT, _CONNACK), _NOT_ZERO_FOUR),
    Property(0x28, "wildcard_subscription_available", BYTE, (_CONNACK,), _FLAG),
    Property(0x29, "subscription_identifier_available", BYTE, (_CONNACK,), _FLAG),
    Property(0x2A, "shared_subscription_available", BYTE, (_CONNACK,), _FLAG),
)

PROPERTIES: dict[int, Property] = {row.identifier: row for row in _TABLE}
"""By identifier (MQTT 5, table 2-4)."""

_BY_ATTRIBUTE: dict[str, Property] = {row.attribute: row for row in _TABLE}


def decode_properties(
    reader: Reader, place: int, *, from_client: bool = True
) -> Properties | None:
    """Read a property list; None when it is empty.

    ``place`` is a PacketType or :data:`WILL`. Raises MalformedPacket for what cannot be parsed or
    does not belong there (2.2.2.2), ProtocolError for a duplicate or a value out of range.
    """
    length = reader.variable()
    if not length:
        return None
    end = reader.position + length
    if end > reader.end:
        raise MalformedPacket("the properties are longer than the packet")
    outer_end, reader.end = reader.end, end
    result = Properties()
    values = result.__dict__
    while reader.position < end:
        row = PROPERTIES.get(reader.variable())
        if row is None:
            raise MalformedPacket("an unknown property")
        name = row.attribute
        if place not in row.places:
            raise MalformedPacket(f"the property {name} does not belong here")
        value = row.wire.read(reader)
        if row.values is not None and value not in row.values:
            if name == "topic_alias":  # [MQTT-3.3.2-8]
                raise TopicAliasInvalid("the topic alias is 0")
            raise ProtocolError(f"the property {name} cannot be {value}")
        if row.many:
            if name == "subscription_identifiers":
                _check_identifiers(values, place, from_client)
            values[name] = (*values.get(name, ()), value)
        elif name in values:
            raise ProtocolError(f"the property {name} is there twice")
        else:
            values[name] = value
    reader.end = outer_end
    if "authentication_data" in values and "authentication_method" not in values:
        raise ProtocolError("authentication data without a method")
    return result


def _check_identifiers(values: dict[str, Any], place: int, from_client: bool) -> None:
    if place == PacketType.PUBLISH:
        if from_client:  # [MQTT-3.3.4-6]
            raise ProtocolError("a PUBLISH from a client with a subscription identifier")
    elif "subscription_identifiers" in values:
        raise ProtocolError("the property subscription_identifiers is there twice")


def encode_properties(properties: Properties | None) -> bytes:
    """A property list with its length."""
    if properties is None or not properties.__dict__:
        return b"\0"
    parts = []
    for name, value in properties.__dict__.items():
        if value is None:
            continue
        row = _BY_ATTRIBUTE[name]
        identifier = bytes((row.identifier,))
        if row.many:
            for each in value:
                parts.append(identifier)
                parts.append(row.wire.write(each))
        else:
            parts.append(identifier)
            parts.append(row.wire.write(value))
    body = b"".join(parts)
    return encode_variable(len(body)) + body

"""The properties of MQTT 5 (2.2.2): one value class, one reader, one writer."""

from __future__ import annotations

from typing import Any, TypeVar

from mqttd.packets.errors import MalformedPacket, ProtocolError, TopicAliasInvalid
from mqttd.packets.primitives import Reader, encode_byte, encode_variable
from mqttd.packets.property_table import BY_ATTRIBUTE, PROPERTIES, WILL, Property
from mqttd.packets.types import PacketType

__all__ = ["PROPERTIES", "WILL", "Properties", "decode_properties", "encode_properties"]

_T = TypeVar("_T")


def _with_dict(cls: type[_T]) -> type[_T]:
    """Change nothing; a decorated class keeps its ``__dict__`` when mypyc compiles it."""
    return cls


@_with_dict
class Properties:
    """The properties of one packet or Will; what is not there is None (or an empty tuple).

    Integers are as on the wire (seconds, counts, flags 0 or 1). The instance holds only what was
    set, in the order it was set or received. User properties and subscription identifiers keep
    their order and their repetitions.
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
            if name not in BY_ATTRIBUTE:
                raise TypeError(f"there is no property {name}")
            if value is not None and value != ():
                self.__dict__[name] = value

    def copy(self) -> Properties:
        """A copy that can be changed without changing this one."""
        return _holding(self.__dict__.copy())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Properties) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        # Authentication data is a secret and correlation data belongs to the applications.
        shown = ", ".join(
            f"{name}=<{len(value)} bytes>" if isinstance(value, bytes) else f"{name}={value!r}"
            for name, value in self.__dict__.items()
        )
        return f"Properties({shown})"


def _holding(values: dict[str, Any]) -> Properties:
    """Properties with these values, which are not looked at again."""
    result = Properties.__new__(Properties)
    result.__dict__ = values
    return result


def decode_properties(
    reader: Reader, place: int, *, from_client: bool = True
) -> Properties | None:
    """Read a property list with its length; None when it is empty.

    ``place`` is a PacketType or :data:`WILL`. Raises MalformedPacket for what cannot be parsed or
    does not belong there (2.2.2.2), ProtocolError for a repetition or a value that is not allowed,
    TopicAliasInvalid for the alias 0.
    """
    length = reader.variable()
    if not length:
        return None
    end = reader.position + length
    if end > reader.end:
        raise MalformedPacket("the properties are longer than the packet")
    outer_end, reader.end = reader.end, end
    values: dict[str, Any] = {}
    place_bit = 1 << place
    while reader.position < end:
        # An identifier of more than one byte would be none of these (2.2.2.2).
        row = PROPERTIES.get(reader.byte())
        if row is None:
            raise MalformedPacket("an unknown property")
        name = row.attribute
        if not row.mask & place_bit:
            raise MalformedPacket(f"the property {name} does not belong here")
        value = row.wire.read(reader)
        if row.values is not None and value not in row.values:
            _refuse_value(row, value)
        if row.many:
            # Lists first: growing a tuple would cost the square of a hostile packet's length.
            values.setdefault(name, []).append(value)
        elif name in values:
            raise ProtocolError(f"the property {name} is there twice")
        else:
            values[name] = value
    reader.end = outer_end
    return _checked(values, place, from_client)


def _refuse_value(row: Property, value: int) -> None:
    detail = f"the property {row.attribute} cannot be {value}"
    if row.attribute == "topic_alias":
        raise TopicAliasInvalid(detail)  # [MQTT-3.3.2-8]
    raise ProtocolError(detail)


def _checked(values: dict[str, Any], place: int, from_client: bool) -> Properties:
    """The values as Properties, after the rules that concern more than one value."""
    identifiers = values.get("subscription_identifiers")
    if identifiers is not None:
        if place == PacketType.PUBLISH:
            if from_client:
                # [MQTT-3.3.4-6]
                raise ProtocolError("a client's PUBLISH with a subscription identifier")
        elif len(identifiers) > 1:
            # 3.8.2.1.2; only the PUBLISH of a server may name several subscriptions.
            raise ProtocolError("the property subscription_identifiers is there twice")
        values["subscription_identifiers"] = tuple(identifiers)
    pairs = values.get("user_properties")
    if pairs is not None:
        values["user_properties"] = tuple(pairs)
    topic = values.get("response_topic")
    if topic is not None and (not topic or "+" in topic or "#" in topic):
        # [MQTT-3.3.2-14] [MQTT-4.7.3-1]
        raise ProtocolError("the response topic is empty or has wildcards")
    if "authentication_data" in values and "authentication_method" not in values:
        raise ProtocolError("authentication data without a method")  # 3.1.2.11.10
    return _holding(values)


def encode_properties(properties: Properties | None) -> bytes:
    """A property list with its length [MQTT-2.2.2-1]. Raises ValueError for impossible values."""
    if properties is None:
        return b"\0"
    parts = []
    for name, value in properties.__dict__.items():
        if value is None:
            continue
        row = BY_ATTRIBUTE[name]
        identifier = encode_byte(row.identifier)
        for each in value if row.many else (value,):
            parts.append(identifier)
            parts.append(row.wire.write(each))
    body = b"".join(parts)
    return encode_variable(len(body)) + body

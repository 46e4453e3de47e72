"""A packet in words, as the packet log shows it: no payload, no password, no proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mqttd.log.tokens import without_token
from mqttd.packets.acks import Ack
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.decode import Packet
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.types import PacketType
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe

_LONGEST = 256
"""Characters shown of one text; a topic may have 65535."""
_MOST = 20
"""Members shown of one list; a SUBSCRIBE may have thousands."""
_UNDEFINED = "undefined"


def describe(packet: Packet) -> str:
    """``CONNECT(Q0, R0, D0, ClientId=a, ...)``; Q, R and D are the fixed header's flags.

    Text of the peer's stands as it came; the log's formatter makes it harmless.
    """
    fields = _FIELDS.get(type(packet))
    if fields is None and isinstance(packet, Ack):
        fields = _ack
    parts = [_flags(packet)]
    if fields is not None:
        parts += fields(packet)
    properties = getattr(packet, "properties", None)
    if properties is not None and vars(properties):
        parts.append(f"Properties={_properties(properties)}")
    return f"{_name(packet)}({', '.join(parts)})"


def _name(packet: Packet) -> str:
    return type(packet).__name__.upper()


def _flags(packet: Packet) -> str:
    if isinstance(packet, Publish):
        return f"Q{packet.qos}, R{packet.retain:d}, D{packet.dup:d}"
    # The reserved bits of these three say 2, in the place where PUBLISH has its QoS.
    qos = int(_name(packet) in (PacketType.PUBREL.name, "SUBSCRIBE", "UNSUBSCRIBE"))
    return f"Q{qos}, R0, D0"


def _connect(packet: Connect) -> Iterable[str]:
    yield f"ClientId={_clip(packet.client_id)}"
    yield f"ProtoName={'MQIsdp' if packet.level == 3 else 'MQTT'}"
    yield f"ProtoVsn={packet.level}"
    yield f"CleanStart={_boolean(packet.clean_start)}"
    yield f"KeepAlive={packet.keep_alive}"
    username = without_token(packet.username)
    yield f"Username={_UNDEFINED if username is None else _clip(username)}"
    yield f"Password={_UNDEFINED if packet.password is None else '******'}"
    if packet.will is not None:
        will = packet.will
        shown = f"Q{will.qos}, R{will.retain:d}, Topic={_topic(will.topic)}"
        if will.properties is not None and vars(will.properties):
            shown += f", Properties={_properties(will.properties)}"
        yield f"Will({shown}, Payload={len(will.payload)} bytes)"


def _connack(packet: Connack) -> Iterable[str]:
    yield f"SessionPresent={_boolean(packet.session_present)}"
    yield f"ReasonCode={packet.reason_code:d}"


def _publish(packet: Publish) -> Iterable[str]:
    yield f"Topic={_topic(packet.topic)}"
    yield f"PacketId={packet.packet_id or _UNDEFINED}"
    yield f"Payload={len(packet.payload)} bytes"


def _ack(packet: Ack) -> Iterable[str]:
    yield f"PacketId={packet.packet_id}"
    yield f"ReasonCode={packet.reason_code:d}"


def _subscribe(packet: Subscribe) -> Iterable[str]:
    yield f"PacketId={packet.packet_id}"
    yield f"TopicFilters={_list(packet.topics, _subscription)}"


def _subscription(topic: SubscribeTopic) -> str:
    options = f"q{topic.qos}"
    if topic.no_local:
        options += ", nl"
    if topic.retain_as_published:
        options += ", rap"
    if topic.retain_handling:
        options += f", rh{topic.retain_handling}"
    return f"{_clip(topic.topic_filter)} ({options})"


def _unsubscribe(packet: Unsubscribe) -> Iterable[str]:
    yield f"PacketId={packet.packet_id}"
    yield f"TopicFilters={_list(packet.topic_filters, _clip)}"


def _reason_codes(packet: Suback | Unsuback) -> Iterable[str]:
    yield f"PacketId={packet.packet_id}"
    yield f"ReasonCodes={_list(packet.reason_codes, lambda code: f'{code:d}')}"


def _reason_code(packet: Disconnect | Auth) -> Iterable[str]:
    yield f"ReasonCode={packet.reason_code:d}"


_FIELDS: dict[type, Callable[[Any], Iterable[str]]] = {
    Connect: _connect,
    Connack: _connack,
    Publish: _publish,
    Subscribe: _subscribe,
    Suback: _reason_codes,
    Unsubscribe: _unsubscribe,
    Unsuback: _reason_codes,
    Disconnect: _reason_code,
    Auth: _reason_code,
}


def _properties(properties: Properties) -> str:
    return "{" + ", ".join(_property(*item) for item in vars(properties).items()) + "}"


def _property(name: str, value: object) -> str:
    if isinstance(value, bytes):
        return f"{name}={len(value)} bytes"
    if isinstance(value, str):
        return f"{name}={_clip(value)}"
    if name == "user_properties" and isinstance(value, tuple):
        # Names only: applications put tokens into the values.
        return f"{name}={_list(value, lambda pair: _clip(pair[0]))}"
    return f"{name}={_list(value, str) if isinstance(value, tuple) else value}"


def _list(values: list[Any] | tuple[Any, ...], show: Callable[[Any], str]) -> str:
    shown = [show(value) for value in values[:_MOST]]
    if len(values) > _MOST:
        shown.append(f"and {len(values) - _MOST} more")
    return f"[{', '.join(shown)}]"


def _topic(topic: bytes) -> str:
    return _clip(topic[: 4 * _LONGEST].decode("utf-8", "backslashreplace"))


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _boolean(value: bool) -> str:
    return "true" if value else "false"

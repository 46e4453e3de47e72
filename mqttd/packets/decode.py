"""From packet type to the function that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mqttd.packets.acks import (
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    decode_puback,
    decode_pubcomp,
    decode_pubrec,
    decode_pubrel,
)
from mqttd.packets.auth import Auth, decode_auth
from mqttd.packets.connack import Connack, decode_connack
from mqttd.packets.connect import Connect, decode_connect
from mqttd.packets.disconnect import Disconnect, decode_disconnect
from mqttd.packets.errors import MalformedPacket
from mqttd.packets.ping import Pingreq, Pingresp, decode_pingreq, decode_pingresp
from mqttd.packets.publish import Publish, decode_publish
from mqttd.packets.suback import Suback, decode_suback
from mqttd.packets.subscribe import Subscribe, decode_subscribe
from mqttd.packets.unsuback import Unsuback, decode_unsuback
from mqttd.packets.unsubscribe import Unsubscribe, decode_unsubscribe

Packet: TypeAlias = (
    Connect
    | Connack
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)
"""Any Control Packet."""


def _decode_reserved(_flags: int, _body: bytes, _level: int) -> Packet:
    raise MalformedPacket("packet type 0 is reserved")  # 2.1.2


def _decode_connect(flags: int, body: bytes, _level: int) -> Connect:
    return decode_connect(flags, body)


_DECODERS: tuple[Callable[[int, bytes, int], Packet], ...] = (
    _decode_reserved,
    _decode_connect,
    decode_connack,
    decode_publish,
    decode_puback,
    decode_pubrec,
    decode_pubrel,
    decode_pubcomp,
    decode_subscribe,
    decode_suback,
    decode_unsubscribe,
    decode_unsuback,
    decode_pingreq,
    decode_pingresp,
    decode_disconnect,
    decode_auth,
)


def decode(first_byte: int, body: bytes, level: int, *, from_client: bool = True) -> Packet:
    """One packet from its first byte and body; ``level`` is 3, 4 or 5, but CONNECT reads its own.

    Raises MqttError, and nothing else, for bytes that are no such packet. Who may send what, and
    when, is not asked here; ``from_client`` matters to the properties of PUBLISH only.
    """
    if first_byte & 0xF0 == 0x30:
        return decode_publish(first_byte & 0x0F, body, level, from_client)
    return _DECODERS[first_byte >> 4](first_byte & 0x0F, body, level)

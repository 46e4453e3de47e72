"""Which function handles which Control Packet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mqttd.broker.handlers.acks import (
    handle_puback,
    handle_pubcomp,
    handle_pubrec,
    handle_pubrel,
)
from mqttd.broker.handlers.auth import handle_auth
from mqttd.broker.handlers.connect import handle_connect
from mqttd.broker.handlers.disconnect import handle_disconnect
from mqttd.broker.handlers.ping import handle_pingreq
from mqttd.broker.handlers.publish import handle_publish
from mqttd.broker.handlers.subscribe import handle_subscribe
from mqttd.broker.handlers.unsubscribe import handle_unsubscribe
from mqttd.packets.errors import ProtocolError
from mqttd.packets.types import PacketType

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


def _not_for_clients(_connection: Connection, packet: object) -> None:
    raise ProtocolError(f"{type(packet).__name__.upper()} is not for clients to send")


_BY_TYPE: dict[PacketType, Callable[[Connection, Any], None]] = {
    PacketType.CONNECT: handle_connect,
    PacketType.PUBLISH: handle_publish,
    PacketType.PUBACK: handle_puback,
    PacketType.PUBREC: handle_pubrec,
    PacketType.PUBREL: handle_pubrel,
    PacketType.PUBCOMP: handle_pubcomp,
    PacketType.SUBSCRIBE: handle_subscribe,
    PacketType.UNSUBSCRIBE: handle_unsubscribe,
    PacketType.PINGREQ: handle_pingreq,
    PacketType.DISCONNECT: handle_disconnect,
    PacketType.AUTH: handle_auth,
}

HANDLERS: tuple[Callable[[Connection, Any], None], ...] = tuple(
    _BY_TYPE.get(PacketType(number), _not_for_clients) if number else _not_for_clients
    for number in range(16)
)
"""By packet type number, so that the look-up in the decode loop is an index."""

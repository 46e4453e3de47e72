"""PINGREQ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttd.broker.handlers.connected import require_connected
from mqttd.packets.ping import Pingreq

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

_PINGRESP = b"\xd0\x00"


def handle_pingreq(connection: Connection, packet: Pingreq) -> None:
    """Answer at once. [MQTT-3.12.4-1]."""
    require_connected(connection, packet)
    connection.send(_PINGRESP)

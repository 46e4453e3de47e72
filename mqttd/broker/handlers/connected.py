"""The rule that most packets share: only after CONNACK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttd.broker.session import Session
from mqttd.packets.errors import ProtocolError

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


def require_connected(connection: Connection, packet: object) -> Session:
    """The session of a connected client; ProtocolError during an authentication exchange.

    [MQTT-4.12.0-1]: between CONNECT and CONNACK only AUTH and DISCONNECT may come.
    """
    session = connection.session
    if session is None:
        name = type(packet).__name__.upper()
        raise ProtocolError(f"{name} during the authentication exchange")
    return session

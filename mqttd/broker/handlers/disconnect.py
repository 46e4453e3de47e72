"""DISCONNECT from the client."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mqttd.packets.disconnect import Disconnect
from mqttd.packets.errors import ProtocolError
from mqttd.packets.reason_codes import ReasonCode, phrase

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

NEVER = 0xFFFFFFFF
"""Session Expiry Interval that never ends (MQTT 5, 3.1.2.11.2)."""

_FROM_CLIENTS = frozenset((0x00, 0x04, *range(0x80, 0x84), 0x90, *range(0x93, 0x9A)))
"""[MQTT-3.14.2-1]: the codes of table 3-10 that clients may send."""


def handle_disconnect(connection: Connection, packet: Disconnect) -> None:
    """Close; discard the Will unless the client asks for it. [MQTT-3.14.4-3], [MQTT-3.1.2-8]."""
    properties = packet.properties
    if packet.reason_code not in _FROM_CLIENTS:
        raise ProtocolError(f"DISCONNECT: {phrase(packet.reason_code)} is for servers to say")
    if properties is not None and properties.server_reference is not None:
        raise ProtocolError("a Server Reference is for servers to give")
    if properties is not None and connection.session is not None:
        expiry = properties.session_expiry_interval
        if expiry is not None:
            if expiry and not connection.session_expiry:
                # A session that was to end with the connection cannot be prolonged (3.14.2.2.2).
                raise ProtocolError("Session Expiry Interval was 0 in CONNECT")
            connection.session.state.update(expiry=math.inf if expiry == NEVER else expiry)
    send_will = packet.reason_code != ReasonCode.NORMAL_DISCONNECTION
    if send_will:
        reason = f"client says: {phrase(packet.reason_code)}"
    else:
        reason = "disconnected"
    connection.close(None, reason, send_will=send_will)

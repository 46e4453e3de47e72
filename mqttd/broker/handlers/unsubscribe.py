"""UNSUBSCRIBE from the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttd.broker.handlers.connected import require_connected
from mqttd.broker.handlers.subscribe import subscription_key
from mqttd.packets.errors import ProtocolError
from mqttd.packets.reason_codes import ReasonCode
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


def handle_unsubscribe(connection: Connection, packet: Unsubscribe) -> None:
    """Remove subscriptions, compared character by character. [MQTT-3.10.4-1]."""
    session = require_connected(connection, packet)
    if not packet.topic_filters:
        raise ProtocolError("UNSUBSCRIBE without a Topic Filter")  # [MQTT-3.10.3-2]
    keys = [subscription_key(connection, each) for each in packet.topic_filters]
    session.forget_retained(set(keys))

    def done(existed: list[bool]) -> None:
        if connection.session is not session:
            return
        codes = [
            ReasonCode.SUCCESS if each else ReasonCode.NO_SUBSCRIPTION_EXISTED for each in existed
        ]
        # [MQTT-3.10.4-4] [MQTT-3.10.4-5]: always answered, one code for each filter, in order.
        connection.send_packet(Unsuback(packet.packet_id, [int(code) for code in codes]))
        ended = [each for each, found in zip(packet.topic_filters, existed, strict=True) if found]
        events = connection.broker.events
        if events is not None and ended:
            events.unsubscribed(connection, ended)
        connection.release()

    connection.hold()
    session.state.unsubscribe(keys, done)

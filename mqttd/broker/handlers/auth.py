"""AUTH from the client: the enhanced authentication exchange (MQTT 5, 4.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttd.broker.connect_steps import connect_request
from mqttd.broker.state import State
from mqttd.packets.auth import Auth
from mqttd.packets.errors import MqttError, ProtocolError
from mqttd.packets.properties import Properties
from mqttd.packets.reason_codes import ReasonCode

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


def handle_auth(connection: Connection, packet: Auth) -> None:
    """The client's next step, or the start of a re-authentication. [MQTT-4.12.0-2..7]."""
    if connection.level < 5:
        raise ProtocolError("AUTH is a packet of MQTT 5")
    properties = packet.properties or Properties()
    method = connection.authentication_method
    if method is None:
        # [MQTT-4.12.0-6] [MQTT-4.12.1-1]: no AUTH without a method in CONNECT.
        raise ProtocolError("AUTH without an Authentication Method in CONNECT")
    if properties.authentication_method != method:  # [MQTT-4.12.0-5]
        raise ProtocolError("the Authentication Method differs from the one in CONNECT")
    if connection.state is State.CHALLENGED:
        if packet.reason_code != ReasonCode.CONTINUE_AUTHENTICATION:
            raise ProtocolError("AUTH must continue the authentication")
    elif packet.reason_code == ReasonCode.REAUTHENTICATE and connection.exchange is None:
        authenticator = connection.broker.enhanced.get(method)
        if authenticator is None:
            raise MqttError(
                "the Authentication Method is not known any more",
                ReasonCode.BAD_AUTHENTICATION_METHOD,
            )
        connection.exchange = authenticator.start(
            connect_request(connection), properties.authentication_data
        )
    elif packet.reason_code != ReasonCode.CONTINUE_AUTHENTICATION or not connection.challenged:
        raise ProtocolError("AUTH does not fit the state of the authentication")
    connection.step_authentication(properties.authentication_data)

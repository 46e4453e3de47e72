"""One step of an enhanced authentication exchange (MQTT 5, 4.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttd.broker.authorization import settle_permissions
from mqttd.broker.connect_steps import admitted, with_attributes
from mqttd.broker.state import State
from mqttd.identity import Authenticated, Refused
from mqttd.packets.auth import Auth
from mqttd.packets.errors import MqttError, PacketTooLarge
from mqttd.packets.properties import Properties
from mqttd.packets.reason_codes import ReasonCode

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


def exchange_step(connection: Connection, data: bytes | None) -> None:
    """Hand the client's data to the running exchange and send what it answers."""
    exchange = connection.exchange
    assert exchange is not None
    connection.challenged = False
    if connection.state is not State.CONNECTED:
        connection.state = State.ADMITTING

    def done(answer: bytes | Authenticated | Refused) -> None:
        connection.broker.answered()
        if connection.exchange is not exchange:
            return
        if isinstance(answer, Refused):
            _refused(connection, answer)
        elif isinstance(answer, Authenticated):
            connection.exchange = None
            _succeeded(connection, answer)
        else:
            challenge = Auth(
                ReasonCode.CONTINUE_AUTHENTICATION,
                Properties(
                    authentication_method=connection.authentication_method,
                    authentication_data=answer,
                ),
            )
            if not connection.send_packet(challenge):
                # Without it the exchange cannot go on. [MQTT-4.12.0-4]
                connection.fail(PacketTooLarge("AUTH exceeds Maximum Packet Size"))
                return
            connection.challenged = True
            if connection.state is State.ADMITTING:
                connection.state = State.CHALLENGED
                if not at_once:
                    connection.proceed()

    # Answered at once, the loop that handles the client's packets goes on by itself: calling it
    # from within would recurse once for each AUTH the client sends in a row.
    at_once = True
    exchange.step(data, done)
    at_once = False


def _refused(connection: Connection, refusal: Refused) -> None:
    try:
        code = ReasonCode(refusal.reason_code)
    except ValueError:  # a plugin may say any number
        code = ReasonCode.NOT_AUTHORIZED
    error = MqttError(refusal.reason, code)
    connection.fail(error)  # [MQTT-4.12.0-1]: CONNACK, or DISCONNECT for a re-authentication


def _succeeded(connection: Connection, answer: Authenticated) -> None:
    if connection.state is State.CONNECTED:
        # A session is its user's: whoever else proves a name of his own does not get it.
        if answer.identity.username not in (None, connection.username):
            connection.fail(MqttError("another user re-authenticates", ReasonCode.NOT_AUTHORIZED))
            return
        if answer.identity.client_id not in (None, connection.client_id):
            connection.fail(
                MqttError("another client re-authenticates", ReasonCode.NOT_AUTHORIZED)
            )
            return
        connection.identity = with_attributes(connection, answer.identity)
        settle_permissions(connection)
        if connection.broker.authorization is not None:
            connection.broker.authorization.review(connection)
        connection.send_packet(
            Auth(
                ReasonCode.SUCCESS,
                Properties(
                    authentication_method=connection.authentication_method,
                    authentication_data=answer.data,
                ),
            )
        )
    else:
        admitted(connection, answer.identity, answer.data)

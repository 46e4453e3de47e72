"""CONNECT from the client: the steps themselves are in ``broker.connect_steps``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttd.broker.connect_steps import STEPS
from mqttd.broker.state import State
from mqttd.packets.connect import Connect
from mqttd.packets.errors import ProtocolError

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


def handle_connect(connection: Connection, packet: Connect) -> None:
    """Run the steps in their order; each may raise MqttError. [MQTT-3.1.0-2]."""
    if connection.state is not State.WAITING:
        raise ProtocolError("a second CONNECT")
    connection.state = State.ADMITTING
    for step in STEPS:
        step(connection, packet)

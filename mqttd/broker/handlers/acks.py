"""PUBACK, PUBREC, PUBREL and PUBCOMP from the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttd.broker.handlers.connected import require_connected
from mqttd.broker.inflight import Flight, Phase
from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel, encode_ack
from mqttd.packets.reason_codes import ReasonCode
from mqttd.packets.types import PacketType

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


def handle_puback(connection: Connection, packet: Puback) -> None:
    """A QoS 1 message reached the client, or was refused by it: either way it is done.

    One that answers nothing is ignored: it may belong to an exchange of an earlier connection.
    """
    session = require_connected(connection, packet)
    flight = session.state.flight.get(packet.packet_id)
    if flight is not None and flight.phase is Phase.PUBACK:
        session.acknowledged(flight)


def handle_pubrec(connection: Connection, packet: Pubrec) -> None:
    """A QoS 2 message arrived: from now on only its identifier counts. [MQTT-4.3.3-4]."""
    session = require_connected(connection, packet)
    flight = session.state.flight.get(packet.packet_id)
    if flight is None or flight.phase is Phase.PUBACK:
        code = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND if connection.level >= 5 else 0
        connection.send_packet(Pubrel(packet.packet_id, code))
        return
    if packet.reason_code >= 0x80:
        # [MQTT-4.3.3-4]: no PUBREL after a refusal; [MQTT-4.8.2-6]: and nobody else gets it.
        if flight.phase is Phase.PUBREC:
            session.acknowledged(flight)
        return
    if flight.phase is Phase.PUBCOMP:
        _release(connection, flight)
        return
    flight.phase = Phase.PUBCOMP
    flight.message = None  # [MQTT-4.3.3-6]: it must not be sent again
    session.state.received(flight, lambda: _release(connection, flight))


def _release(connection: Connection, flight: Flight) -> None:
    if connection.session is not None:
        connection.send(encode_ack(PacketType.PUBREL, flight.packet_id, connection.level))


def handle_pubrel(connection: Connection, packet: Pubrel) -> None:
    """The client lets go of a Packet Identifier. [MQTT-4.3.3-11]."""
    session = require_connected(connection, packet)

    def released(known: bool) -> None:
        connection.receiving.discard(packet.packet_id)
        if connection.session is None:
            return
        code = 0
        if not known and connection.level >= 5:
            code = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
        connection.send_packet(Pubcomp(packet.packet_id, code))

    session.state.release_inbound(packet.packet_id, released)


def handle_pubcomp(connection: Connection, packet: Pubcomp) -> None:
    """A QoS 2 exchange is complete; the identifier is free. [MQTT-4.3.3-5]."""
    session = require_connected(connection, packet)
    flight = session.state.flight.get(packet.packet_id)
    if flight is not None and flight.phase is Phase.PUBCOMP:
        session.acknowledged(flight)

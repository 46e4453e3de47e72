"""Outgoing QoS 1 and 2 exchanges, and the Packet Identifiers they use."""

from __future__ import annotations

from enum import IntEnum

from mqttd.broker.message import Message

MAX_PACKET_ID = 65535


class Phase(IntEnum):
    """Which packet the broker waits for."""

    PUBACK = 1
    PUBREC = 2
    PUBCOMP = 3


class Flight:
    """One outgoing message that is not yet finished.

    ``message`` becomes None when PUBREC arrives: from then on only the identifier matters.
    """

    __slots__ = ("group", "message", "packet_id", "phase", "qos", "retain", "subscription_ids")

    def __init__(
        self,
        packet_id: int,
        message: Message,
        qos: int,
        retain: bool,
        subscription_ids: tuple[int, ...],
        group: str | None,
    ) -> None:
        self.packet_id = packet_id
        self.message: Message | None = message
        self.qos = qos
        self.retain = retain
        self.subscription_ids = subscription_ids
        self.group = group
        self.phase = Phase.PUBACK if qos == 1 else Phase.PUBREC


def next_packet_id(flight: dict[int, Flight], last: int) -> int:
    """The next unused non-zero identifier after ``last``.

    [MQTT-2.2.1-4] / [MQTT-2.3.1-4]: the identifier must not be in use. The caller bounds the
    number in flight, so there always is one.
    """
    candidate = last
    while True:
        candidate = candidate + 1 if candidate < MAX_PACKET_ID else 1
        if candidate not in flight:
            return candidate

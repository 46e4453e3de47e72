"""The broker's events as the guard needs them, and lines about those it refuses within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from mqttd.abuse.guard import Guard
from mqttd.net.events import LoggedEvents
from mqttd.net.refusals import Refusals
from mqttd.packets.reason_codes import ReasonCode

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

_KINDS: Final[dict[int, str]] = {
    ReasonCode.BANNED: "banned",
    ReasonCode.CONNECTION_RATE_EXCEEDED: "connection-rate",
    ReasonCode.QUOTA_EXCEEDED: "quota-exceeded",
}
"""Answers of the guard: whoever gets them comes again at once, and again."""


class GuardedEvents(LoggedEvents):
    """Written to the log, and told to the guard."""

    def __init__(self, guard: Guard, refusals: Refusals) -> None:
        super().__init__()
        self._guard = guard
        self._refusals = refusals

    @override
    def connected(self, connection: Connection) -> None:
        super().connected(connection)
        self._guard.connected(connection)

    @override
    def disconnected(self, connection: Connection, reason: str) -> None:
        super().disconnected(connection, reason)
        self._guard.ended(connection.peer)
        self._guard.disconnected(connection)

    @override
    def refused(self, connection: Connection, reason_code: int, reason: str) -> None:
        self._guard.ended(connection.peer)
        kind = _KINDS.get(reason_code)
        if kind is None or self._refusals.may_write(connection.peer.peer[0], kind):
            super().refused(connection, reason_code, reason)

"""Log lines about clients, in the words mosquitto's users and their filters know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from mqttd.packets.reason_codes import phrase

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


class LoggedEvents:
    """The broker's ``Events`` port, written to the log; one line each."""

    _log = Logger()

    def connected(self, connection: Connection) -> None:
        """CONNACK with success was queued."""
        host, port = connection.peer.peer
        self._log.info(
            "New client connected from {peer} as {client_id}"
            " (p{level}, c{clean}, k{keep_alive}{user}).",
            peer=f"{host}:{port}",
            listener=connection.peer.listener,
            client_id=connection.client_id,
            level=_mosquitto_level(connection.level),
            clean=int(connection.clean_start),
            keep_alive=connection.keep_alive,
            user="" if connection.username is None else f", u'{connection.username}'",
            username=connection.username,
            tls_version=connection.peer.tls_version,
            cipher=connection.peer.cipher,
        )

    def disconnected(self, connection: Connection, reason: str) -> None:
        """An admitted client is gone."""
        host, port = connection.peer.peer
        self._log.info(
            "Client {client_id} [{peer}] disconnected: {reason}.",
            peer=f"{host}:{port}",
            listener=connection.peer.listener,
            client_id=connection.client_id,
            username=connection.username,
            reason=reason,
        )

    def refused(self, connection: Connection, reason_code: int, reason: str) -> None:
        """A connection ended before it was admitted."""
        host, port = connection.peer.peer
        words = reason or (phrase(reason_code) if reason_code else "no reason")
        self._log.info(
            "Client {client_id} [{peer}] refused on {listener}: {reason} (0x{code}).",
            peer=f"{host}:{port}",
            listener=connection.peer.listener,
            client_id=connection.client_id or "<unknown>",
            username=connection.username,
            reason=words,
            code=f"{reason_code:02x}",
        )


def _mosquitto_level(level: int) -> int:
    """mosquitto writes p1 for 3.1, p2 for 3.1.1 and p5 for 5."""
    return {3: 1, 4: 2}.get(level, level)

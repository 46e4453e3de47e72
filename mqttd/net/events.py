"""Log lines about clients, in the words mosquitto's users and their filters know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from mqttd.log.lines import client_connected, client_disconnected
from mqttd.log.tokens import without_token
from mqttd.packets.reason_codes import phrase

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


class LoggedEvents:
    """The broker's ``Events`` port, written to the log; one line each."""

    _log = Logger()

    def connected(self, connection: Connection) -> None:
        """CONNACK with success was queued."""
        client_connected(
            self._log,
            **_names(connection),
            level=connection.level,
            clean_start=connection.clean_start,
            keep_alive=connection.keep_alive,
            tls_version=connection.peer.tls_version,
            cipher=connection.peer.cipher,
            psk_identity=shown_identity(connection.peer.psk_identity),
        )

    def disconnected(self, connection: Connection, reason: str) -> None:
        """An admitted client is gone."""
        client_disconnected(self._log, **_names(connection), reason=reason)

    def refused(self, connection: Connection, reason_code: int, reason: str) -> None:
        """A connection ended before it was admitted."""
        names = _names(connection)
        names["client_id"] = names["client_id"] or "<unknown>"
        self._log.info(
            "Client {client_id} [{peer}] refused on {listener}: {reason} (0x{code}).",
            event="client_refused",
            **names,
            reason=reason or (phrase(reason_code) if reason_code else "no reason"),
            code=f"{reason_code:02x}",
        )


def shown_identity(identity: bytes | None) -> str | None:
    """A pre-shared key identity as text; octets that are no UTF-8 as ``\\xNN``."""
    return None if identity is None else identity.decode("utf-8", "backslashreplace")


def _names(connection: Connection) -> dict[str, Any]:
    host, port = connection.peer.peer
    return {
        "peer": f"{host}:{port}",
        "listener": connection.peer.listener,
        "client_id": connection.client_id,
        "username": without_token(connection.username),
    }

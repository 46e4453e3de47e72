"""Log lines about clients, in the words mosquitto's users and their filters know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from mqttd.log.lines import client_connected, client_disconnected
from mqttd.log.text import clip, escape
from mqttd.log.tokens import without_token
from mqttd.net.denials import Denials
from mqttd.packets.reason_codes import phrase

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection
    from mqttd.broker.subscriptions import Subscription
    from mqttd.identity import AccessRequest

_SHOWN_FILTERS = 10


class LoggedEvents:
    """The broker's ``Events`` port, written to the log; one line each."""

    _log = Logger()

    def __init__(self) -> None:
        self._denials = Denials()

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

    def denied(self, connection: Connection, request: AccessRequest, source: str) -> None:
        """A client may not do what it asked for."""
        self._denials.denied(request, source, connection.broker.now)

    def withdrawn(self, connection: Connection, topic_filters: Sequence[str]) -> None:
        """Subscriptions were dropped, or (none named) the Will."""
        shown = ", ".join(clip(escape(each)) for each in topic_filters[:_SHOWN_FILTERS])
        more = len(topic_filters) - _SHOWN_FILTERS
        self._log.info(
            "Client {client_id} [{peer}] on {listener} is no longer allowed {what}.",
            event="permissions_withdrawn",
            **_names(connection),
            what=(
                f"to subscribe to {shown}{f' and {more} more' if more > 0 else ''}: dropped"
                if topic_filters
                else "its Will: dropped"
            ),
        )

    def subscribed(self, connection: Connection, subscriptions: Sequence[Subscription]) -> None:
        """Nothing is written."""

    def unsubscribed(self, connection: Connection, topic_filters: Sequence[str]) -> None:
        """Nothing is written."""


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

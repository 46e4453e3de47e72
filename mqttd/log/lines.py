"""The lines about clients, in mosquitto's words: people and filters such as fail2ban know them."""

from __future__ import annotations

from twisted.logger import Logger

NEW_CONNECTION = "New connection from {peer} on port {port}."
CLIENT_CONNECTED = (
    "New client connected from {peer} as {client_id} "
    "(p{protocol}, c{clean}, k{keep_alive}{user}{proven})."
)
CLIENT_DISCONNECTED = "Client {client_id} [{peer}] disconnected: {reason}."

_PROTOCOLS = {3: 1, 4: 2}


def new_connection(log: Logger, *, listener: str, peer: str, port: int) -> None:
    """A socket was accepted; ``peer`` is ``address:port``, ``port`` the listener's."""
    log.info(NEW_CONNECTION, event="connection_accepted", listener=listener, peer=peer, port=port)


def client_connected(
    log: Logger,
    *,
    listener: str,
    peer: str,
    client_id: str,
    level: int,
    clean_start: bool,
    keep_alive: int,
    username: str | None,
    psk_identity: str | None = None,
    **more: object,
) -> None:
    """CONNACK with success was queued. ``more`` are fields for the JSON form only.

    ``psk_identity`` is that of a pre-shared key the client proved, which mosquitto does not show.
    """
    log.info(
        CLIENT_CONNECTED,
        event="client_connected",
        listener=listener,
        peer=peer,
        client_id=client_id,
        # mosquitto writes p1 for 3.1, p2 for 3.1.1 and p5 for 5
        protocol=_PROTOCOLS.get(level, level),
        clean=int(clean_start),
        keep_alive=keep_alive,
        user="" if username is None else f", u{_quoted(username)}",
        proven="" if psk_identity is None else f", psk{_quoted(psk_identity)}",
        username=username,
        psk_identity=psk_identity,
        **more,
    )


def _quoted(name: str) -> str:
    """In quotes; one within the name must not end it."""
    return "'{}'".format(name.replace("'", "\\x27"))


def client_disconnected(
    log: Logger,
    *,
    listener: str,
    peer: str,
    client_id: str,
    username: str | None,
    reason: str,
    **more: object,
) -> None:
    """An admitted client is gone; ``reason`` has no full stop."""
    log.info(
        CLIENT_DISCONNECTED,
        event="client_disconnected",
        listener=listener,
        peer=peer,
        client_id=client_id,
        username=username,
        reason=reason,
        **more,
    )

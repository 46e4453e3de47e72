"""The broker's events as event sinks know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mqttd.broker.subscriptions import Subscription
from mqttd.events import (
    AccessDenied,
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    MessageDelivered,
    MessageDropped,
    MessagePublished,
    PermissionsWithdrawn,
    Subscribed,
    Unsubscribed,
)
from mqttd.log.tokens import without_token
from mqttd.net.event_hub import EventHub
from mqttd.net.events import shown_identity

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection
    from mqttd.broker.message import Message
    from mqttd.broker.ports import Events
    from mqttd.identity import AccessRequest


class ReportedEvents:
    """The broker's ``Events`` port: told to ``others`` first, then to the hub."""

    def __init__(self, others: Events, hub: EventHub) -> None:
        self._others = others
        self._hub = hub

    def connected(self, connection: Connection) -> None:
        """See Events."""
        self._others.connected(connection)
        if ClientConnected.name in self._hub.wanted:
            peer = connection.peer
            certificate = peer.certificate
            self._hub.emit(
                ClientConnected(
                    **self._client(connection),
                    level=connection.level,
                    clean_start=connection.clean_start,
                    tls_version=peer.tls_version,
                    certificate=None if certificate is None else certificate.subject,
                    serial=None if certificate is None else f"{certificate.serial:x}",
                    psk_identity=shown_identity(peer.psk_identity),
                    authenticator=connection.identity.authenticator or None,
                    is_superuser=connection.identity.is_superuser,
                )
            )

    def disconnected(self, connection: Connection, reason: str) -> None:
        """See Events."""
        self._others.disconnected(connection, reason)
        if ClientDisconnected.name in self._hub.wanted:
            self._hub.emit(ClientDisconnected(**self._client(connection), reason=reason))

    def refused(self, connection: Connection, reason_code: int, reason: str) -> None:
        """See Events."""
        self._others.refused(connection, reason_code, reason)
        if ClientRefused.name in self._hub.wanted:
            who = self._client(connection)
            self._hub.emit(ClientRefused(**who, reason_code=int(reason_code), reason=reason))

    def denied(self, connection: Connection, request: AccessRequest, source: str) -> None:
        """See Events."""
        self._others.denied(connection, request, source)
        if AccessDenied.name in self._hub.wanted:
            self._hub.emit(
                AccessDenied(
                    **self._client(connection),
                    action=request.action,
                    topic=request.topic,
                    qos=request.qos,
                    source=source,
                )
            )

    def withdrawn(self, connection: Connection, topic_filters: Sequence[str]) -> None:
        """See Events."""
        self._others.withdrawn(connection, topic_filters)
        if PermissionsWithdrawn.name in self._hub.wanted:
            who = self._client(connection)
            self._hub.emit(PermissionsWithdrawn(**who, topic_filters=tuple(topic_filters)))

    def subscribed(self, connection: Connection, subscriptions: Sequence[Subscription]) -> None:
        """See Events."""
        self._others.subscribed(connection, subscriptions)
        if Subscribed.name in self._hub.wanted:
            who = self._client(connection)
            for each in subscriptions:
                self._hub.emit(Subscribed(**who, topic_filter=each.key, qos=each.qos))

    def unsubscribed(self, connection: Connection, topic_filters: Sequence[str]) -> None:
        """See Events."""
        self._others.unsubscribed(connection, topic_filters)
        if Unsubscribed.name in self._hub.wanted:
            who = self._client(connection)
            for each in topic_filters:
                self._hub.emit(Unsubscribed(**who, topic_filter=each))

    def _client(self, connection: Connection) -> dict[str, Any]:
        return client_fields(connection, self._hub.now())


class ReportedMessages:
    """The broker's ``MessageEvents`` port."""

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub

    def published(self, connection: Connection, message: Message) -> None:
        """See MessageEvents."""
        if MessagePublished.name in self._hub.wanted:
            self._hub.emit(
                MessagePublished(
                    **client_fields(connection, self._hub.now()),
                    topic=message.topic.decode(),
                    qos=message.qos,
                    retain=message.retain,
                    payload=message.payload,
                )
            )

    def delivered(self, connection: Connection, message: Message, qos: int) -> None:
        """See MessageEvents."""
        if MessageDelivered.name in self._hub.wanted:
            self._hub.emit(
                MessageDelivered(
                    **client_fields(connection, self._hub.now()),
                    topic=message.topic.decode(),
                    qos=qos,
                    publisher=_own(message.publisher),
                    payload=message.payload,
                )
            )

    def dropped(self, client_id: str, message: Message, reason: str) -> None:
        """See MessageEvents."""
        if MessageDropped.name in self._hub.wanted:
            self._hub.emit(
                MessageDropped(
                    time=self._hub.now(),
                    client_id=_own(client_id),
                    topic=message.topic.decode(),
                    qos=message.qos,
                    reason=reason,
                )
            )


def client_fields(connection: Connection, now: float) -> dict[str, Any]:
    """What every event about one client has."""
    return {
        "time": now,
        "listener": connection.peer.listener,
        "peer": connection.peer.peer,
        "client_id": connection.client_id,
        "username": without_token(connection.username),
    }


def _own(session_key: str) -> str:
    """The Client Identifier without the mountpoint before it."""
    return session_key.rpartition("\0")[2]

"""What happens in the broker, as event sinks and the audit log are told of it.

Each kind of event is a class here; its ``name`` is what the configuration calls it. Times are
seconds since the epoch. No event holds a password, a key or, but for the two about messages that
have to be asked for, a payload.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar, Final

import attrs


@attrs.frozen(kw_only=True)
class Event:
    """What all events have in common."""

    name: ClassVar[str] = ""
    time: float


@attrs.frozen(kw_only=True)
class ClientEvent(Event):
    """Something one client did, or had done to it. ``peer`` is its host and port."""

    listener: str
    peer: tuple[str, int]
    client_id: str
    username: str | None = None


@attrs.frozen(kw_only=True)
class ClientConnected(ClientEvent):
    """A client was let in. ``certificate`` and ``serial`` (hexadecimal) are of the certificate it
    proved, ``psk_identity`` of the key; ``authenticator`` let it in, None where everybody comes
    in or a method of MQTT 5 did; ``level`` is 3, 4 or 5."""

    name = "client_connected"
    level: int
    clean_start: bool
    tls_version: str | None = None
    certificate: str | None = None
    serial: str | None = None
    psk_identity: str | None = None
    authenticator: str | None = None
    is_superuser: bool = False


@attrs.frozen(kw_only=True)
class ClientDisconnected(ClientEvent):
    """A client that was let in is gone."""

    name = "client_disconnected"
    reason: str


@attrs.frozen(kw_only=True)
class ClientRefused(ClientEvent):
    """A client was not let in; ``reason_code`` as in CONNACK of MQTT 5, 0 when it never came so
    far."""

    name = "client_refused"
    reason_code: int
    reason: str


@attrs.frozen(kw_only=True)
class HandshakeRefused(Event):
    """A connection ended before MQTT began. ``kind`` is a word of ``mqttd explain``;
    ``certificate`` and ``serial`` are of the one that was refused."""

    name = "handshake_refused"
    listener: str
    peer: tuple[str, int]
    kind: str
    reason: str
    sni: str | None = None
    certificate: str | None = None
    serial: str | None = None
    psk_identity: str | None = None


@attrs.frozen(kw_only=True)
class SessionCut(ClientEvent):
    """A session was ended since the credential that let it in holds no longer."""

    name = "session_cut"
    kind: str
    reason: str


@attrs.frozen(kw_only=True)
class AccessDenied(ClientEvent):
    """A client may not do what it asked for; ``action`` is ``publish`` or ``subscribe``."""

    name = "access_denied"
    action: str
    topic: str
    qos: int
    source: str


@attrs.frozen(kw_only=True)
class PermissionsWithdrawn(ClientEvent):
    """Changed rules took subscriptions from a client, or (no filter) its Will."""

    name = "permissions_withdrawn"
    topic_filters: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Subscribed(ClientEvent):
    """A client subscribed."""

    name = "subscribed"
    topic_filter: str
    qos: int


@attrs.frozen(kw_only=True)
class Unsubscribed(ClientEvent):
    """A client ended a subscription."""

    name = "unsubscribed"
    topic_filter: str


@attrs.frozen(kw_only=True)
class MessagePublished(ClientEvent):
    """A client published, and was allowed to. The topic has the mountpoint before it."""

    name = "message_published"
    topic: str
    qos: int
    retain: bool
    payload: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class MessageDelivered(ClientEvent):
    """A message was sent to a client. The topic has the mountpoint before it."""

    name = "message_delivered"
    topic: str
    qos: int
    publisher: str
    payload: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class MessageDropped(Event):
    """A message will never reach the client ``client_id``; empty: any of a shared
    subscription."""

    name = "message_dropped"
    client_id: str
    topic: str
    qos: int
    reason: str


@attrs.frozen(kw_only=True)
class BanAdded(Event):
    """Somebody may not come in. ``kind`` and ``who`` as in the list of bans, ``until`` in seconds
    since the epoch or None for good."""

    name = "ban_added"
    kind: str
    who: str
    by: str
    reason: str
    until: float | None


@attrs.frozen(kw_only=True)
class BanRemoved(Event):
    """A ban was taken away before its time; without ``who`` all were."""

    name = "ban_removed"
    kind: str | None = None
    who: str | None = None


@attrs.frozen(kw_only=True)
class ConfigurationReloaded(Event):
    """The configuration and its files were read again. ``refused``: nothing was changed."""

    name = "configuration_reloaded"
    cause: str
    changed: tuple[str, ...]
    refused: tuple[str, ...]


@attrs.frozen(kw_only=True)
class OperatorAsked(Event):
    """Somebody changed something through the control socket. ``user`` is the id of the user whose
    process asked; ``status`` the answer's, as of HTTP."""

    name = "operator_asked"
    user: int | None
    request: str
    status: int


@attrs.frozen(kw_only=True)
class BrokerStarted(Event):
    """The broker is ready."""

    name = "broker_started"
    version: str


@attrs.frozen(kw_only=True)
class BrokerStopped(Event):
    """The broker is about to stop; clients are told."""

    name = "broker_stopped"


_ALL = (
    BrokerStarted,
    BrokerStopped,
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    HandshakeRefused,
    SessionCut,
    AccessDenied,
    PermissionsWithdrawn,
    Subscribed,
    Unsubscribed,
    BanAdded,
    BanRemoved,
    ConfigurationReloaded,
    OperatorAsked,
    MessagePublished,
    MessageDelivered,
    MessageDropped,
)
EVENTS: Final = MappingProxyType({each.name: each for each in _ALL})
"""Every kind of event by its name."""
MESSAGES: Final = frozenset({MessagePublished.name, MessageDelivered.name, MessageDropped.name})
"""Events as frequent as messages: told only to those who name them."""

"""What the broker needs from outside: where bytes go, who may come in, what is kept.

Everything here is a typing ``Protocol``; nothing knows how it is fulfilled. The engine port
follows one rule set whether state lives in memory, in a file or on other machines:

* A completion (``done``) is called once, later, from :meth:`Engine.commit`; never inside the call
  it answers. An acknowledgement to a client leaves in the completion, not before.
* Calls for one session are applied in call order; two sessions are independent.
* After ``SessionSink.lost`` no further call is made on that session.
* ``publish`` may hand messages to attached sinks before it returns. Durable engines hand over
  messages with QoS > 0 only after they are committed.
* Memory is bounded everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from mqttd.broker.authorization import Decision
from mqttd.broker.inflight import Flight
from mqttd.broker.message import Message
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.will import Will
from mqttd.identity import AccessRequest, Authenticated, ConnectRequest, Identity, Refused

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection


class Outlet(Protocol):
    """Where one Network Connection's bytes go. Never blocks and never raises."""

    @property
    def writable(self) -> bool:
        """False while more than the high watermark waits to be sent."""

    def send(self, *parts: bytes) -> None:
        """Queue bytes; they are joined and written once per reactor turn."""

    def close(self, *, linger: bool) -> None:
        """Flush what is queued, then close. ``linger``: let the peer read the reason first."""

    def pause(self) -> None:
        """Stop reading from the peer."""

    def resume(self) -> None:
        """Read again."""


class Admission(Protocol):
    """Answers: who is this?"""

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        """Call ``done`` exactly once, now or later."""


class EnhancedAuthenticator(Protocol):
    """One authentication method of MQTT 5 enhanced authentication (4.12)."""

    def start(self, request: ConnectRequest, data: bytes | None) -> EnhancedExchange:
        """Begin an exchange for a CONNECT, or for a re-authentication of the same client."""


class EnhancedExchange(Protocol):
    """One running exchange."""

    def step(
        self, data: bytes | None, done: Callable[[bytes | Authenticated | Refused], None]
    ) -> None:
        """Take the client's data; answer with the next challenge, success or a refusal."""


class Authorization(Protocol):
    """Answers: may this client do that?

    ``remembered`` is how many topics are remembered for one client (0: none), ``remembered_for``
    how many seconds an answer counts. ``disconnects``: who is denied something is sent away.
    """

    @property
    def remembered(self) -> int:
        """Topics remembered for one client."""

    @property
    def remembered_for(self) -> float:
        """Seconds an answer counts."""

    @property
    def disconnects(self) -> bool:
        """Whether a denial ends the connection."""

    def concerns(self, identity: Identity) -> bool:
        """Whether such a client has to be asked about at all. Superusers never are."""

    def authorize(
        self, request: AccessRequest, done: Callable[[Decision], None]
    ) -> Decision | None:
        """The decision, or None: then ``done`` is called with it, once and later.

        It is one of the rules in force when it is given: a question that rules changed under is
        asked again.
        """

    def review(self, connection: Connection) -> None:
        """Who the client is has changed: look at its subscriptions soon."""


class Events(Protocol):
    """What the broker tells about its clients; for logs, metrics and audit."""

    def connected(self, connection: Connection) -> None:
        """CONNACK with success was queued."""

    def disconnected(self, connection: Connection, reason: str) -> None:
        """An admitted client is gone."""

    def refused(self, connection: Connection, reason_code: int, reason: str) -> None:
        """A connection ended before it was admitted."""

    def denied(self, connection: Connection, request: AccessRequest, source: str) -> None:
        """A client may not do what it asked for; ``source`` says in words who decided so."""

    def withdrawn(self, connection: Connection, topic_filters: Sequence[str]) -> None:
        """Subscriptions were dropped, or (none named) the Will: rules allow them no more."""

    def subscribed(self, connection: Connection, subscriptions: Sequence[Subscription]) -> None:
        """SUBACK with success for these was queued."""

    def unsubscribed(self, connection: Connection, topic_filters: Sequence[str]) -> None:
        """These were subscribed to, and are no longer; as the client writes them."""


class MessageEvents(Protocol):
    """What is told of each message, where anybody wants to know. Must be quick."""

    def published(self, connection: Connection, message: Message) -> None:
        """A message was handed to the engine; a QoS 2 message for each time it was sent."""

    def delivered(self, connection: Connection, message: Message, qos: int) -> None:
        """A message was queued for a client."""

    def dropped(self, client_id: str, message: Message, reason: str) -> None:
        """A message will not reach a client; ``client_id`` as the engine knows it."""


class SessionSink(Protocol):
    """The broker's side of a claimed session: one client, here and connected."""

    def ready(self) -> bool:
        """Whether a QoS 0 message can be taken now."""

    def deliver(
        self,
        message: Message,
        qos: int,
        retain: bool,
        subscription_ids: tuple[int, ...],
        group: str | None,
    ) -> None:
        """Send one message. With ``qos`` > 0 this uses one unit of the credit given.

        ``retain`` is the flag to put in the packet. ``group`` names the shared subscription
        (``$share/GROUP/FILTER``) the message was chosen for, or is None.
        """

    def lost(self, reason: str) -> None:
        """The claim ended: ``taken-over`` (another CONNECT), ``kicked`` or ``engine``."""


class EngineSession(Protocol):
    """The right to act for one Client Identifier, until ``SessionSink.lost``."""

    client_id: str
    """The Client Identifier, behind the mountpoint and U+0000 where there is a mountpoint."""

    present: bool
    """Whether stored Session State was resumed."""

    username: str | None
    """Whose it is: the user who claimed it last. Stored with it; the broker changes it."""

    subscriptions: dict[str, Subscription]
    """By full Topic Filter (mountpoint and ``$share`` included). Read only for the broker."""

    flight: dict[int, Flight]
    """Outgoing QoS 1 and 2 exchanges by Packet Identifier, in sending order. The broker changes
    it while it holds the claim and tells of each change by sending, received and finished."""

    inbound: dict[int, float]
    """Packet Identifiers of QoS 2 messages taken but not released, with the time taken."""

    @property
    def dropped(self) -> int:
        """Messages dropped because the queue was full."""

    def attach(self, sink: SessionSink) -> None:
        """Start deliveries."""

    def credit(self, count: int) -> None:
        """Absolute number of further QoS > 0 deliveries wanted now. May call ``deliver``."""

    def subscribe(
        self,
        subscriptions: Sequence[Subscription],
        now: float,
        done: Callable[[list[bool]], None],
    ) -> None:
        """Add or replace subscriptions. Result, per item: whether the filter was new."""

    def unsubscribe(self, filters: Sequence[str], done: Callable[[list[bool]], None]) -> None:
        """Remove subscriptions. Result, per filter: whether it existed."""

    def sending(self, flight: Flight) -> None:
        """A PUBLISH with QoS > 0 goes out. Called after it was put in :attr:`flight`."""

    def received(self, flight: Flight, done: Callable[[], None]) -> None:
        """PUBREC came: ``flight.phase`` changed. PUBREL leaves in ``done``."""

    def finished(self, flight: Flight) -> None:
        """PUBACK, PUBCOMP or a refusal came; it is no longer in :attr:`flight`."""

    def store_inbound(
        self, packet_id: int, message: Message, now: float, done: Callable[[int | None], None]
    ) -> None:
        """QoS 2 PUBLISH: publish once and remember the identifier.

        Result: number of receivers, or None when the identifier was already there (a resend).
        """

    def release_inbound(self, packet_id: int, done: Callable[[bool], None]) -> None:
        """PUBREL: forget the identifier. Result: whether it was known."""

    def update(self, *, expiry: float | None = None, will: Will | None = None) -> None:
        """Change the Session Expiry Interval (seconds, ``inf`` for never), or with ``expiry`` None
        the Will Message, which None clears."""

    def detach(self, now: float, *, send_will: bool) -> None:
        """The Network Connection ended. Keeps or destroys the session by its expiry; the Will is
        published now, after its delay, or discarded."""


class Engine(Protocol):
    """Routes messages and keeps everything durable."""

    def publish(
        self, message: Message, now: float, done: Callable[[int], None] | None = None
    ) -> int:
        """Route to every matching subscription and, with ``message.retain``, keep or remove the
        Retained Message. Returns the number of receivers known at once; ``done`` gets the final
        number once an acknowledgement may leave."""

    def claim(
        self,
        client_id: str,
        *,
        clean_start: bool,
        expiry: float,
        will: Will | None,
        now: float,
        done: Callable[[EngineSession], None],
    ) -> None:
        """Own a Client Identifier; a former owner's sink is told ``lost('taken-over')`` first."""

    def retained(
        self, topic_filter: bytes, now: float, page: Callable[[list[Message]], None]
    ) -> None:
        """Retained Messages that match; ``page`` is called until all are given. Not for $share."""

    def later(self, done: Callable[[], None]) -> None:
        """Call ``done`` in its turn among the completions: an answer that needs nothing stored
        must not overtake one that waits. [MQTT-4.6.0-2]"""

    def commit(self, now: float) -> None:
        """End of a turn: make what was asked durable and call the completions that are due."""

    def sweep(self, now: float) -> bool:
        """Expire sessions and messages, publish delayed Wills.

        Does a bounded piece of the work; returns True when it wants to be called again soon.
        """

    def statistics(self) -> EngineStatistics:
        """Counts as they are now."""


class EngineStatistics(Protocol):
    """Counts for ``$SYS``."""

    sessions: int
    connected: int
    expired: int
    subscriptions: int
    shared_subscriptions: int
    retained: int
    stored: int
    stored_bytes: int
    dropped: int

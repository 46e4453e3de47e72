"""One client's connected session: what is sent to it, and what it has not acknowledged yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mqttd.broker.authorization import Decision
from mqttd.broker.encoding import publish_parts
from mqttd.broker.inflight import Flight, Phase, next_packet_id
from mqttd.broker.message import Message
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.topic_aliases import OutboundAliases
from mqttd.broker.topic_tree import TopicTree
from mqttd.broker.topics import has_wildcard, matches
from mqttd.identity import SUBSCRIBE
from mqttd.packets.acks import encode_ack
from mqttd.packets.publish import Publish
from mqttd.packets.types import PacketType

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection
    from mqttd.broker.ports import EngineSession

_DUP = 0x08

_RETAINED_AT_ONCE = 10_000
"""With this many Retained Messages waiting for a client no more are looked up for it: a few
thousand filters that all match everything would else queue everything a few thousand times."""

_LEFT_OUT_AT_ONCE = 200
"""Retained Messages that rules keep from a client, judged in one turn: nothing that is sent, and
no client that is slow to read, would ever end it otherwise."""


class Session:
    """The broker's side of a claimed session; the engine speaks to it as ``SessionSink``.

    Owned by its Connection. ``quota`` is how many QoS 1 and 2 messages may be unacknowledged: the
    client's Receive Maximum, but never more than ``max_inflight``. [MQTT-3.3.4-9]
    """

    __slots__ = (
        "_aliases",
        "_asking",
        "_connection",
        "_last_packet_id",
        "_level",
        "_max_packet_size",
        "_mountpoint",
        "_outlet",
        "_prefix",
        "_resend",
        "_retained",
        "_unsent",
        "_verdict",
        "_waits",
        "_wanted",
        "_withdrawn",
        "quota",
        "state",
    )

    def __init__(
        self,
        connection: Connection,
        state: EngineSession,
        *,
        quota: int,
        max_packet_size: float,
        alias_maximum: int,
    ) -> None:
        self._connection = connection
        self._outlet = connection.outlet
        self._level = connection.level
        self._mountpoint = connection.mountpoint.encode()
        self._prefix = len(self._mountpoint)
        self._max_packet_size = max_packet_size
        self._aliases = OutboundAliases(alias_maximum) if alias_maximum else None
        self._last_packet_id = 0
        self._resend: deque[Flight] = deque()
        # Identifiers of _resend; one may be acknowledged before its message is sent again.
        self._unsent: set[int] = set()
        self._retained: deque[tuple[Message, Subscription]] = deque()
        # Subscriptions whose Retained Messages are still to be looked up.
        self._wanted: deque[Subscription] = deque()
        self._asking = False
        # What was decided about a Retained Message that had to be asked about.
        self._verdict: tuple[Message, bool, object] | None = None
        self._waits = False
        # Filters that rules took away: what waits because of them is not sent.
        self._withdrawn: TopicTree[bool] | None = None
        self.state = state
        self.quota = quota

    def wait(self) -> None:
        """Be told of the end of the claim, but send nothing before :meth:`start`."""
        self._waits = True
        self.state.attach(self)

    def start(self) -> None:
        """Resend what was in flight, in order, then let new messages come. [MQTT-4.4.0-1]."""
        self._waits = False
        self._resend.extend(self.state.flight.values())
        self._unsent.update(self.state.flight)
        self._resume()
        self.state.attach(self)
        self.flow()

    # --- what the engine calls -------------------------------------------------------------

    def ready(self) -> bool:
        """Whether a QoS 0 message can be taken now."""
        return self._outlet.writable and not self._waits

    def deliver(
        self,
        message: Message,
        qos: int,
        retain: bool,
        subscription_ids: tuple[int, ...],
        group: str | None,
    ) -> None:
        """Send one message to the client."""
        connection = self._connection
        if self._prefix and not message.topic.startswith(self._mountpoint):
            # ``tenant/#`` also matches ``tenant``, which has no name behind ``tenant/``.
            self._drop(message, qos, "no name behind the mountpoint")
            return
        if self._withdrawn is not None and self._is_withdrawn(message):
            self._drop(message, qos, "no longer allowed")
            return
        known = False
        if self._level < 5:
            head, tail = publish_parts(message, qos, retain, 4, 0.0, prefix=self._prefix)
        else:
            alias = 0
            if self._aliases is not None:
                alias, known = self._aliases.assign(message.topic)
            head, tail = publish_parts(
                message,
                qos,
                retain,
                5,
                connection.broker.now,
                prefix=self._prefix,
                subscription_ids=subscription_ids,
                alias=alias,
                alias_known=known,
            )
        size = len(head) + len(tail) + (2 if qos else 0)
        if size > self._max_packet_size:
            # [MQTT-3.1.2-25]: not sent, and treated as if it had been.
            if self._aliases is not None and not known:
                self._aliases.forget(message.topic)
            self._drop(message, qos, "larger than the client takes")
            return
        broker = connection.broker
        counters = broker.counters
        counters.messages_sent += 1
        counters.publish_sent += 1
        counters.publish_bytes_sent += len(message.payload)
        if broker.messages is not None:
            broker.messages.delivered(connection, message, qos)
        if qos == 0:
            self._outlet.send(head, tail)
            packet_id = 0
        else:
            state = self.state
            packet_id = next_packet_id(state.flight, self._last_packet_id)
            self._last_packet_id = packet_id
            flight = Flight(packet_id, message, qos, retain, subscription_ids, group)
            state.flight[packet_id] = flight
            state.sending(flight)
            self._outlet.send(head, packet_id.to_bytes(2, "big"), tail)
        if connection.trace is not None:
            connection.trace(
                "SEND", Publish(message.topic, message.payload, qos, retain, False, packet_id)
            )

    def _drop(self, message: Message, qos: int, reason: str) -> None:
        """One message is not sent; with ``qos`` > 0 another may come in its place."""
        broker = self._connection.broker
        broker.counters.publish_dropped += 1
        if broker.messages is not None:
            broker.messages.dropped(self._connection.session_key, message, reason)
        if qos:
            broker.starved.add(self)

    def lost(self, reason: str) -> None:
        """The engine gave the session to someone else."""
        self._connection.session_lost(reason)

    # --- what the connection calls ---------------------------------------------------------

    def flow(self) -> None:
        """Ask for as many messages as the client can take now."""
        if self._waits or not self._outlet.writable:
            self.state.credit(0)
            return
        self._resume()
        self._send_retained()
        behind = self._resend or self._retained or self._wanted
        self.state.credit(0 if behind else self._room())

    def go_on(self) -> None:
        """The next turn is there, if the client still is."""
        if self._connection.session is self:
            self.flow()

    def acknowledged(self, flight: Flight) -> None:
        """PUBACK, PUBCOMP or a refusal ended an exchange; the identifier is free again."""
        del self.state.flight[flight.packet_id]
        self._unsent.discard(flight.packet_id)
        self.state.finished(flight)
        self.flow()

    def ask_retained(self, subscription: Subscription) -> None:
        """Retained Messages for a subscription; sent as fast as the client takes them."""
        self._wanted.append(subscription)
        self._look_up_retained()

    def forget_retained(self, keys: Container[str]) -> None:
        """Subscriptions are gone or made anew: what was still to be sent for them is not sent."""
        if self._retained:
            self._retained = deque(item for item in self._retained if item[1].key not in keys)
        if self._wanted:
            self._wanted = deque(item for item in self._wanted if item.key not in keys)

    def withdraw(self, subscriptions: Sequence[Subscription]) -> None:
        """Rules do not allow these any more: they end, and what waits for them is not sent."""
        keys = [each.key for each in subscriptions]
        self.forget_retained(frozenset(keys))
        if self._withdrawn is None:
            self._withdrawn = TopicTree()
        for each in subscriptions:
            self._withdrawn.add(each.topic_filter, None, True)
        self.state.unsubscribe(keys, lambda _existed: None)
        events = self._connection.broker.events
        if events is not None:
            cut = len(self._connection.mountpoint)
            events.withdrawn(self._connection, [each.topic_filter[cut:] for each in subscriptions])

    def keep_to_subscriptions(self) -> None:
        """The session was another user's: what waits, and no subscription of now wants, was for
        that one alone, and nobody would ask whether this one may have it."""
        self._withdrawn = TopicTree()
        for everything in ("#", "$SYS/#"):
            self._withdrawn.add(everything, None, True)

    def _is_withdrawn(self, message: Message) -> bool:
        """Whether only subscriptions that were taken away want the message."""
        topic = message.topic.decode()
        if self._withdrawn is None or not self._withdrawn.match(topic):
            return False
        kept = self.state.subscriptions.values()
        return not any(matches(each.topic_filter, topic) for each in kept)

    def _may_have(self, message: Message, subscription: Subscription, qos: int) -> bool | None:
        """Whether rules let the client have a Retained Message; None: the answer is awaited.

        A filter with wildcards may cover topics that the client may not subscribe to by name.
        """
        permissions = self._connection.permissions
        if permissions is None or not has_wildcard(subscription.topic_filter):
            return True
        if not message.topic.startswith(self._mountpoint):
            return True  # it has no name here, and is not sent either
        verdict, self._verdict = self._verdict, None
        rules = self._connection.broker.rules
        if verdict is not None and verdict[0] is message and verdict[2] is rules:
            return verdict[1]
        if self._asking:
            return None

        def answered(decision: Decision) -> None:
            self._asking = False
            self._verdict = message, decision.allowed, self._connection.broker.rules
            self.go_on()

        topic = message.topic[self._prefix :]
        decision = permissions.judge(SUBSCRIBE, topic, qos, False, answered, remember=False)
        if decision is None:
            self._asking = True
            return None
        return decision.allowed

    def _look_up_retained(self) -> None:
        broker = self._connection.broker
        while self._wanted and len(self._retained) < _RETAINED_AT_ONCE:
            subscription = self._wanted.popleft()
            broker.engine.retained(
                subscription.topic_filter.encode(),
                broker.now,
                partial(self._queue_retained, subscription),
            )

    def _queue_retained(self, subscription: Subscription, messages: list[Message]) -> None:
        self._retained.extend((message, subscription) for message in messages)

    def _room(self) -> int:
        return max(0, self.quota - (len(self.state.flight) - len(self._unsent)))

    def _send_retained(self) -> None:
        retained = self._retained
        broker = self._connection.broker
        now = broker.now
        left_out = 0
        while (retained or self._wanted) and self._outlet.writable:
            if not retained:
                self._look_up_retained()
                continue
            message, subscription = retained[0]
            qos = min(message.qos, subscription.qos)
            if qos and not self._room():
                return
            expired = message.expires_at is not None and message.expires_at <= now
            allowed = not expired and self._may_have(message, subscription, qos)
            if allowed is None:
                return
            retained.popleft()
            if not allowed:
                left_out += 1
                if left_out >= _LEFT_OUT_AT_ONCE:
                    broker.resting.add(self)
                    broker.answered()
                    return
                continue
            identifier = subscription.subscription_id
            ids = () if identifier is None else (identifier,)
            self.deliver(message, qos, True, ids, None)  # [MQTT-3.3.1-8]
            message.encodings.clear()  # it stays, and so would a copy of its payload

    def _give_up(self, flight: Flight) -> None:
        """A message begun on an earlier connection cannot be sent on this one."""
        self._connection.broker.counters.publish_dropped += 1
        del self.state.flight[flight.packet_id]
        self.state.finished(flight)

    def _resume(self) -> None:
        """Send again what an earlier connection left unacknowledged, within the quota."""
        while self._resend and self._room():
            flight = self._resend.popleft()
            self._unsent.discard(flight.packet_id)
            if self.state.flight.get(flight.packet_id) is not flight:
                continue
            message = flight.message
            if flight.phase is Phase.PUBCOMP or message is None:
                self._connection.send(encode_ack(PacketType.PUBREL, flight.packet_id, self._level))
                continue
            if self._withdrawn is not None and self._is_withdrawn(message):
                self._give_up(flight)
                continue
            head, tail = publish_parts(
                message,
                flight.qos,
                flight.retain,
                self._level,
                self._connection.broker.now,
                prefix=self._prefix,
                subscription_ids=flight.subscription_ids,
            )
            if len(head) + len(tail) + 2 > self._max_packet_size:
                self._give_up(flight)
                continue
            counters = self._connection.broker.counters
            counters.publish_sent += 1
            counters.publish_bytes_sent += len(message.payload)
            # [MQTT-3.3.1-1]: DUP is set on every re-delivery.
            head = bytes((head[0] | _DUP,)) + head[1:]
            self._connection.send(head, flight.packet_id.to_bytes(2, "big"), tail)

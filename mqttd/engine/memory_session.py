"""One session in memory, connected or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mqttd.broker.inflight import Flight
from mqttd.broker.message import Message
from mqttd.broker.message_queue import MessageQueue, Waiting
from mqttd.broker.ports import SessionSink
from mqttd.broker.shared_subscriptions import KEEPS, QUEUES, REFUSES, SENDS
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.will import Will

if TYPE_CHECKING:
    from mqttd.engine.memory import MemoryEngine


class MemorySession:
    """Session State (4.1), and the claim on it: fulfils the broker's ``EngineSession`` port.

    ``claimed`` is true while a Network Connection owns it; ``sink`` is that connection once it is
    attached. ``free_sink`` is the same while nothing waits in the queue, and else None: one look
    tells whether a message may be sent without overtaking another. ``credit_left`` is how many
    more messages with QoS > 0 the sink takes.
    """

    __slots__ = (
        "_draining",
        "_engine",
        "claimed",
        "client_id",
        "credit_left",
        "expiry",
        "flight",
        "free_sink",
        "inbound",
        "pending_will",
        "present",
        "queue",
        "sink",
        "subscriptions",
        "username",
        "will",
    )

    def __init__(self, engine: MemoryEngine, client_id: str) -> None:
        options = engine.options
        self._engine = engine
        self._draining = False
        self.claimed = False
        self.client_id = client_id
        self.present = False
        self.username: str | None = None
        self.expiry = 0.0
        self.sink: SessionSink | None = None
        self.free_sink: SessionSink | None = None
        self.credit_left = 0
        self.will: Will | None = None
        self.pending_will: Will | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.flight: dict[int, Flight] = {}
        self.inbound: dict[int, float] = {}
        self.queue = MessageQueue(options.max_mqueue_len, options.mqueue_drop_policy)

    @property
    def dropped(self) -> int:
        """Messages lost because the queue was full."""
        return self.queue.dropped

    # --- what the broker calls --------------------------------------------------------------

    def attach(self, sink: SessionSink) -> None:
        """Start deliveries."""
        self.sink = sink
        self.settle()

    def credit(self, count: int) -> None:
        """Set how many QoS > 0 messages may be delivered, and deliver what waits."""
        self.credit_left = count
        if self.free_sink is None:
            self._drain()

    def _drain(self) -> None:
        # A delivery may ask for credit again; the loop that runs sees the new number.
        if self._draining or self.sink is None:
            return
        self._draining = True
        try:
            self._deliver_waiting()
        finally:
            self._draining = False
            self.settle()

    def _deliver_waiting(self) -> None:
        queue = self.queue
        while queue and self.sink is not None:
            item = queue.take(
                self._engine.now,
                promised=self.credit_left > 0,
                qos_0=queue.holds_qos_0 and self.sink.ready(),
            )
            if item is None:
                return
            if item.qos:
                self.credit_left -= 1
            self.sink.deliver(*item)

    def subscribe(
        self,
        subscriptions: Sequence[Subscription],
        now: float,
        done: Callable[[list[bool]], None],
    ) -> None:
        """Add or replace. [MQTT-3.8.4-3]: an equal filter replaces, deliveries go on."""
        del now
        new = []
        for each in subscriptions:
            new.append(each.key not in self.subscriptions)
            self.subscriptions[each.key] = each
            self._engine.route(self, each)
        self._engine.later(partial(done, new))

    def unsubscribe(self, filters: Sequence[str], done: Callable[[list[bool]], None]) -> None:
        """Remove. [MQTT-3.10.4-2, 3]: what was begun is completed."""
        existed = []
        for key in filters:
            subscription = self.subscriptions.pop(key, None)
            existed.append(subscription is not None)
            if subscription is not None:
                self._engine.unroute(self, subscription)
        self._engine.later(partial(done, existed))

    def sending(self, flight: Flight) -> None:
        """In memory the shared ``flight`` dict is all there is to keep."""

    def received(self, flight: Flight, done: Callable[[], None]) -> None:  # noqa: ARG002
        """As :meth:`sending`; the answer leaves with the turn."""
        self._engine.later(done)

    def finished(self, flight: Flight) -> None:
        """As :meth:`sending`."""

    def store_inbound(
        self, packet_id: int, message: Message, now: float, done: Callable[[int | None], None]
    ) -> None:
        """Publish exactly once for each identifier. [MQTT-4.3.3-10]."""
        if packet_id in self.inbound:
            self._engine.later(partial(done, None))
            return
        self.inbound[packet_id] = now
        self._engine.publish(message, now, done)

    def release_inbound(self, packet_id: int, done: Callable[[bool], None]) -> None:
        """Forget an identifier. [MQTT-4.3.3-12]."""
        known = self.inbound.pop(packet_id, None) is not None
        self._engine.later(partial(done, known))

    def update(self, *, expiry: float | None = None, will: Will | None = None) -> None:
        """Change the expiry, and replace or clear the Will."""
        if expiry is None:
            self.will = will
        else:
            self.expiry = expiry

    def detach(self, now: float, *, send_will: bool) -> None:
        """The connection ended. One that lost the session before has no say."""
        if self.claimed:
            self._engine.detached(self, now, send_will=send_will)

    # --- what the engine calls --------------------------------------------------------------

    def release(self) -> SessionSink | None:
        """Nobody owns the session any more; returns the sink that was attached."""
        sink, self.sink = self.sink, None
        self.free_sink = None
        self.claimed = False
        self.credit_left = 0
        return sink

    def settle(self) -> None:
        """Bring ``free_sink`` up to date after the queue or the sink changed."""
        self.free_sink = None if self.queue or self._draining else self.sink

    def offer(
        self,
        message: Message,
        qos: int,
        retain: bool,
        subscription_ids: tuple[int, ...],
        group: str | None,
    ) -> None:
        """Deliver now, queue, or drop; in this order of preference.

        QoS 0 overtakes what waits for credit, but never another QoS 0: order is kept for each
        topic and QoS. [MQTT-4.6.0-5].
        """
        sink = self.sink
        if sink is None:
            if not qos and not self._engine.options.mqueue_store_qos0:
                return
        elif qos:
            if self.free_sink is not None and self.credit_left > 0:
                self.credit_left -= 1
                sink.deliver(message, qos, retain, subscription_ids, group)
                return
        elif not self._draining and not self.queue.holds_qos_0:
            if sink.ready():
                sink.deliver(message, 0, retain, subscription_ids, group)
            else:
                self._engine.drop(self.client_id, message, "the client reads too slowly")
            return
        self._queue(Waiting(message, qos, retain, subscription_ids, group))

    def _queue(self, item: Waiting) -> None:
        engine = self._engine
        queue = self.queue
        earliest = queue.earliest
        lost = queue.put(item, engine.now)
        if lost is not None:
            engine.drop(self.client_id, lost.message, "the queue is full")
        if queue.earliest < earliest:
            engine.watch(self)
        self.settle()
        if self.credit_left > 0 or queue.holds_qos_0:
            self._drain()

    def readiness(self, qos: int) -> int:
        """As a member of a shared group: what would become of a message."""
        sink = self.sink
        if sink is None:
            if not qos and not self._engine.options.mqueue_store_qos0:
                return REFUSES
            return KEEPS if self.queue.has_room(self._engine.now) else REFUSES
        if not qos:
            return SENDS if sink.ready() and not self.queue.holds_qos_0 else REFUSES
        if self.free_sink is not None and self.credit_left > 0:
            return SENDS
        return QUEUES if self.queue.has_room(self._engine.now) else REFUSES

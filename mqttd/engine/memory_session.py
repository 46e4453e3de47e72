"""One session in memory, connected or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mqttd.broker.inflight import Flight
from mqttd.broker.message import Message
from mqttd.broker.message_queue import MessageQueue, Waiting
from mqttd.broker.ports import SessionSink
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.will import Will

if TYPE_CHECKING:
    from mqttd.engine.memory import MemoryEngine


class MemorySession:
    """Session State (4.1), and the claim on it: fulfils the broker's ``EngineSession`` port."""

    __slots__ = (
        "_credit",
        "_draining",
        "_engine",
        "client_id",
        "epoch",
        "expiry",
        "flight",
        "inbound",
        "pending_will",
        "present",
        "queue",
        "sink",
        "subscriptions",
        "will",
    )

    def __init__(self, engine: MemoryEngine, client_id: str) -> None:
        options = engine.options
        self._engine = engine
        self._credit = 0
        self._draining = False
        self.client_id = client_id
        self.present = False
        self.expiry = 0.0
        self.epoch = 0
        self.sink: SessionSink | None = None
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
        """Start deliveries. A sink that is still there belongs to an older connection."""
        self.sink = sink

    def credit(self, count: int) -> None:
        """Set how many QoS > 0 messages may be delivered, and deliver what waits."""
        self._credit = count
        # A delivery may ask for credit again; the loop that runs sees the new number.
        if self._draining or not self.queue:
            return
        self._draining = True
        try:
            self._drain()
        finally:
            self._draining = False

    def _drain(self) -> None:
        while self._credit > 0 and self.sink is not None:
            item = self.queue.take(self._engine.now)
            if item is None:
                return
            if item.qos:
                self._credit -= 1
            elif not self.sink.ready():
                self._engine.dropped += 1
                continue
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
        self._engine.complete(lambda: done(new))

    def unsubscribe(self, filters: Sequence[str], done: Callable[[list[bool]], None]) -> None:
        """Remove. [MQTT-3.10.4-2, 3]: what was begun is completed."""
        existed = []
        for key in filters:
            subscription = self.subscriptions.pop(key, None)
            existed.append(subscription is not None)
            if subscription is not None:
                self._engine.unroute(self, subscription)
        self._engine.complete(lambda: done(existed))

    def sending(self, flight: Flight) -> None:
        """In memory the shared ``flight`` dict is all there is to keep."""

    def received(self, flight: Flight, done: Callable[[], None]) -> None:  # noqa: ARG002
        """As :meth:`sending`; the answer leaves with the turn."""
        self._engine.complete(done)

    def finished(self, flight: Flight) -> None:
        """As :meth:`sending`."""

    def store_inbound(
        self, packet_id: int, message: Message, now: float, done: Callable[[int | None], None]
    ) -> None:
        """Publish exactly once for each identifier. [MQTT-4.3.3-10]."""
        if packet_id in self.inbound:
            self._engine.complete(lambda: done(None))
            return
        self.inbound[packet_id] = now
        self._engine.publish(message, now, done)

    def release_inbound(self, packet_id: int, done: Callable[[bool], None]) -> None:
        """Forget an identifier. [MQTT-4.3.3-12]."""
        known = self.inbound.pop(packet_id, None) is not None
        self._engine.complete(lambda: done(known))

    def update(self, *, expiry: float | None = None, will: Will | None = None) -> None:
        """Change the expiry, and replace or clear the Will."""
        if expiry is None:
            self.will = will
        else:
            self.expiry = expiry

    def detach(self, now: float, *, send_will: bool) -> None:
        """The connection ended."""
        self.sink = None
        self._credit = 0
        will, self.will = self.will, None
        self._engine.detached(self, will if send_will else None, now)

    # --- what the engine calls --------------------------------------------------------------

    def offer(
        self,
        message: Message,
        qos: int,
        retain: bool,
        subscription_ids: tuple[int, ...],
        group: str | None,
    ) -> None:
        """Deliver now, queue, or drop; in this order of preference."""
        sink = self.sink
        if sink is not None:
            if not qos:
                if sink.ready():
                    sink.deliver(message, 0, retain, subscription_ids, group)
                else:
                    self._engine.dropped += 1
                return
            if self._credit > 0 and not self.queue:
                self._credit -= 1
                sink.deliver(message, qos, retain, subscription_ids, group)
                return
        elif not qos and not self._engine.options.mqueue_store_qos0:
            return
        if self.queue.put(Waiting(message, qos, retain, subscription_ids, group)):
            self._engine.dropped += 1

    def takes_now(self, qos: int) -> bool:
        """As a member of a shared group: whether a message would leave at once."""
        if self.sink is None:
            return False
        if not qos:
            return self.sink.ready()
        return self._credit > 0 and not self.queue

    def takes_later(self, qos: int) -> bool:
        """As a member of a shared group: whether a message would be kept."""
        if not qos and (self.sink is not None or not self._engine.options.mqueue_store_qos0):
            return False
        return not self.queue.full

"""The engine that keeps everything in memory: sessions end with the process."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from itertools import count
from random import Random, SystemRandom

import attrs

from mqttd.broker.message import Message
from mqttd.broker.ports import EngineSession
from mqttd.broker.retained import RetainedMessages
from mqttd.broker.shared_subscriptions import SharedGroup
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.topic_tree import TopicTree
from mqttd.broker.will import Will
from mqttd.engine.memory_session import MemorySession
from mqttd.engine.options import EngineOptions
from mqttd.engine.plan import Entry, Plan

_CACHED_TOPICS = 20_000


@attrs.define
class MemoryStatistics:
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


class MemoryEngine:
    """Fulfils the broker's ``Engine`` port with dicts, a tree and heaps of deadlines.

    Sans-I/O: ``now`` is given to it, and completions run from :meth:`commit`.
    """

    def __init__(self, options: EngineOptions | None = None, rng: Random | None = None) -> None:
        self.options = options or EngineOptions()
        self.now = 0.0
        self.dropped = 0
        self._rng = rng or SystemRandom()
        self._sessions: dict[str, MemorySession] = {}
        self._tree: TopicTree[Entry] = TopicTree()
        self._plans: dict[bytes, Plan] = {}
        self._retained = RetainedMessages(self.options.max_retained_messages)
        self._completions: deque[Callable[[], None]] = deque()
        self._deadlines: list[tuple[float, int, MemorySession, int, bool]] = []
        self._order = count()
        self._expired = 0
        self._own_subscriptions = 0
        self._shared_subscriptions = 0

    # --- the port ---------------------------------------------------------------------------

    def publish(
        self, message: Message, now: float, done: Callable[[int], None] | None = None
    ) -> int:
        """Route one message, keep it if it is to be retained."""
        self.now = now
        if message.retain:
            self._retain(message)
        plan = self._plans.get(message.topic)
        if plan is None:
            plan = self._make_plan(message.topic)
        receivers = 0
        message_qos = message.qos
        for target in plan.targets:
            if target.no_local and target.session.client_id == message.publisher:
                left = target.without_local()
                if left is None:
                    continue
                target = left  # noqa: PLW2901 - the rest of the loop is the same for both
            qos = target.qos
            target.session.offer(
                message,
                min(message_qos, qos),
                message.retain and target.retain_as_published,
                target.identifiers,
                None,
            )
            receivers += 1
        for group in plan.groups:
            receivers += self._share(group, message)
        if done is not None:
            self._completions.append(lambda: done(receivers))
        return receivers

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
        """Own a Client Identifier; done in turn, so that claims of one identifier queue up."""
        self.now = now

        def claimed() -> None:
            session = self._take_over(client_id, clean_start=clean_start)
            session.expiry = expiry
            session.will = will
            done(session)

        self._completions.append(claimed)

    def retained(
        self, topic_filter: bytes, now: float, page: Callable[[list[Message]], None]
    ) -> None:
        """Every Retained Message that matches, in one page."""
        messages = self._retained.match(topic_filter, now)
        if messages:
            page(messages)

    def later(self, done: Callable[[], None]) -> None:
        """An answer that waits for nothing but its turn."""
        self._completions.append(done)

    complete = later

    def commit(self, now: float) -> None:
        """Call what is due; what is added meanwhile is called as well."""
        self.now = now
        completions = self._completions
        while completions:
            completions.popleft()()

    def sweep(self, now: float) -> None:
        """End sessions and publish Wills whose time has come."""
        self.now = now
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            _, _, session, epoch, is_will = heapq.heappop(deadlines)
            if session.epoch != epoch:
                continue
            if is_will:
                self._publish_will(session)
            else:
                self._expired += 1
                self._end(session)

    def statistics(self) -> MemoryStatistics:
        """Counts, worked out when asked."""
        sessions = self._sessions.values()
        return MemoryStatistics(
            sessions=len(self._sessions),
            connected=sum(each.sink is not None for each in sessions),
            expired=self._expired,
            subscriptions=self._own_subscriptions + self._shared_subscriptions,
            shared_subscriptions=self._shared_subscriptions,
            retained=self._retained.count,
            stored=self._retained.count + sum(len(each.queue) for each in sessions),
            stored_bytes=self._retained.bytes,
            dropped=self.dropped,
        )

    # --- what sessions call -----------------------------------------------------------------

    def route(self, session: MemorySession, subscription: Subscription) -> None:
        """A subscription was added or changed."""
        self._plans.clear()
        if subscription.group is None:
            if self._tree.get(subscription.topic_filter, session) is None:
                self._own_subscriptions += 1
            self._tree.add(subscription.topic_filter, session, Entry(session, subscription))
            return
        entry = self._tree.get(subscription.topic_filter, subscription.group)
        if entry is None:
            group: SharedGroup[MemorySession] = SharedGroup(
                subscription.key, self.options.shared_subscription_strategy, self._rng
            )
            entry = Entry(None, None, group)
            self._tree.add(subscription.topic_filter, subscription.group, entry)
        assert entry.group is not None
        before = len(entry.group)
        entry.group.add(session, subscription)
        self._shared_subscriptions += len(entry.group) - before

    def unroute(self, session: MemorySession, subscription: Subscription) -> None:
        """A subscription was removed."""
        self._plans.clear()
        topic_filter = subscription.topic_filter
        if subscription.group is None:
            self._own_subscriptions -= 1
            self._tree.remove(topic_filter, session)
            return
        entry = self._tree.get(topic_filter, subscription.group)
        assert entry is not None
        assert entry.group is not None
        self._shared_subscriptions -= 1
        entry.group.remove(session)
        if not len(entry.group):
            self._tree.remove(topic_filter, subscription.group)

    def detached(self, session: MemorySession, will: Will | None, now: float) -> None:
        """A connection ended; ``will`` is to be published, at once or after its delay."""
        self.now = now
        session.epoch += 1
        session.pending_will = will
        if will is not None and (not will.delay or not session.expiry):
            self._publish_will(session)
        if not session.expiry:
            self._end(session)
            return
        if session.pending_will is not None:
            assert will is not None
            self._remind(session, now + will.delay, is_will=True)
        if session.expiry != math.inf:
            self._remind(session, now + session.expiry, is_will=False)

    # --- inside -----------------------------------------------------------------------------

    def _make_plan(self, topic: bytes) -> Plan:
        plan = Plan(self._tree.match(topic.decode()))
        if len(self._plans) >= _CACHED_TOPICS:
            self._plans.clear()
        self._plans[topic] = plan
        return plan

    def _retain(self, message: Message) -> None:
        if message.payload:
            self._retained.keep(message)
        else:
            self._retained.remove(message.topic)

    def _share(self, group: SharedGroup[MemorySession], message: Message) -> bool:
        chosen = group.choose(message)
        if chosen is None:
            self.dropped += 1
            return len(group) > 0
        session, subscription = chosen
        identifier = subscription.subscription_id
        session.offer(
            message,
            min(message.qos, subscription.qos),
            message.retain and subscription.retain_as_published,
            () if identifier is None else (identifier,),
            group.key,
        )
        return True

    def _take_over(self, client_id: str, *, clean_start: bool) -> MemorySession:
        session = self._sessions.get(client_id)
        if session is None:
            session = self._sessions[client_id] = MemorySession(self, client_id)
            return session
        session.epoch += 1
        sink, session.sink = session.sink, None
        if sink is not None:
            # The old connection ended without DISCONNECT; its Will is due, unless a delay lets
            # this connection come first. [MQTT-3.1.3-9], [MQTT-3.1.4-3]
            will, session.will = session.will, None
            session.pending_will = will
            sink.lost("taken-over")
            if will is not None and not will.delay:
                self._publish_will(session)
        if clean_start or not session.expiry:
            # [MQTT-3.1.2-4]. A session of an interval of 0 ended with its connection.
            self._end(session)
            session = self._sessions[client_id] = MemorySession(self, client_id)
            return session
        session.pending_will = None
        session.present = True
        return session

    def _publish_will(self, session: MemorySession) -> None:
        will, session.pending_will = session.pending_will, None
        if will is None:
            return
        message = will.message
        if will.expiry is not None:
            message.expires_at = self.now + will.expiry
        self.publish(message, self.now)

    def _end(self, session: MemorySession) -> None:
        """Session State is deleted; a Will that waits is published now. [MQTT-3.1.2-8]."""
        session.epoch += 1
        if self._sessions.get(session.client_id) is session:
            del self._sessions[session.client_id]
        for subscription in session.subscriptions.values():
            self.unroute(session, subscription)
        session.subscriptions.clear()
        self._publish_will(session)
        self._redistribute(session)
        session.flight.clear()
        session.inbound.clear()

    def _redistribute(self, session: MemorySession) -> None:
        """Shared messages the session did not finish go to another member of the group.

        Not those of QoS 2 that were begun: they might be delivered twice. [MQTT-4.8.2-5].
        """
        waiting = [
            (flight.group, flight.message)
            for flight in session.flight.values()
            if flight.group is not None and flight.qos == 1 and flight.message is not None
        ]
        waiting += [
            (item.group, item.message) for item in session.queue.drain() if item.group is not None
        ]
        for key, message in waiting:
            name, _, topic_filter = key.removeprefix("$share/").partition("/")
            entry = self._tree.get(topic_filter, name)
            if entry is not None and entry.group is not None:
                self._share(entry.group, message)

    def _remind(self, session: MemorySession, when: float, *, is_will: bool) -> None:
        heapq.heappush(self._deadlines, (when, next(self._order), session, session.epoch, is_will))

"""How a message finds its receivers: the tree, the plans, the groups, the Retained Messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random, SystemRandom

from mqttd.broker.message import Message
from mqttd.broker.retained import RetainedMessages
from mqttd.broker.shared_subscriptions import SharedGroup
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.topic_tree import TopicTree
from mqttd.engine.memory_session import MemorySession
from mqttd.engine.options import EngineOptions
from mqttd.engine.plan import Found, Own, Plan, Plans, Target


class Routing:
    """The half of the memory engine that every message goes through.

    ``now`` is the time (seconds) of the last call that had one. ``dropped`` counts messages that
    could be neither sent nor kept. ``rng`` serves the strategies of shared subscriptions.
    """

    def __init__(self, options: EngineOptions | None = None, rng: Random | None = None) -> None:
        self.options = options or EngineOptions()
        self.now = 0.0
        self.dropped = 0
        self.lost: Callable[[str, Message, str], None] | None = None
        """Told of each message that is dropped: for whom, which, why."""
        self._rng = rng or SystemRandom()
        self._tree: TopicTree[Found] = TopicTree()
        self._plans = Plans(self._tree)
        self._planned = self._plans.by_topic
        self._retained = RetainedMessages(
            self.options.max_retained_messages, self.options.max_retained_bytes
        )
        self._completions: deque[Callable[[], None]] = deque()
        self._committing = False
        self._own_subscriptions = 0
        self._shared_subscriptions = 0

    def publish(
        self, message: Message, now: float, done: Callable[[int], None] | None = None
    ) -> int:
        """Route one message, keep it if it is to be retained."""
        self.now = now
        if message.retain:
            self._retain(message)
        plan = self._planned.get(message.topic)
        if plan is None:
            plan = self._plans.make(message.topic)
        if message.publisher in plan.local or (message.retain and plan.keeps_retain):
            receivers = self._deliver_to_each(plan, message)
        else:
            receivers = self._deliver(plan, message)
        for group in plan.groups:
            receivers += self._share(group, message)
        if message.retain:
            # What is kept for long keeps one copy of its payload, not one for each shape.
            message.encodings.clear()
        if done is not None:
            self._completions.append(partial(done, receivers))
        return receivers

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

    def commit(self, now: float) -> None:
        """Call what is due; what is added meanwhile is called as well."""
        self.now = now
        if self._committing:
            return
        self._committing = True
        completions = self._completions
        try:
            while completions:
                completions.popleft()()
        finally:
            self._committing = False

    def route(self, session: MemorySession, subscription: Subscription) -> None:
        """A subscription was added or changed."""
        topic_filter = subscription.topic_filter
        group = subscription.group
        if group is None:
            if self._tree.add(topic_filter, session, Own(session, subscription)) is None:
                self._own_subscriptions += 1
            self._plans.forget(topic_filter)
            return
        found = self._tree.get(topic_filter, group)
        if found is None:
            found = SharedGroup(
                subscription.key, self.options.shared_subscription_strategy, self._rng
            )
            self._tree.add(topic_filter, group, found)
            self._plans.forget(topic_filter)
        assert isinstance(found, SharedGroup)
        before = len(found)
        found.add(session, subscription)
        self._shared_subscriptions += len(found) - before

    def unroute(self, session: MemorySession, subscription: Subscription) -> None:
        """A subscription was removed."""
        topic_filter = subscription.topic_filter
        group = subscription.group
        if group is None:
            self._own_subscriptions -= 1
            self._tree.remove(topic_filter, session)
            self._plans.forget(topic_filter)
            return
        found = self._tree.get(topic_filter, group)
        assert isinstance(found, SharedGroup)
        self._shared_subscriptions -= 1
        found.remove(session)
        if not len(found):
            self._tree.remove(topic_filter, group)
            self._plans.forget(topic_filter)

    # --- delivery ---------------------------------------------------------------------------

    def _deliver(self, plan: Plan, message: Message) -> int:
        """The usual case: no flag of a subscription asks for a second look."""
        qos = message.qos
        rows = plan.rows[qos]
        if rows is None:
            rows = plan.make_rows(qos)
        if not qos:
            for session, _, identifiers in rows:
                sink = session.free_sink
                if sink is None:
                    session.offer(message, 0, False, identifiers, None)
                elif sink.ready():
                    sink.deliver(message, 0, False, identifiers, None)
                else:
                    self.drop(session.client_id, message, "the client reads too slowly")
            return len(rows)
        for session, granted, identifiers in rows:
            sink = session.free_sink
            if sink is None or not (session.credit_left > 0 if granted else sink.ready()):
                session.offer(message, granted, False, identifiers, None)
                continue
            if granted:
                session.credit_left -= 1
            sink.deliver(message, granted, False, identifiers, None)
        return len(rows)

    def _deliver_to_each(self, plan: Plan, message: Message) -> int:
        """With No Local and Retain As Published. [MQTT-3.8.3-3] [MQTT-3.3.1-12, 13]."""
        receivers = 0
        for each in plan.targets:
            target: Target | None = each
            if each.no_local and each.session.client_id == message.publisher:
                target = each.without_local()
            if target is not None:
                session, qos, identifiers = target.rows[message.qos]
                retain = message.retain and target.retain_as_published
                session.offer(message, qos, retain, identifiers, None)
                receivers += 1
        return receivers

    def drop(self, client_id: str, message: Message, reason: str) -> None:
        """Count a message that could be neither sent nor kept."""
        self.dropped += 1
        if self.lost is not None:
            self.lost(client_id, message, reason)

    def _share(self, group: SharedGroup[MemorySession], message: Message) -> int:
        chosen = group.choose(message)
        if chosen is None:
            self.drop("", message, "no member of the shared subscription can take it")
            return 1
        session, subscription = chosen
        identifier = subscription.subscription_id
        session.offer(
            message,
            min(message.qos, subscription.qos),
            message.retain and subscription.retain_as_published,
            () if identifier is None else (identifier,),
            group.key,
        )
        return 1

    def _retain(self, message: Message) -> None:
        if message.payload:
            self._retained.keep(message)
        else:
            self._retained.remove(message.topic)

    def redistribute(self, session: MemorySession) -> None:
        """Shared messages the session did not finish go to another member of the group.

        Not those of QoS 2 that were begun: they might be delivered twice. [MQTT-4.8.2-5].
        """
        unfinished = [
            (flight.group, flight.message)
            for flight in session.flight.values()
            if flight.group is not None and flight.qos == 1 and flight.message is not None
        ]
        unfinished += [
            (item.group, item.message) for item in session.queue.drain() if item.group is not None
        ]
        for key, message in unfinished:
            if message.expires_at is not None and message.expires_at <= self.now:
                continue
            name, _, topic_filter = key.removeprefix("$share/").partition("/")
            found = self._tree.get(topic_filter, name)
            if isinstance(found, SharedGroup):
                self._share(found, message)

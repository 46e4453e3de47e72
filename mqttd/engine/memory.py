"""The engine that keeps everything in memory: sessions end with the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from random import Random, SystemRandom

from mqttd.broker.deadlines import Deadlines
from mqttd.broker.message import Message
from mqttd.broker.ports import EngineSession
from mqttd.broker.retained import RetainedMessages
from mqttd.broker.shared_subscriptions import SharedGroup
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.topic_tree import TopicTree
from mqttd.broker.will import Will
from mqttd.engine.memory_session import MemorySession
from mqttd.engine.options import EngineOptions
from mqttd.engine.plan import Found, Own, Plan, Plans, Target
from mqttd.engine.statistics import MemoryStatistics, SessionInfo

_SWEEP_SESSIONS = 500
_SWEEP_MESSAGES = 20_000
_WATCH_INTERVAL = 30.0


class MemoryEngine:
    """Fulfils the broker's ``Engine`` port with dicts, a tree and heaps of deadlines.

    Sans-I/O: ``now`` is given to it, and completions run from :meth:`commit`. ``rng`` serves the
    strategies of shared subscriptions. ``dropped`` counts what could be neither sent nor kept.
    """

    def __init__(self, options: EngineOptions | None = None, rng: Random | None = None) -> None:
        self.options = options or EngineOptions()
        self.now = 0.0
        self.dropped = 0
        self._rng = rng or SystemRandom()
        self._sessions: dict[str, MemorySession] = {}
        self._absent: dict[MemorySession, None] = {}  # in the order they went
        self._tree: TopicTree[Found] = TopicTree()
        self._plans = Plans(self._tree)
        self._planned = self._plans.by_topic
        self._retained = RetainedMessages(
            self.options.max_retained_messages, self.options.max_retained_bytes
        )
        self._completions: deque[Callable[[], None]] = deque()
        self._committing = False
        self._deadlines: Deadlines[MemorySession] = Deadlines()
        self._wills: Deadlines[MemorySession] = Deadlines()
        self._watched: Deadlines[MemorySession] = Deadlines()
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
        plan = self._planned.get(message.topic)
        if plan is None:
            plan = self._plans.make(message.topic)
        if message.publisher in plan.local or (message.retain and plan.keeps_retain):
            receivers = self._deliver_to_each(plan, message)
        else:
            receivers = self._deliver(plan, message)
        for group in plan.groups:
            receivers += self._share(group, message)
        if done is not None:
            self._completions.append(partial(done, receivers))
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
            session.claimed = True
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

    def sweep(self, now: float) -> bool:
        """End sessions, publish Wills and forget messages whose time has come.

        Does a bounded piece of the work; returns True when there is more.
        """
        self.now = now
        for _ in range(_SWEEP_SESSIONS):
            # A Will that is due at the same time as its session's end comes first.
            session = self._wills.take_due(now)
            if session is not None:
                self._publish_will(session)
                continue
            session = self._deadlines.take_due(now)
            if session is None:
                break
            self._expire(session)
        else:
            return True
        return self._forget_messages(now)

    def statistics(self) -> MemoryStatistics:
        """Counts, worked out when asked."""
        queues = [session.queue for session in self._sessions.values()]
        return MemoryStatistics(
            sessions=len(self._sessions),
            connected=len(self._sessions) - len(self._absent),
            expired=self._expired,
            subscriptions=self._own_subscriptions + self._shared_subscriptions,
            shared_subscriptions=self._shared_subscriptions,
            retained=self._retained.count,
            stored=self._retained.count + sum(len(each) for each in queues),
            stored_bytes=self._retained.bytes + sum(each.bytes for each in queues),
            dropped=self.dropped,
        )

    # --- for operators ----------------------------------------------------------------------

    def sessions(self) -> Iterator[SessionInfo]:
        """Every session there is when this is called."""
        for session in list(self._sessions.values()):
            yield SessionInfo(
                client_id=session.client_id,
                connected=session.claimed,
                expiry=session.expiry,
                expires_at=self._deadlines.get(session),
                subscriptions=len(session.subscriptions),
                waiting=len(session.queue),
                inflight=len(session.flight),
                awaiting_release=len(session.inbound),
                dropped=session.dropped,
            )

    def kick(self, client_id: str, now: float, reason: str = "kicked") -> bool:
        """End a client's Network Connection; its session and Will go on as if it had broken.

        Returns whether there was one.
        """
        session = self._sessions.get(client_id)
        if session is None or not session.claimed:
            return False
        sink = session.sink
        self.detached(session, now, send_will=True)
        if sink is not None:
            sink.lost(reason)
        return True

    def forget(self, client_id: str, now: float, reason: str = "kicked") -> bool:
        """Delete a session, and end the Network Connection it may have.

        Returns whether there was one.
        """
        session = self._sessions.get(client_id)
        if session is None:
            return False
        session.expiry = 0.0
        if not self.kick(client_id, now, reason):
            self.now = now
            self._end(session)
        return True

    # --- what sessions call -----------------------------------------------------------------

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

    def watch(self, session: MemorySession) -> None:
        """A message that waits will expire: look after it, though not more often than needed."""
        self._watched.set(session, max(session.queue.earliest, self.now + _WATCH_INTERVAL))

    def detached(self, session: MemorySession, now: float, *, send_will: bool) -> None:
        """A connection ended: keep or end the session; the Will comes now, later or never."""
        self.now = now
        session.release()
        self._absent[session] = None
        will, session.will = session.will, None
        if send_will:
            session.pending_will = will
        if not session.expiry:
            self._end(session)
            return
        if session.pending_will is not None:
            if session.pending_will.delay:
                self._wills.set(session, now + session.pending_will.delay)
            else:
                self._publish_will(session)
        self._deadlines.set(session, now + session.expiry)

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
                    self.dropped += 1
            return len(rows)
        for session, granted, identifiers in rows:
            sink = session.free_sink
            if sink is not None and granted and session.credit_left > 0:
                session.credit_left -= 1
                sink.deliver(message, granted, False, identifiers, None)
            else:
                session.offer(message, granted, False, identifiers, None)
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

    def _share(self, group: SharedGroup[MemorySession], message: Message) -> int:
        chosen = group.choose(message)
        if chosen is None:
            self.dropped += 1
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

    # --- sessions ---------------------------------------------------------------------------

    def _take_over(self, client_id: str, *, clean_start: bool) -> MemorySession:
        session = self._sessions.get(client_id)
        if session is not None and self._deadlines.get(session) <= self.now:
            self._expire(session)  # the sweep has not come to it yet
            session = None
        if session is None:
            return self._make(client_id)
        if session.claimed:
            # The old connection ends without DISCONNECT; its Will is due, unless a delay lets
            # this connection come first. [MQTT-3.1.3-9], [MQTT-3.1.4-3]
            sink = session.release()
            session.pending_will, session.will = session.will, None
            if sink is not None:
                sink.lost("taken-over")
            if session.pending_will is not None and not session.pending_will.delay:
                self._publish_will(session)
        if clean_start or not session.expiry:
            # [MQTT-3.1.2-4]. A session of an interval of 0 ended with its connection.
            self._end(session)
            return self._make(client_id)
        self._absent.pop(session, None)
        self._deadlines.cancel(session)
        self._wills.cancel(session)
        session.pending_will = None
        session.present = True
        return session

    def _make(self, client_id: str) -> MemorySession:
        maximum = self.options.max_sessions
        if maximum is not None and len(self._sessions) >= maximum and self._absent:
            self._expire(next(iter(self._absent)))
        session = self._sessions[client_id] = MemorySession(self, client_id)
        return session

    def _publish_will(self, session: MemorySession) -> None:
        self._wills.cancel(session)
        will, session.pending_will = session.pending_will, None
        if will is None:
            return
        message = will.message
        if will.expiry is not None:
            message.expires_at = self.now + will.expiry
        self.publish(message, self.now)

    def _expire(self, session: MemorySession) -> None:
        self._expired += 1
        self._end(session)

    def _end(self, session: MemorySession) -> None:
        """Session State is deleted; a Will that waits is published now. [MQTT-3.1.2-8]."""
        del self._sessions[session.client_id]
        self._absent.pop(session, None)
        self._deadlines.cancel(session)
        self._watched.cancel(session)
        for subscription in session.subscriptions.values():
            self.unroute(session, subscription)
        session.subscriptions.clear()
        self._redistribute(session)
        self._publish_will(session)
        session.flight.clear()
        session.inbound.clear()

    def _redistribute(self, session: MemorySession) -> None:
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

    def _forget_messages(self, now: float) -> bool:
        """Forget what expired while it waited or was retained; True when there may be more."""
        budget = _SWEEP_MESSAGES
        while budget > 0:
            session = self._watched.take_due(now)
            if session is None:
                break
            budget -= 1 + session.queue.remove_expired(now)
            session.settle()
            self.watch(session)
        return self._retained.remove_expired(now, max(budget, 1)) >= budget

"""Random lives of sessions: they come, are taken over, end, and their queues are short."""

from __future__ import annotations

import math
from collections import defaultdict
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mqttd.broker.inflight import Flight, next_packet_id
from mqttd.broker.message import Message
from mqttd.broker.ports import EngineSession
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.topics import matches
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions

CLIENTS = ["a", "b"]
TOPICS = ["x", "x/y"]
FILTERS = ["x", "x/#", "+", "#"]
QUEUE = 5


class Owner:
    """One connection of a client; refuses what the contract forbids."""

    def __init__(self, lives: EngineLives, state: EngineSession) -> None:
        self.lives = lives
        self.state = state
        self.credit = 0
        self.owns = True
        self.is_ready = True

    def give(self, credit: int) -> None:
        self.credit = credit
        self.state.credit(credit)

    def ready(self) -> bool:
        assert self.owns, "asked after the session was lost"
        return self.is_ready

    def deliver(
        self, message: Message, qos: int, retain: bool, identifiers: tuple[int, ...], group: Any
    ) -> None:
        assert self.owns, "delivered after the session was lost"
        assert not retain
        assert group is None
        if qos:
            assert self.credit > 0, "delivered beyond the credit"
            self.credit -= 1
            packet_id = next_packet_id(self.state.flight, 0)
            flight = Flight(packet_id, message, qos, retain, identifiers, group)
            self.state.flight[packet_id] = flight
            self.state.sending(flight)
        else:
            assert self.is_ready, "QoS 0 to a sink that is not ready"
        self.lives.delivered(self.state.client_id, message, qos)

    def lost(self, reason: str) -> None:
        assert reason == "taken-over"
        assert self.owns, "lost twice"
        self.owns = False


class EngineLives(RuleBasedStateMachine):
    """The model: what each session is owed with QoS > 0, and what it got, in order."""

    @initialize(policy=st.sampled_from(["oldest", "newest"]), store_qos0=st.booleans())
    def begin(self, policy: str, store_qos0: bool) -> None:
        options = EngineOptions(
            max_mqueue_len=QUEUE, mqueue_drop_policy=policy, mqueue_store_qos0=store_qos0
        )
        self.engine = MemoryEngine(options, Random(0))
        self.now = 100.0
        self.number = 0
        self.owners: dict[str, Owner] = {}
        self.subscribed: dict[str, dict[str, int]] = defaultdict(dict)
        self.expiry: dict[str, float] = {}
        self.ends: dict[str, float] = {}
        self.owed: dict[str, list[int]] = defaultdict(list)
        self.last: dict[tuple[str, bytes, int], int] = defaultdict(int)
        self.acknowledged = 0
        self.due = 0
        for client_id in CLIENTS:
            self.come(client_id, clean_start=True, expiry=math.inf, credit=3)

    def forget(self, client_id: str) -> None:
        self.subscribed.pop(client_id, None)
        self.owed.pop(client_id, None)
        self.expiry.pop(client_id, None)
        self.ends.pop(client_id, None)

    def delivered(self, client_id: str, message: Message, qos: int) -> None:
        number = int(message.payload)
        key = client_id, message.topic, qos
        assert number > self.last[key], "out of order, or twice"
        self.last[key] = number
        if qos:
            self.owed[client_id].remove(number)

    @rule(
        client_id=st.sampled_from(CLIENTS),
        clean_start=st.sampled_from([False, False, True]),
        expiry=st.sampled_from([math.inf, 10.0, 0.0]),
        credit=st.sampled_from([3, 0]),
    )
    def connect(self, client_id: str, clean_start: bool, expiry: float, credit: int) -> None:
        self.come(client_id, clean_start=clean_start, expiry=expiry, credit=credit)

    def come(self, client_id: str, *, clean_start: bool, expiry: float, credit: int) -> None:
        before = self.owners.get(client_id)
        known = client_id in self.expiry and not (before and not self.expiry[client_id])
        made: list[EngineSession] = []

        def claimed(state: EngineSession) -> None:
            assert before is None or not before.owns, "two owners at once"
            assert state.present is (known and not clean_start)
            if not state.present:
                self.forget(client_id)
            made.append(state)
            owner = self.owners[client_id] = Owner(self, state)
            state.attach(owner)
            if credit:  # without any, what an earlier owner gave counts no more
                owner.give(credit)

        self.engine.claim(
            client_id,
            clean_start=clean_start,
            expiry=expiry,
            will=None,
            now=self.now,
            done=claimed,
        )
        assert made == []
        self.turn()
        assert len(made) == 1
        self.expiry[client_id] = expiry
        self.ends.pop(client_id, None)
        if not made[0].present:
            self._subscribe(self.owners[client_id], "#", 1)

    @precondition(lambda self: self.owners)
    @rule(data=st.data(), topic_filter=st.sampled_from(FILTERS), qos=st.integers(0, 2))
    def subscribe(self, data: st.DataObject, topic_filter: str, qos: int) -> None:
        self._subscribe(self.pick(data), topic_filter, qos)

    def _subscribe(self, owner: Owner, topic_filter: str, qos: int) -> None:
        mine = self.subscribed[owner.state.client_id]
        results: list[list[bool]] = []
        owner.state.subscribe([Subscription(topic_filter, qos)], self.now, results.append)
        self.turn()
        assert results == [[topic_filter not in mine]]
        mine[topic_filter] = qos

    @precondition(lambda self: self.owners)
    @rule(data=st.data(), topic_filter=st.sampled_from(FILTERS))
    def unsubscribe(self, data: st.DataObject, topic_filter: str) -> None:
        owner = self.pick(data)
        existed = self.subscribed[owner.state.client_id].pop(topic_filter, None) is not None
        results: list[list[bool]] = []
        owner.state.unsubscribe([topic_filter], results.append)
        self.turn()
        assert results == [[existed]]

    @rule(topic=st.sampled_from(TOPICS), qos=st.integers(0, 2), count=st.integers(1, QUEUE + 2))
    def publish(self, topic: str, qos: int, count: int) -> None:
        for _ in range(count):
            self.publish_one(topic, qos)
        if count % 2:
            self.turn()

    def publish_one(self, topic: str, qos: int) -> None:
        self.number += 1
        receivers = 0
        for client_id, filters in self.subscribed.items():
            granted = [filters[each] for each in filters if matches(each, topic)]
            receivers += bool(granted)
            if granted and 0 not in (qos, max(granted)):
                self.owed[client_id].append(self.number)
        self.due += 1
        expected = self.due

        def done(count: int) -> None:
            assert count == receivers
            self.acknowledged += 1
            assert self.acknowledged == expected, "completions out of order"

        payload = str(self.number).encode()
        self.engine.publish(Message(topic.encode(), payload, qos), self.now, done)
        assert self.acknowledged < expected, "completed inside the call"

    @precondition(lambda self: self.owners)
    @rule(data=st.data(), count=st.integers(0, 4), ready=st.booleans())
    def credit(self, data: st.DataObject, count: int, ready: bool) -> None:
        owner = self.pick(data)
        owner.is_ready = ready
        owner.give(count)

    @precondition(lambda self: self.owners)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        state = self.pick(data).state
        for packet_id in list(state.flight):
            state.finished(state.flight.pop(packet_id))

    @precondition(lambda self: self.owners)
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        owner = self.pick(data)
        client_id = owner.state.client_id
        owner.owns = False
        del self.owners[client_id]
        owner.state.detach(self.now, send_will=True)
        if self.expiry[client_id]:
            self.ends[client_id] = self.now + self.expiry[client_id]
        else:
            self.forget(client_id)

    @rule(seconds=st.sampled_from([1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        while self.engine.sweep(self.now):
            pass
        for client_id, end in list(self.ends.items()):
            if end <= self.now:
                self.forget(client_id)
        self.turn()

    def pick(self, data: st.DataObject) -> Owner:
        return self.owners[data.draw(st.sampled_from(sorted(self.owners)))]

    def turn(self) -> None:
        self.engine.commit(self.now)
        assert self.acknowledged == self.due

    @invariant()
    def nothing_promised_is_lost_below_the_bound(self) -> None:
        if not hasattr(self, "engine"):
            return
        waiting = {each.client_id: each.waiting for each in self.engine.sessions()}
        dropped = {each.client_id: each.dropped for each in self.engine.sessions()}
        for client_id, owed in self.owed.items():
            assert waiting[client_id] <= QUEUE
            # A lost QoS 0 is in ``dropped`` as well, so this is a bound, exact when it is 0.
            assert len(owed) <= waiting[client_id] + dropped[client_id]

    @invariant()
    def a_connected_client_with_credit_has_nothing_promised_waiting(self) -> None:
        if not hasattr(self, "engine"):
            return
        dropped = {each.client_id: each.dropped for each in self.engine.sessions()}
        for client_id, owner in self.owners.items():
            if owner.credit:
                assert len(self.owed[client_id]) <= dropped[client_id]

    @invariant()
    def the_counts_are_right(self) -> None:
        if not hasattr(self, "engine"):
            return
        statistics = self.engine.statistics()
        assert statistics.sessions == len(self.expiry)
        assert statistics.connected == len(self.owners)
        assert statistics.subscriptions == sum(map(len, self.subscribed.values()))
        assert statistics.shared_subscriptions == 0
        assert statistics.stored == sum(each.waiting for each in self.engine.sessions())


TestEngineLives = EngineLives.TestCase
TestEngineLives.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

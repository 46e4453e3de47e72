"""Random traffic: what was promised arrives, once, in order, within the credit."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mqttd.broker.inflight import Flight
from mqttd.broker.message import Message
from mqttd.broker.ports import Engine, EngineSession
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.topics import matches
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions

CLIENTS = st.sampled_from(["a", "b", "c"])
FILTERS = ["t/1", "t/2", "t/+", "t/#", "+/1", "u/1"]
TOPICS = st.sampled_from(["t/1", "t/2", "u/1", "v"])


class RandomClient:
    """Acknowledges when it is told to. ``credit`` is what the engine may still use."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: EngineSession | None = None
        self.credit = 0
        self.writable = True
        self.filters: dict[str, int] = {}
        self.groups: set[str] = set()
        self.expected: list[tuple[int, int]] = []
        self.arrived: list[tuple[int, int]] = []
        self.last: dict[tuple[bytes, int], int] = {}
        self.shared: list[int] = []

    def ready(self) -> bool:
        return self.writable

    def deliver(
        self,
        message: Message,
        qos: int,
        retain: bool,
        subscription_ids: tuple[int, ...],
        group: str | None,
    ) -> None:
        number = int(message.payload)
        if qos:
            assert self.credit > 0, "more than was asked for"
            self.credit -= 1
            assert self.state is not None
            flight = Flight(number, message, qos, retain, subscription_ids, group)
            self.state.flight[number] = flight
            self.state.sending(flight)
        else:
            assert self.writable
        if group is not None:
            self.shared.append(number)
            return
        # [MQTT-4.6.0-5]
        assert number > self.last.get((message.topic, qos), -1)
        self.last[message.topic, qos] = number
        if qos:
            self.arrived.append((number, qos))

    def lost(self, reason: str) -> None:
        raise AssertionError(reason)

    def qos_for(self, topic: str) -> int | None:
        granted = [qos for each, qos in self.filters.items() if matches(each, topic)]
        return max(granted, default=None)


class EngineMachine(RuleBasedStateMachine):
    """Clients with lasting sessions and queues without a limit come, go, read and publish."""

    def make_engine(self) -> Engine:
        return MemoryEngine(EngineOptions(max_mqueue_len=None))

    @initialize()
    def begin(self) -> None:
        self.engine = self.make_engine()
        self.now = 100.0
        self.number = 0
        self.clients = {name: RandomClient(name) for name in "abc"}
        self.shared_sent: list[int] = []
        for client in self.clients.values():
            self.connect(client)

    def connect(self, client: RandomClient) -> None:
        def claimed(state: EngineSession) -> None:
            client.state = state
            client.credit = 0
            state.attach(client)

        self.engine.claim(
            client.name, clean_start=False, expiry=1e9, will=None, now=self.now, done=claimed
        )
        self.engine.commit(self.now)

    @rule(name=CLIENTS)
    def come_or_go(self, name: str) -> None:
        client = self.clients[name]
        if client.state is None:
            self.connect(client)
        else:
            client.state.detach(self.now, send_will=False)
            client.state = None

    @rule(name=CLIENTS, credit=st.integers(0, 4))
    def give_credit(self, name: str, credit: int) -> None:
        client = self.clients[name]
        if client.state is not None:
            client.credit = credit
            client.state.credit(credit)

    @rule(name=CLIENTS)
    def acknowledge(self, name: str) -> None:
        client = self.clients[name]
        if client.state is not None:
            for number in list(client.state.flight):
                client.state.finished(client.state.flight.pop(number))

    @rule(name=CLIENTS, writable=st.booleans())
    def read_or_not(self, name: str, writable: bool) -> None:
        client = self.clients[name]
        client.writable = writable
        if client.state is not None:
            client.credit = 3 if writable else 0
            client.state.credit(client.credit)

    @rule(name=CLIENTS, topic_filter=st.sampled_from(FILTERS), qos=st.integers(0, 2))
    def subscribe(self, name: str, topic_filter: str, qos: int) -> None:
        client = self.clients[name]
        if client.state is None:
            return
        new: list[list[bool]] = []
        client.state.subscribe([Subscription(topic_filter, qos)], self.now, new.append)
        self.engine.commit(self.now)
        assert new == [[topic_filter not in client.filters]]
        client.filters[topic_filter] = qos

    @rule(name=CLIENTS, topic_filter=st.sampled_from(FILTERS))
    def unsubscribe(self, name: str, topic_filter: str) -> None:
        client = self.clients[name]
        if client.state is None:
            return
        existed: list[list[bool]] = []
        client.state.unsubscribe([topic_filter], existed.append)
        self.engine.commit(self.now)
        assert existed == [[client.filters.pop(topic_filter, None) is not None]]

    @rule(name=CLIENTS)
    def share(self, name: str) -> None:
        client = self.clients[name]
        if client.state is not None:
            subscription = Subscription("v", 1, group="g")
            client.state.subscribe([subscription], self.now, lambda new: None)
            client.groups.add("g")

    @rule(topic=TOPICS, qos=st.integers(0, 2), count=st.integers(1, 3))
    def publish(self, topic: str, qos: int, count: int) -> None:
        for _ in range(count):
            self.number += 1
            receivers = 0
            for client in self.clients.values():
                granted = client.qos_for(topic)
                if granted is not None:
                    receivers += 1
                    if min(qos, granted):
                        client.expected.append((self.number, min(qos, granted)))
            if topic == "v" and any(client.groups for client in self.clients.values()):
                receivers += 1
                if qos:
                    self.shared_sent.append(self.number)
            message = Message(topic.encode(), str(self.number).encode(), qos)
            said: list[int] = []
            assert self.engine.publish(message, self.now, said.append) == receivers
            assert said == []
            self.engine.commit(self.now)
            assert said == [receivers]

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        assert not self.engine.sweep(self.now)

    @invariant()
    def what_arrived_is_a_part_of_what_was_promised(self) -> None:
        for client in getattr(self, "clients", {}).values():
            assert client.arrived == client.expected[: len(client.arrived)]

    def teardown(self) -> None:
        """In the end everybody reads: nothing that was promised is missing."""
        for client in getattr(self, "clients", {}).values():
            if client.state is None:
                self.connect(client)
            assert client.state is not None
            client.writable = True
            client.credit = 10_000
            client.state.credit(10_000)
            assert client.arrived == client.expected
        if hasattr(self, "clients"):
            shared = [number for client in self.clients.values() for number in client.shared]
            # A message with QoS 0 may be lost, but none comes twice.
            assert set(self.shared_sent) <= set(shared)
            assert max(Counter(shared).values(), default=1) == 1
            assert self.engine.statistics().stored == 0


TestEngine = EngineMachine.TestCase
TestEngine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

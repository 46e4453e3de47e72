"""The memory engine's own affairs: order and re-entrancy, sweeping in portions, groups."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import attrs
import pytest

from mqttd.broker.inflight import Flight, next_packet_id
from mqttd.broker.message import Message
from mqttd.broker.ports import EngineSession
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.will import Will
from mqttd.engine import memory
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions

NOW = 50.0
S = Subscription


@attrs.define(eq=False)
class Sink:
    """Records, and may do something of its own at each delivery."""

    state: EngineSession
    got: list[bytes] = attrs.Factory(list)
    groups: list[str | None] = attrs.Factory(list)
    reasons: list[str] = attrs.Factory(list)
    writable: bool = True
    then: Callable[[], None] | None = None

    def ready(self) -> bool:
        return self.writable

    def deliver(
        self, message: Message, qos: int, retain: bool, ids: tuple[int, ...], group: str | None
    ) -> None:
        self.got.append(message.payload)
        self.groups.append(group)
        if qos:
            number = next_packet_id(self.state.flight, 0)
            flight = Flight(number, message, qos, retain, ids, group)
            self.state.flight[number] = flight
            self.state.sending(flight)
        if self.then is not None:
            then, self.then = self.then, None
            then()

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)


def connect(
    engine: MemoryEngine,
    client_id: str,
    *subscriptions: Subscription,
    clean: bool = False,
    expiry: float = 1000.0,
    will: Will | None = None,
    credit: int = 100,
    writable: bool = True,
    now: float = NOW,
) -> Sink:
    sinks: list[Sink] = []

    def claimed(state: EngineSession) -> None:
        sinks.append(Sink(state, writable=writable))
        state.attach(sinks[0])
        state.credit(credit)

    engine.claim(client_id, clean_start=clean, expiry=expiry, will=will, now=now, done=claimed)
    engine.commit(now)
    sinks[0].state.subscribe(subscriptions, now, lambda new: None)
    engine.commit(now)
    return sinks[0]


def publish(
    engine: MemoryEngine,
    payload: bytes = b"m",
    topic: bytes = b"t",
    qos: int = 1,
    *,
    now: float = NOW,
    retain: bool = False,
    expires_at: float | None = None,
    publisher: str = "",
) -> int:
    return engine.publish(
        Message(topic, payload, qos, retain, expires_at=expires_at, publisher=publisher), now
    )


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine(EngineOptions(), Random(3))


# --- order and credit ----------------------------------------------------------------------


def test_a_delivery_that_publishes_does_not_overtake_what_waits(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 1), credit=0)
    for payload in (b"1", b"2"):
        publish(engine, payload)

    def meanwhile() -> None:
        publish(engine, b"3")
        publish(engine, b"q", qos=0)

    sink.then = meanwhile
    sink.state.credit(10)
    assert sink.got == [b"1", b"2", b"3", b"q"]
    publish(engine, b"4")
    assert sink.got[-1] == b"4"


def test_a_delivery_that_asks_for_credit_does_not_recurse(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 1), credit=0)
    for number in range(900):
        publish(engine, b"%d" % number)

    def again() -> None:
        sink.then = again
        sink.state.credit(1)

    again()
    assert [int(each) for each in sink.got] == list(range(900))


def test_a_delivery_that_raises_leaves_the_session_usable(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 1), credit=0)
    for payload in (b"1", b"2", b"3"):
        publish(engine, payload)

    def fail() -> None:
        raise LookupError

    sink.then = fail
    with pytest.raises(LookupError):
        sink.state.credit(10)
    sink.state.credit(10)
    publish(engine, b"4")
    assert sink.got == [b"1", b"2", b"3", b"4"]


def test_the_connection_may_end_in_the_middle_of_a_queue(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 1), credit=0)
    for payload in (b"1", b"2", b"3"):
        publish(engine, payload)
    sink.then = lambda: sink.state.detach(NOW, send_will=False)
    sink.state.credit(10)
    assert sink.got == [b"1"]
    assert connect(engine, "a").got == [b"2", b"3"]


def test_qos_0_passes_what_waits_for_credit_but_no_other_qos_0(engine: MemoryEngine) -> None:
    """[MQTT-4.6.0-5]: order is for each topic and QoS."""
    connect(engine, "a", S("t", 1)).state.detach(NOW, send_will=False)
    publish(engine, b"1")
    publish(engine, b"old", qos=0)
    sink = connect(engine, "a", credit=0, writable=False)
    publish(engine, b"new", qos=0)
    assert (sink.got, engine.dropped) == ([], 0)
    sink.writable = True
    publish(engine, b"newer", qos=0)
    assert sink.got == [b"old", b"new", b"newer"]
    publish(engine, b"2")
    publish(engine, b"at once", qos=0)
    assert sink.got[3:] == [b"at once"]
    sink.state.credit(5)
    assert sink.got[4:] == [b"1", b"2"]


def test_qos_0_of_a_subscription_that_asks_for_no_more(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 0), credit=0)
    publish(engine, b"1", qos=2)
    sink.writable = False
    publish(engine, b"2", qos=2)
    assert (sink.got, engine.dropped) == ([b"1"], 1)


def test_a_new_connection_begins_without_credit(engine: MemoryEngine) -> None:
    old = connect(engine, "a", S("t", 1), credit=7)
    new = connect(engine, "a", credit=0)
    publish(engine, b"1")
    assert (old.got, new.got, old.reasons) == ([], [], ["taken-over"])
    new.state.credit(1)
    assert new.got == [b"1"]


def test_messages_that_expire_in_the_queue_leave_the_way_free(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 1), credit=0)
    publish(engine, b"1", expires_at=NOW + 1)
    engine.commit(NOW + 2)
    sink.state.credit(2)
    publish(engine, b"2", now=NOW + 2)
    assert sink.got == [b"2"]


# --- No Local and Retain As Published ------------------------------------------------------


def test_retain_as_published_of_any_subscription_counts(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 1), S("#", 0, retain_as_published=True))
    plain = connect(engine, "b", S("t", 1))
    publish(engine, retain=True)
    publish(engine, retain=False)
    assert [flight.retain for flight in sink.state.flight.values()] == [True, False]
    assert [flight.retain for flight in plain.state.flight.values()] == [False, False]


def test_no_local_leaves_the_other_receivers_alone(engine: MemoryEngine) -> None:
    own = connect(engine, "a", S("t", 1, no_local=True))
    both = connect(engine, "b", S("t", 1, no_local=True), S("+", 1))
    assert publish(engine, publisher="a") == 1
    for publisher in "bbc":
        assert publish(engine, publisher=publisher) == 2
    assert (len(own.got), len(both.got)) == (3, 4)


# --- completions ---------------------------------------------------------------------------


def test_commit_in_a_completion_is_no_recursion(engine: MemoryEngine) -> None:
    order: list[int] = []

    def first() -> None:
        engine.later(lambda: order.append(3))
        engine.commit(NOW)
        order.append(1)

    engine.later(first)
    engine.later(lambda: order.append(2))
    engine.commit(NOW)
    assert order == [1, 2, 3]


def test_completions_outlive_the_connection(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 1), expiry=0)
    said: list[object] = []
    sink.state.store_inbound(1, Message(b"t", b"x", 2), NOW, said.append)
    sink.state.received(Flight(1, Message(b"t", b""), 2, False, (), None), lambda: said.append(0))
    sink.state.detach(NOW, send_will=False)
    sink.state.detach(NOW, send_will=True)
    engine.commit(NOW)
    assert said == [1, 0]


# --- sweeping ------------------------------------------------------------------------------


def test_a_sweep_does_a_portion_and_says_when_there_is_more(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_SWEEP_SESSIONS", 4)
    watcher = connect(engine, "watcher", S("w", 1))
    for number in range(5):
        will = Will(Message(b"w", b"%d" % number, 1), 10.0 + number)
        connect(engine, str(number), expiry=20.0, will=will).state.detach(NOW, send_will=True)
    results: list[bool] = []
    while not results or results[-1]:
        results.append(engine.sweep(NOW + 20))
    assert results == [True, True, False]
    assert watcher.got == [b"0", b"1", b"2", b"3", b"4"]
    assert (engine.statistics().sessions, engine.statistics().expired) == (1, 5)


def test_a_session_whose_time_has_passed_is_not_resumed_before_the_sweep(
    engine: MemoryEngine,
) -> None:
    connect(engine, "a", S("t", 1), expiry=10).state.detach(NOW, send_will=False)
    assert not connect(engine, "a", now=NOW + 10).state.present
    assert engine.statistics().expired == 1
    assert engine.statistics().subscriptions == 0


def test_the_sweep_forgets_messages_that_expired(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_SWEEP_MESSAGES", 6)
    for name in ("a", "b"):
        connect(engine, name, S("t", 1)).state.detach(NOW, send_will=False)
    for number in range(5):
        publish(engine, b"%d" % number, expires_at=NOW + 1 + number % 2 * 100)
        publish(engine, topic=b"r/%d" % number, retain=True, expires_at=NOW + 2)
    assert engine.statistics().stored == 15
    assert engine.statistics().stored_bytes == 15
    # Each of the queues is looked at no more often than is worth it.
    assert engine.sweep(NOW + 3) is False
    assert (engine.statistics().stored, engine.statistics().retained) == (10, 0)
    assert engine.sweep(NOW + 40) is True
    assert engine.statistics().stored == 7
    assert engine.sweep(NOW + 40) is True
    assert engine.sweep(NOW + 40) is False
    assert engine.statistics().stored == 4
    while engine.sweep(NOW + 200):
        pass
    assert engine.statistics().stored == 0


def test_one_client_that_comes_and_goes_leaves_one_deadline(engine: MemoryEngine) -> None:
    for number in range(2_000):
        connect(engine, "a", expiry=1e9 - number).state.detach(NOW, send_will=False)
    assert len(engine._deadlines._heap) < 100


# --- shared subscriptions ------------------------------------------------------------------


def test_who_is_connected_goes_before_who_is_away(engine: MemoryEngine) -> None:
    connect(engine, "a", S("t", 1, group="g")).state.detach(NOW, send_will=False)
    busy = connect(engine, "b", S("t", 1, group="g"), credit=0)
    for payload in (b"1", b"2"):
        publish(engine, payload)
    busy.state.credit(5)
    assert busy.got == [b"1", b"2"]


def test_when_every_queue_is_full_its_policy_decides() -> None:
    engine = MemoryEngine(EngineOptions(max_mqueue_len=1))
    sink = connect(engine, "a", S("t", 1, group="g"), credit=0)
    for payload in (b"1", b"2"):
        assert publish(engine, payload) == 1
    sink.state.credit(5)
    assert (sink.got, engine.dropped, sink.state.dropped) == ([b"2"], 1, 1)


@pytest.mark.parametrize("stored", [True, False])
def test_qos_0_for_a_group_that_is_away(stored: bool) -> None:
    engine = MemoryEngine(EngineOptions(mqueue_store_qos0=stored))
    connect(engine, "a", S("t", 1, group="g")).state.detach(NOW, send_will=False)
    assert publish(engine, qos=0) == 1
    assert engine.dropped == (0 if stored else 1)
    assert connect(engine, "a").got == [b"m"] * stored


def test_qos_0_for_a_group_that_does_not_read_is_dropped(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 1, group="g"))
    sink.writable = False
    publish(engine, qos=0)
    assert (sink.got, engine.dropped) == ([], 1)


def test_redelivery_keeps_order_and_passes_over_what_expired(engine: MemoryEngine) -> None:
    """[MQTT-4.8.2-5]: what was begun with QoS 2 goes to nobody else."""
    share = S("t", 2, group="g")
    first = connect(engine, "a", share, expiry=0, credit=3)
    publish(engine, b"begun 1")
    publish(engine, b"begun 2", qos=2)
    publish(engine, b"begun and expired", expires_at=NOW + 1)
    first.state.flight[9] = Flight(9, Message(b"t", b"own"), 1, False, (), None)
    publish(engine, b"waiting 1")
    publish(engine, b"waiting 2", qos=2)
    second = connect(engine, "b", share, S("u", 1))
    first.state.detach(NOW + 2, send_will=False)
    assert second.got == [b"begun 1", b"waiting 1", b"waiting 2"]
    assert second.groups == ["$share/g/t"] * 3


def test_without_another_member_the_messages_end_with_the_session(engine: MemoryEngine) -> None:
    sink = connect(engine, "a", S("t", 1, group="g", subscription_id=4), expiry=0, credit=1)
    publish(engine, b"1")
    publish(engine, b"2")
    sink.state.detach(NOW, send_will=False)
    assert engine.statistics().stored == 0
    assert engine.statistics().shared_subscriptions == 0

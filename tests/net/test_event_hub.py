"""Events reach those who want them, and nobody waits for a sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from mqttd.events import (
    EVENTS,
    AccessDenied,
    BrokerStarted,
    BrokerStopped,
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    Event,
    MessageDelivered,
    MessageDropped,
    MessagePublished,
    Subscribed,
    Unsubscribed,
)
from mqttd.identity import AccessRequest, Identity, Refused
from mqttd.net import event_hub
from mqttd.net.event_hub import EventHub, SinkLink
from mqttd.net.events import LoggedEvents
from mqttd.net.reported_events import ReportedEvents, ReportedMessages
from mqttd.packets.properties import Properties
from mqttd.testing import MemoryBroker

EVERYTHING = frozenset(EVENTS)


class Sink:
    """Keeps what it is told; ``answer`` is what it answers, or raises."""

    def __init__(self, answer: Callable[[], Any] = lambda: None) -> None:
        self.seen: list[Any] = []
        self.answer = answer

    def handle(self, event: Event) -> Any:
        self.seen.append(event)
        return self.answer()


def link(sink: Any, events: frozenset[str] = EVERYTHING, name: str = "theirs") -> SinkLink:
    return SinkLink(name, sink, events)


def event(number: float = 0.0) -> Event:
    return BrokerStarted(time=number, version="1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> EventHub:
    return EventHub(clock, now=lambda: 1_700_000_000.0)


def test_only_what_is_wanted_is_told(hub: EventHub, clock: Clock) -> None:
    assert hub.wanted == frozenset()
    sink, direct = Sink(), Sink()
    hub.use([link(sink, frozenset({"broker_stopped"}))])
    hub.add(frozenset({"broker_started"}), direct.handle)
    assert hub.wanted == {"broker_started", "broker_stopped"}
    hub.emit(event())
    hub.emit(BrokerStopped(time=1.0))
    assert [each.name for each in direct.seen] == ["broker_started"]
    assert sink.seen == []  # not within the call
    clock.advance(0)
    assert [each.name for each in sink.seen] == ["broker_stopped"]


def test_order_is_kept_and_a_turn_has_an_end(hub: EventHub, clock: Clock) -> None:
    sink = Sink()
    hub.use([link(sink)])
    for number in range(500):
        hub.emit(event(number))
    turns = []
    while clock.getDelayedCalls():
        call = clock.calls.pop()
        call.func(*call.args, **call.kw)
        turns.append(len(sink.seen))
    assert turns == [200, 400, 500]
    assert [each.time for each in sink.seen] == list(range(500))


def test_a_sink_that_answers_later_has_one_event_at_a_time(hub: EventHub, clock: Clock) -> None:
    answers: list[Deferred[None]] = []

    def later() -> Deferred[None]:
        answers.append(Deferred())
        return answers[-1]

    sink, other = Sink(later), Sink()
    hub.use([link(sink), link(other)])
    for number in range(3):
        hub.emit(event(number))
    clock.advance(0)
    assert (len(sink.seen), len(other.seen)) == (1, 3)
    answers[0].callback(None)
    clock.advance(0)
    assert len(sink.seen) == 2
    with capturedLogs() as logs:
        clock.advance(event_hub.TIME_LIMIT)  # it does not answer
        clock.advance(0)
    assert len(sink.seen) == 3
    assert logs[0]["name"] == "theirs"


async def _failing() -> None:
    raise ValueError("s3cret")


def _raising() -> None:
    raise ValueError("s3cret")


@pytest.mark.parametrize("answer", [_raising, _failing], ids=["at once", "coroutine"])
def test_a_sink_that_fails_is_named_and_goes_on(
    hub: EventHub, clock: Clock, answer: Callable[[], Any]
) -> None:
    sink = Sink(answer)
    hub.use([link(sink)])
    with capturedLogs() as logs:
        for number in range(50):
            hub.emit(event(number))
        clock.advance(0)
    assert len(sink.seen) == 50
    (line,) = logs
    assert line["name"] == "theirs"
    assert line["more"].startswith("ValueError")
    assert "s3cret" not in str(line)


def test_what_a_slow_sink_cannot_take_is_dropped_and_counted(
    hub: EventHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "MOST_WAITING", 10)
    hub.use([link(Sink())])
    with capturedLogs() as logs:
        for number in range(100):
            hub.emit(event(number))
    (line,) = logs
    assert "too slow" in line["what"]


def test_a_sink_that_stays_over_a_reload_misses_nothing(hub: EventHub, clock: Clock) -> None:
    stays, goes = Sink(), Sink()
    hub.use([link(stays), link(goes)])
    hub.emit(event(1))
    hub.use([link(stays)])
    hub.emit(event(2))
    clock.advance(0)
    assert [each.time for each in stays.seen] == [1, 2]
    assert goes.seen == []


def test_flushing_waits_but_not_for_ever(hub: EventHub, clock: Clock) -> None:
    sink = Sink()
    hub.use([link(sink), link(Sink(Deferred))])
    done: list[Any] = []
    hub.flushed(2.0).addCallback(done.append)
    assert done == [None]
    done.clear()
    hub.emit(event())
    hub.flushed(2.0).addCallback(done.append)
    clock.advance(0)
    assert len(sink.seen) == 1
    assert done == []
    clock.advance(2)
    assert done == [None]


@pytest.fixture
def told(hub: EventHub) -> list[Any]:
    seen: list[Any] = []
    hub.add(EVERYTHING, seen.append)
    return seen


@pytest.fixture
def broker(hub: EventHub) -> MemoryBroker:
    broker = MemoryBroker(max_mqueue_len=1)
    broker.core.events = ReportedEvents(LoggedEvents(), hub)
    broker.core.messages = messages = ReportedMessages(hub)
    broker.engine.lost = messages.dropped
    return broker


def test_a_client_from_beginning_to_end(broker: MemoryBroker, told: list[Any]) -> None:
    client = broker.connected("c", username="ann", password=b"s3cret")
    client.subscribe("a/#", qos=1)
    client.publish("a/b", b"payload", qos=1)
    client.unsubscribe("a/#", "none")
    client.disconnect()
    kinds = [type(each) for each in told]
    assert kinds == [
        ClientConnected,
        Subscribed,
        MessagePublished,
        MessageDelivered,
        Unsubscribed,
        ClientDisconnected,
    ]
    assert {(each.client_id, each.username) for each in told} == {("c", "ann")}
    assert {each.peer for each in told} == {("192.0.2.1", 1024)}
    assert (told[2].topic, told[2].qos, told[2].payload) == ("a/b", 1, b"payload")
    assert (told[3].publisher, told[3].qos) == ("c", 1)
    assert told[4].topic_filter == "a/#"
    assert "s3cret" not in repr(told)
    assert "payload" not in repr(told)


class _Refusing:
    def admit(self, request: Any, done: Callable[[Any], None]) -> None:
        done(Refused(0x87, "not here"))


def test_a_refused_client(hub: EventHub, told: list[Any]) -> None:
    broker = MemoryBroker(admission=_Refusing())
    broker.core.events = ReportedEvents(LoggedEvents(), hub)
    broker.client().connect(client_id="c", username="ann")
    (refused,) = told
    assert isinstance(refused, ClientRefused)
    assert (refused.reason_code, refused.reason) == (0x87, "not here")


def test_a_denied_client(hub: EventHub, broker: MemoryBroker, told: list[Any]) -> None:
    client = broker.connected("c")
    told.clear()
    request = AccessRequest(
        "publish", "a", 1, False, None, "c", Identity(), client.connection.peer
    )
    assert broker.core.events is not None
    broker.core.events.denied(client.connection, request, "rules")
    broker.core.events.withdrawn(client.connection, ["a/#"])
    assert isinstance(told[0], AccessDenied)
    assert (told[0].action, told[0].topic, told[0].source) == ("publish", "a", "rules")
    assert told[1].topic_filters == ("a/#",)


def test_dropped_messages(broker: MemoryBroker, told: list[Any]) -> None:
    lasting = Properties(session_expiry_interval=3600)
    away = broker.client(mountpoint="m/")
    away.connect(client_id="away", properties=lasting)
    away.subscribe("#", qos=1)
    away.drop()
    publisher = broker.connected("p")
    told.clear()
    for payload in (b"1", b"2"):
        publisher.publish("m/t", payload, qos=1)
    (dropped,) = [each for each in told if isinstance(each, MessageDropped)]
    assert (dropped.client_id, dropped.topic) == ("away", "m/t")
    assert dropped.reason == "the queue is full"


def test_nothing_is_made_for_nobody(broker: MemoryBroker, hub: EventHub) -> None:
    def emit(event: Event) -> None:
        raise AssertionError(f"{event} was made for nobody")

    hub.emit = emit  # type: ignore[method-assign]
    client = broker.connected("c")
    client.subscribe("a")
    client.publish("a", b"x")
    client.disconnect()


def test_payloads_that_wait_have_a_bound(
    hub: EventHub, clock: Clock, monkeypatch: pytest.MonkeyPatch, broker: MemoryBroker
) -> None:
    monkeypatch.setattr(event_hub, "MOST_BYTES", 100)
    sink = Sink()
    hub.use([link(sink, frozenset({"message_published"}))])
    client = broker.connected("c")
    with capturedLogs() as logs:
        for _ in range(2):
            for payload in (b"x" * 60, b"y" * 60, b"z" * 40, b""):
                client.publish("a", payload)
            clock.advance(0)
    assert [each["what"] for each in logs if "what" in each] == ["is too slow"]
    assert [each.payload[:1] for each in sink.seen] == [b"x", b"z", b""] * 2

"""What all connections share: turns, sweeps in slices, topics that were checked before."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.broker import broker as broker_module
from mqttd.broker.connection import Connection
from mqttd.broker.topics import check_topic_name
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.errors import TopicNameInvalid
from mqttd.packets.reason_codes import ReasonCode
from mqttd.testing import MemoryBroker


def test_a_sweep_works_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "_SWEEP_SLICE", 2)
    broker = MemoryBroker(idle_timeout=10.0)
    clients = [broker.client() for _ in range(5)]
    broker.clock.advance(10)
    assert broker.core.sweep(broker.now)
    assert sum(client.outlet.closed for client in clients) == 2
    assert broker.core.sweep(broker.now)
    assert not broker.core.sweep(broker.now)
    assert all(client.outlet.closed for client in clients)


def test_a_connection_that_cannot_be_swept_does_not_keep_the_others_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker_module, "_SWEEP_SLICE", 1)
    broker = MemoryBroker(idle_timeout=10.0)
    clients = [broker.client() for _ in range(3)]
    broken = clients[1].connection
    sweep = Connection.sweep

    def fail(self: Connection, now: float) -> None:
        if self is broken:
            raise RuntimeError("a bug")
        sweep(self, now)

    monkeypatch.setattr(Connection, "sweep", fail)
    broker.clock.advance(10)
    failures = 0
    for _ in range(3):
        try:
            broker.core.sweep(broker.now)
        except RuntimeError:
            failures += 1
    assert failures == 1
    assert [client.outlet.closed for client in clients] == [True, False, True]


def test_the_engine_may_ask_for_another_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = MemoryBroker()
    answers = iter([True, False])
    monkeypatch.setattr(broker.engine, "sweep", lambda now: next(answers))
    assert broker.core.sweep(broker.now)
    assert not broker.core.sweep(broker.now)


def test_topics_are_checked_once_and_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "_KNOWN_TOPICS", 3)
    asked: list[bytes] = []
    check = check_topic_name

    def counting(topic: bytes, max_levels: int) -> None:
        asked.append(topic)
        check(topic, max_levels)

    monkeypatch.setattr(broker_module, "check_topic_name", counting)
    core = MemoryBroker(max_topic_levels=2).core
    core.check_topic(b"a")
    core.check_topic(b"a")
    assert asked == [b"a"]
    for topic in (b"b", b"c", b"d", b"e"):
        core.check_topic(topic)
        assert len(core._known_topics) <= 3
    core.check_topic(b"x" * 257)
    core.check_topic(b"x" * 257)
    assert asked[-2:] == [b"x" * 257] * 2
    for bad in (b"a/+", b"a/b/c"):
        for _ in range(2):
            with pytest.raises(TopicNameInvalid):
                core.check_topic(bad)


def test_a_shutdown_tells_everybody_and_sends_no_client_away_twice() -> None:
    broker = MemoryBroker()
    five, four, nobody = broker.connected("five", 5), broker.connected("four", 4), broker.client()
    broker.core.shut_down(broker.now)
    assert five.take_one(Disconnect).reason_code == ReasonCode.SERVER_SHUTTING_DOWN
    assert four.take() == nobody.take() == []
    assert all(client.closed for client in (five, four, nobody))
    assert not broker.core.connections
    assert broker.core.clients == 0
    before: Any = list(broker.clients)
    broker.core.shut_down(broker.now)
    assert list(broker.clients) == before


def test_connections_leave_nothing_behind() -> None:
    broker = MemoryBroker()
    for number in range(20):
        client = broker.connected(f"c{number}")
        client.subscribe("t", "$share/g/t", qos=1)
        client.drop()
    assert not broker.core.connections
    assert not broker.core.starved
    statistics = broker.engine.statistics()
    assert (statistics.sessions, statistics.subscriptions) == (0, 0)

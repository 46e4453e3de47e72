"""One client that asks for a lot does not take the others' time."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.packets.encode import encode
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic

COST = 0.002
"""Seconds the source below takes for an answer: that of thousands of rules."""
MOST = 12
"""Answers in one turn: those of 20 milliseconds, and two more."""


class SlowSource:
    """Allows everything, and lets the broker's time go on by what it costs."""

    def __init__(self, world: Any) -> None:
        self.time = world.broker.now
        self.asked = 0
        world.broker.core.wake = lambda: self.time

    def authorize(self, _: object) -> bool:
        self.time += COST
        self.asked += 1
        return True


@pytest.fixture
def slow(world: Any) -> SlowSource:
    source = SlowSource(world)
    world.rules(source)
    return source


def turns(world: Any, source: SlowSource) -> list[int]:
    """What was asked in each turn until nothing is left to do."""
    core, counts = world.broker.core, []
    while core.unfinished:
        before = source.asked
        core.commit(source.time)
        counts.append(source.asked - before)
    return counts


def packet(*filters: str) -> bytes:
    topics = [SubscribeTopic(each, 0) for each in filters]
    return encode(Subscribe(1, topics, None), 5)


def test_many_filters_are_judged_over_turns(world: Any, slow: SlowSource) -> None:
    client = world.connected("c")
    client.connection.receive(packet(*(f"a/{number}" for number in range(100))), slow.time)
    assert 0 < slow.asked <= MOST
    counts = turns(world, slow)
    assert max(counts) <= MOST
    assert slow.asked == 100
    world.broker.turn()
    assert client.take_one(Suback).reason_codes == [0] * 100
    assert len(world.filters(client)) == 100


def test_many_packets_are_handled_over_turns(world: Any, slow: SlowSource) -> None:
    client, other = world.connected("c"), world.connected("d")
    packets = [encode(Publish(b"a/%d" % each, b"", 0, False, False, 0), 5) for each in range(100)]
    client.connection.receive(b"".join(packets), slow.time)
    assert 0 < slow.asked <= 2 * MOST
    assert client.outlet.paused
    client.connection.sweep(slow.time + 1_000)  # it waits for us, not we for it
    before = slow.asked
    other.connection.receive(packet("b"), slow.time)  # its turn comes all the same
    assert slow.asked == before + 1
    assert max(turns(world, slow)) <= 2 * MOST
    assert slow.asked == 101
    assert not client.outlet.paused
    assert not client.closed


def test_what_a_session_holds_is_judged_over_turns(world: Any, slow: SlowSource) -> None:
    kept = Properties(session_expiry_interval=1000)
    client = world.connected("c", clean_start=False, properties=kept)
    filters = [f"a/{number}" for number in range(100)]
    client.connection.receive(packet(*filters), slow.time)
    turns(world, slow)
    world.broker.turn()
    client.drop()
    slow.asked = 0
    again = world.broker.client()
    again.connect(client_id="c", clean_start=False, properties=kept)
    assert slow.asked == 100
    assert again.connack.session_present


def test_a_client_that_leaves_is_not_asked_about_further(world: Any, slow: SlowSource) -> None:
    client = world.connected("c")
    client.connection.receive(packet(*(f"a/{number}" for number in range(100))), slow.time)
    client.drop()
    asked = slow.asked
    assert sum(turns(world, slow)) == 0
    assert slow.asked == asked


def test_an_error_in_work_that_was_put_off_ends_its_client_only(world: Any) -> None:
    client, other = world.connected("c"), world.connected("d")

    def fail() -> None:
        raise RuntimeError

    world.broker.core.put_off(client.connection, fail)
    with pytest.raises(RuntimeError):
        world.broker.turn()
    world.broker.turn()
    assert client.closed
    assert not other.closed

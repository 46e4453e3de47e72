"""The memory engine's own affairs: its cache, its bounds, and what operators ask of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from mqttd.broker.message import Message
from mqttd.broker.ports import EngineSession
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.will import Will
from mqttd.engine import plan

S = Subscription


# --- the cache of plans --------------------------------------------------------------------


def test_a_change_of_subscriptions_is_seen_by_the_next_message(world: Any) -> None:
    first = world.client("a", S("t", 1))
    world.publish("t")
    second = world.client("b", S("+", 1), S("t", 1, group="g"))
    world.publish("t")
    first.state.unsubscribe(["t"], lambda existed: None)
    second.state.unsubscribe(["$share/g/t"], lambda existed: None)
    world.publish("t")
    assert (len(first.payloads), len(second.payloads)) == (2, 3)


def test_a_plain_filter_forgets_its_own_topic_only(world: Any) -> None:
    sink = world.client("a", S("t", 1), S("u", 1))
    world.publish("t")
    world.publish("u")
    sink.state.unsubscribe(["t", "$share/x/y"], lambda existed: None)
    assert list(world.engine._planned) == [b"u"]
    assert world.engine._plans._weight == 1
    world.client("b", S("#", 1))
    assert not world.engine._planned


def test_members_that_join_a_group_forget_no_plans(world: Any) -> None:
    world.client("a", S("#", 1, group="g"))
    world.publish("t")
    world.client("b", S("#", 1, group="g"))
    assert list(world.engine._planned) == [b"t"]


def test_a_group_without_members_is_no_receiver(world: Any) -> None:
    sink = world.client("a", S("t", 1, group="g"), S("#", 1, group="g"))
    assert world.publish("t") == 2
    sink.state.unsubscribe(["$share/g/t"], lambda existed: None)
    assert world.publish("t") == 1
    sink.state.unsubscribe(["$share/g/#"], lambda existed: None)
    assert world.publish("t") == 0
    assert world.engine.statistics().dropped == 0


def test_the_cache_is_bounded(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "CACHED_TOPICS", 3)
    monkeypatch.setattr(plan, "CACHED_RECEIVERS", 40)
    for number in range(7):
        world.client(str(number), S("#", 0))
    for number in range(50):
        assert world.publish(str(number)) == 7
        assert len(world.engine._planned) <= 3
        assert world.engine._plans._weight == 7 * len(world.engine._planned) <= 40
    # Merged options belong to one plan alone and count for more.
    world.client("0", S("t/#", 0), clean_start=False)
    world.publish("t/1")
    world.publish("t/2")
    assert list(world.engine._planned) == [b"t/2"]
    for number in range(40):
        world.client(f"n{number}", S("n", 0))
    assert world.publish("n") == 47
    assert b"n" not in world.engine._planned


def test_long_names_are_not_cached(world: Any) -> None:
    sink = world.client("a", S("#", 1))
    world.publish("t" * 257)
    assert sink.payloads == [b"m"]
    assert not world.engine._planned


# --- bounds --------------------------------------------------------------------------------


def test_beyond_max_sessions_the_one_away_longest_ends(make_world: Callable[..., Any]) -> None:
    world = make_world(max_sessions=3)
    for name in "abc":
        world.client(name)
    world.client("d")
    assert world.engine.statistics().sessions == 4  # connected ones are never ended for another
    names = [info.client_id for info in world.engine.sessions()]
    for name in "ba":
        world.client(name, clean_start=False).state.detach(world.now, send_will=False)
    world.client("e")
    assert names == ["a", "b", "c", "d"]
    assert [info.client_id for info in world.engine.sessions()] == ["a", "c", "d", "e"]


def test_a_message_too_large_to_retain_is_delivered_all_the_same(
    make_world: Callable[..., Any],
) -> None:
    world = make_world(max_retained_messages=1, max_retained_bytes=5)
    sink = world.client("a", S("#", 1))
    world.publish("t", b"ok", retain=True)
    world.publish("u", b"second", retain=True)
    world.publish("t", b"too large", retain=True)
    assert sink.payloads == [b"ok", b"second", b"too large"]
    assert world.engine.statistics().retained == 0


# --- wills and operators -------------------------------------------------------------------


def test_a_will_can_be_replaced_and_cleared(world: Any) -> None:
    watcher = world.client("watcher", S("w", 1))
    sink = world.client("a", will=Will(Message(b"w", b"1", 1)))
    sink.state.update(will=Will(Message(b"w", b"2", 1)))
    sink.state.detach(world.now, send_will=True)
    sink = world.client("a", clean_start=False, will=Will(Message(b"w", b"3", 1)))
    sink.state.update(will=None)
    sink.state.update(expiry=math.inf)
    sink.state.detach(world.now, send_will=True)
    world.engine.sweep(1e12)
    assert watcher.payloads == [b"2"]
    assert world.engine.statistics().sessions == 2


def test_a_will_that_was_cancelled_stays_so(world: Any) -> None:
    """The client came back before the delay, and then took its leave. [MQTT-3.1.2-10]."""
    watcher = world.client("watcher", S("w", 1))
    late = Will(Message(b"w", b"gone", 1), 5.0)
    world.client("a", will=late).state.detach(world.now, send_will=True)
    again = world.client("a", clean_start=False)
    again.state.detach(world.now, send_will=False)
    world.advance(1e9)
    world.client("a", clean_start=True)
    assert watcher.payloads == []


def test_a_claim_that_was_never_attached_can_be_taken_over(world: Any) -> None:
    watcher = world.client("watcher", S("w", 1))
    will = Will(Message(b"w", b"gone", 1))
    states: list[EngineSession] = []
    world.engine.claim(
        "a", clean_start=True, expiry=9, will=will, now=world.now, done=states.append
    )
    world.engine.commit(world.now)
    assert world.client("a", clean_start=False).state is states[0]
    assert watcher.payloads == [b"gone"]


def test_kicking_ends_the_connection_not_the_session(world: Any) -> None:
    watcher = world.client("watcher", S("w", 1))
    sink = world.client("a", S("t", 1), will=Will(Message(b"w", b"gone", 1)))
    assert world.engine.kick("a", world.now)
    assert (sink.reasons, watcher.payloads) == (["kicked"], [b"gone"])
    assert not world.engine.kick("a", world.now)
    assert not world.engine.kick("unknown", world.now)
    world.publish("t")
    assert world.client("a", clean_start=False).payloads == [b"m"]


def test_kicking_who_is_not_attached_yet(world: Any) -> None:
    world.engine.claim(
        "a", clean_start=True, expiry=0, will=None, now=world.now, done=lambda state: None
    )
    world.engine.commit(world.now)
    assert world.engine.kick("a", world.now)
    assert world.engine.statistics().sessions == 0


def test_forgetting_deletes_the_session(world: Any) -> None:
    sink = world.client("a", S("t", 1))
    world.client("b", S("t", 1)).state.detach(world.now, send_will=False)
    forgotten = [world.engine.forget(name, world.now) for name in "abc"]
    assert forgotten == [True, True, False]
    assert sink.reasons == ["kicked"]
    statistics = world.engine.statistics()
    assert (statistics.sessions, statistics.subscriptions, statistics.expired) == (0, 0, 0)
    assert not world.client("a", clean_start=False).state.present


def test_what_operators_see(world: Any) -> None:
    sink = world.client("a", S("t", 1), credit=1, expiry=30)
    for _ in range(3):
        world.publish("t")
    sink.state.store_inbound(5, Message(b"x", b"", 2), world.now, lambda count: None)
    [info] = world.engine.sessions()
    assert (info.client_id, info.connected) == ("a", True)
    assert (info.expiry, info.expires_at) == (30, math.inf)
    assert (info.subscriptions, info.waiting, info.inflight, info.awaiting_release) == (1, 2, 1, 1)
    sink.state.detach(world.now, send_will=False)
    [info] = world.engine.sessions()
    assert (info.connected, info.expires_at, info.dropped) == (False, world.now + 30, 0)
    statistics = world.engine.statistics()
    assert (statistics.connected, statistics.stored, statistics.stored_bytes) == (0, 2, 2)

"""Wills, Retained Messages and shared groups, as every engine keeps them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mqttd.broker.message import Message
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.will import Will

S = Subscription


def will(delay: float = 0, expiry: int | None = None, retain: bool = False) -> Will:
    return Will(Message(b"w", b"gone", 1, retain), delay, expiry)


@pytest.fixture
def watcher(world: Any) -> Any:
    """Sees every Will."""
    return world.client("watcher", S("w", 1))


def test_a_will_without_delay_is_published_at_once(world: Any, watcher: Any) -> None:
    world.client("c", will=will()).state.detach(world.now, send_will=True)
    assert watcher.payloads == [b"gone"]


def test_a_will_is_discarded_after_a_proper_goodbye(world: Any, watcher: Any) -> None:
    world.client("c", will=will(5)).state.detach(world.now, send_will=False)
    world.advance(100)
    assert watcher.payloads == []


def test_a_will_waits_for_its_delay(world: Any, watcher: Any) -> None:
    world.client("c", will=will(5)).state.detach(world.now, send_will=True)
    world.advance(4)
    assert watcher.payloads == []
    world.advance(1)
    assert watcher.payloads == [b"gone"]
    world.advance(100)
    assert watcher.payloads == [b"gone"]


@pytest.mark.parametrize("expiry", [0, 3])
def test_the_end_of_the_session_cuts_the_delay_short(
    world: Any, watcher: Any, expiry: float
) -> None:
    world.client("c", expiry=expiry, will=will(50)).state.detach(world.now, send_will=True)
    world.advance(expiry)
    assert watcher.payloads == [b"gone"]


def test_coming_back_before_the_delay_cancels_the_will(world: Any, watcher: Any) -> None:
    world.client("c", will=will(5)).state.detach(world.now, send_will=True)
    world.client("c", clean_start=False)
    world.advance(100)
    assert watcher.payloads == []


def test_a_clean_start_ends_the_session_and_so_publishes_the_will(
    world: Any, watcher: Any
) -> None:
    world.client("c", will=will(5)).state.detach(world.now, send_will=True)
    world.client("c", clean_start=True)
    assert watcher.payloads == [b"gone"]


@pytest.mark.parametrize(
    ("delay", "clean", "payloads"),
    [(0, False, [b"gone"]), (0, True, [b"gone"]), (5, False, []), (5, True, [b"gone"])],
)
def test_the_will_of_a_connection_that_is_taken_over(
    world: Any, watcher: Any, delay: float, clean: bool, payloads: list[bytes]
) -> None:
    world.client("c", will=will(delay))
    world.client("c", clean_start=clean)
    assert watcher.payloads == payloads


def test_the_expiry_of_a_will_begins_when_it_is_published(world: Any) -> None:
    world.client("watcher", S("w", 1)).state.detach(world.now, send_will=False)
    world.client("c", will=will(20, expiry=10)).state.detach(world.now, send_will=True)
    world.advance(20)
    world.advance(9)
    assert world.client("watcher", clean_start=False).payloads == [b"gone"]


def test_a_retained_will_is_kept(world: Any) -> None:
    world.client("c", will=will(retain=True)).state.detach(world.now, send_will=True)
    assert world.retained("w") == [b"gone"]


def test_retained_messages_are_replaced_removed_and_expire(world: Any) -> None:
    world.publish("a/1", b"old", retain=True)
    world.publish("a/1", b"new", retain=True)
    world.publish("a/2", b"short", retain=True, expires_at=world.now + 5)
    assert sorted(world.retained("a/+")) == [b"new", b"short"]
    assert world.engine.statistics().retained == 2
    world.advance(6)
    assert world.retained("#") == [b"new"]
    world.publish("a/1", b"", retain=True)
    assert world.retained("#") == []
    assert world.engine.statistics().retained == 0


def group(world: Any, count: int, qos: int = 1) -> list[Any]:
    return [world.client(f"m{number}", S("t", qos, group="g")) for number in range(count)]


@pytest.mark.parametrize("strategy", ["round_robin", "round_robin_per_group", "local", "random"])
def test_a_group_shares_fairly(make_world: Callable[..., Any], strategy: str) -> None:
    world = make_world(shared_subscription_strategy=strategy)
    members = group(world, 3)
    for _ in range(300):
        assert world.publish("t") == 1
    counts = [len(member.got) for member in members]
    assert sum(counts) == 300
    assert min(counts) >= (100 if strategy != "random" else 60)


@pytest.mark.parametrize(
    ("strategy", "members_used"), [("sticky", 1), ("hash_clientid", 1), ("hash_topic", 1)]
)
def test_a_strategy_that_stays_with_one_member(
    make_world: Callable[..., Any], strategy: str, members_used: int
) -> None:
    world = make_world(shared_subscription_strategy=strategy)
    members = group(world, 3)
    for _ in range(30):
        world.publish("t", publisher="p")
    assert Counter(bool(member.got) for member in members)[True] == members_used


def test_members_that_cannot_take_more_are_skipped(world: Any) -> None:
    slow, quick = group(world, 2)
    slow.state.credit(0)
    for _ in range(10):
        world.publish("t")
    assert (len(slow.got), len(quick.got)) == (0, 10)


def test_a_group_of_absent_members_queues(world: Any) -> None:
    [member] = group(world, 1)
    member.state.detach(world.now, send_will=False)
    world.publish("t", b"kept")
    assert world.client("m0", clean_start=False).payloads == [b"kept"]


@pytest.mark.parametrize(("qos", "again"), [(1, [b"m"]), (2, [])])
def test_what_an_ended_session_did_not_finish_goes_to_another_but_no_qos_2(
    world: Any, qos: int, again: list[bytes]
) -> None:
    """[MQTT-4.8.2-5]: a QoS 2 message that was begun is nobody else's."""
    first = world.client("m0", S("t", 2, group="g"), expiry=0)
    world.publish("t", qos=qos)
    second = world.client("m1", S("t", 2, group="g"))
    first.state.detach(world.now, send_will=False)
    assert second.payloads == again


def test_what_waited_for_an_ended_session_goes_to_another(world: Any) -> None:
    first = world.client("m0", S("t", 1, group="g"), expiry=0, credit=0)
    world.publish("t", b"waiting")
    second = world.client("m1", S("t", 1, group="g"))
    first.state.detach(world.now, send_will=False)
    assert second.payloads == [b"waiting"]


def test_infinite_expiry_never_ends(world: Any) -> None:
    world.client("c", S("t", 1), expiry=math.inf).state.detach(world.now, send_will=False)
    world.advance(1e9)
    assert world.publish("t") == 1

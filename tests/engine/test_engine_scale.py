"""Many subscriptions: linear to add and remove, and their memory comes back."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from mqttd.broker.message import Message
from mqttd.broker.subscriptions import Subscription
from mqttd.engine import plan

MANY = 100_000


def filters(first: int, last: int) -> list[str]:
    return [f"site/{n % 100}/device/{n}/+" for n in range(first, last)]


def calls(do: Callable[[], object]) -> int:
    """Function calls it takes; time would depend on the machine."""
    count = 0

    def see(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        do()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("group", [None, "g"])
def test_adding_and_removing_cost_the_same_however_many_there_are(
    world: Any, group: str | None
) -> None:
    client = world.client("greedy")
    state = client.state
    costs = []
    for first in (0, 5_000):
        subscriptions = [
            Subscription(each, 1, group=group) for each in filters(first, first + 100)
        ]
        keys = [each.key for each in subscriptions]
        added = calls(partial(state.subscribe, subscriptions, world.now, lambda new: None))
        removed = calls(partial(state.unsubscribe, keys, lambda existed: None))
        costs.append((added, removed))
        many = [Subscription(each, 1, group=group) for each in filters(200, 5_000)]
        state.subscribe(many, world.now, lambda new: None)
        world.turn()
    assert costs[1][0] <= costs[0][0]
    assert costs[1][1] <= costs[0][1] + 200  # the first time, branches are removed as well


def test_one_session_with_a_hundred_thousand_subscriptions(world: Any) -> None:
    client = world.client("greedy")
    world.publish("site/1/device/1/warm-up")
    gc.collect()
    tracemalloc.start()
    try:
        done: list[list[bool]] = []
        subscriptions = [Subscription(each, 1) for each in filters(0, MANY)]
        client.state.subscribe(subscriptions, world.now, done.append)
        world.turn()
        assert done == [[True] * MANY]
        assert world.engine.statistics().subscriptions == MANY
        full, _ = tracemalloc.get_traced_memory()
        assert full < MANY * 1200

        assert world.publish("site/7/device/99907/t") == 1
        assert client.payloads == [b"m"]

        del subscriptions
        client.state.unsubscribe(filters(0, MANY), done.append)
        world.turn()
        assert done.pop() == [True] * MANY
        done.clear()
        assert world.engine.statistics().subscriptions == 0
        assert world.publish("site/7/device/99907/t") == 0
        gc.collect()
        empty, _ = tracemalloc.get_traced_memory()
        # What is left is the table of the session's own dict.
        assert empty < full / 20
    finally:
        tracemalloc.stop()


def test_the_end_of_a_session_takes_its_subscriptions_along(world: Any) -> None:
    client = world.client("greedy", expiry=10.0)
    mixed = [Subscription(each, 1) for each in filters(0, 1000)]
    mixed += [Subscription(each, 1, group="g") for each in filters(0, 1000)]
    client.state.subscribe(mixed, world.now, lambda new: None)
    world.turn()
    statistics = world.engine.statistics()
    assert (statistics.subscriptions, statistics.shared_subscriptions) == (2000, 1000)
    client.state.detach(world.now, send_will=False)
    world.advance(10)
    statistics = world.engine.statistics()
    assert (statistics.subscriptions, statistics.shared_subscriptions) == (0, 0)
    assert not world.engine._tree._root.children


def test_many_groups_count_for_the_size_of_the_cache(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "CACHED_RECEIVERS", 100)
    world.client("a", *(Subscription("#", 0, group=str(number)) for number in range(30)))
    for number in range(10):
        assert world.publish(str(number)) == 30
        assert len(world.engine._planned) <= 3


def test_a_retained_message_keeps_one_copy_of_its_payload(world: Any) -> None:
    message = Message(b"t", b"payload", retain=True)
    message.encodings[(4, 0, 0, 0)] = (b"", b"payload")
    world.engine.publish(message, world.now)
    assert message.encodings == {}


@pytest.mark.parametrize("strategy", ["round_robin", "sticky"])
def test_ten_thousand_members_of_a_group(make_world: Callable[..., Any], strategy: str) -> None:
    world = make_world(shared_subscription_strategy=strategy)
    clients = [world.client(str(n), Subscription("t", 1, group="g")) for n in range(10_000)]
    for _ in range(10):
        assert world.publish("t") == 1
    assert sum(len(each.got) for each in clients) == 10

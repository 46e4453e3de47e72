"""The contract's finer rules: claims that wait, exchanges, flags and counts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mqttd.broker.inflight import Flight, Phase
from mqttd.broker.message import Message
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.will import Will


def will(payload: bytes = b"will", delay: float = 0.0) -> Will:
    return Will(Message(b"will", payload, 1), delay)


def claim(world: Any, client_id: str, got: list[Any], *, clean: bool, expiry: float = 60) -> None:
    """Ask, but do not end the turn."""
    world.engine.claim(
        client_id, clean_start=clean, expiry=expiry, will=None, now=world.now, done=got.append
    )


@pytest.mark.parametrize("expiry", [0, 60, math.inf])
@pytest.mark.parametrize("clean", [True, False])
def test_an_owner_that_leaves_before_the_next_claim_is_done(
    world: Any, clean: bool, expiry: float
) -> None:
    watcher = world.client("watcher", Subscription("will", 1))
    old = world.client("c", Subscription("t", 1), expiry=expiry, will=will())
    got: list[Any] = []
    claim(world, "c", got, clean=clean)
    old.state.detach(world.now, send_will=True)
    assert got == []
    world.turn()
    assert old.reasons == []  # it had left: nobody took anything from it
    assert len(got) == 1
    assert got[0].present is (not clean and expiry > 0)
    assert ("t" in got[0].subscriptions) is got[0].present
    assert watcher.payloads == [b"will"]
    world.advance(1000)
    assert world.engine.statistics().connected == 2, "the old deadline ended the new owner"


def test_a_delayed_will_and_a_claim_that_waits(world: Any) -> None:
    watcher = world.client("watcher", Subscription("will", 1))
    old = world.client("c", expiry=60, will=will(delay=5))
    got: list[Any] = []
    claim(world, "c", got, clean=False)
    old.state.detach(world.now, send_will=True)
    world.turn()
    world.advance(10)
    assert watcher.payloads == []
    assert got[0].present


@pytest.mark.parametrize("no_local", [False, True])
def test_the_will_of_a_taken_over_connection_reaches_its_own_session(
    world: Any, no_local: bool
) -> None:
    own = Will(Message(b"will", b"will", 1, publisher="c"))
    world.client("c", Subscription("will", 1, no_local=no_local), will=own)
    again = world.client("c", clean_start=False)
    assert again.payloads == ([] if no_local else [b"will"])


def test_the_message_of_a_qos_2_exchange_is_published_once(world: Any) -> None:
    receiver = world.client("receiver", Subscription("t", 2))
    sender = world.client("sender", clean_start=False)
    results: list[Any] = []
    message = Message(b"t", b"once", 2)
    sender.state.store_inbound(7, message, world.now, results.append)
    assert results == []
    world.turn()
    sender.state.store_inbound(7, message, world.now, results.append)
    world.turn()
    # Also when the client resends it on another connection.
    sender.state.detach(world.now, send_will=False)
    sender = world.client("sender", clean_start=False)
    assert sender.state.inbound == {7: world.now}
    sender.state.store_inbound(7, message, world.now, results.append)
    sender.state.release_inbound(7, results.append)
    sender.state.release_inbound(7, results.append)
    world.turn()
    assert results == [1, None, None, True, False]
    assert receiver.payloads == [b"once"]
    sender.state.store_inbound(7, Message(b"t", b"another", 2), world.now, results.append)
    world.turn()
    assert receiver.payloads == [b"once", b"another"]


def test_answers_of_every_kind_come_in_the_order_of_the_calls(world: Any) -> None:
    client = world.client("c")
    said: list[str] = []

    def say(what: str) -> Any:
        return lambda *_: said.append(what)

    flight = Flight(1, Message(b"t", b"", 2), 2, False, (), None)
    flight.phase = Phase.PUBCOMP
    client.state.store_inbound(1, Message(b"t", b"", 2), world.now, say("store"))
    client.state.received(flight, say("received"))
    world.engine.later(say("later"))
    client.state.subscribe([Subscription("t", 1)], world.now, say("subscribe"))
    world.engine.publish(Message(b"t", b"", 1), world.now, say("publish"))
    client.state.release_inbound(1, say("release"))
    client.state.unsubscribe(["t"], say("unsubscribe"))
    assert said == []
    world.turn()
    assert said == [
        "store",
        "received",
        "later",
        "subscribe",
        "publish",
        "release",
        "unsubscribe",
    ]


@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("group", [None, "g"])
def test_the_retain_flag_of_a_live_message(
    world: Any, retain: bool, as_published: bool, group: str | None
) -> None:
    subscription = Subscription("t", 1, group=group, retain_as_published=as_published)
    client = world.client("c", subscription)
    world.publish("t", retain=retain)
    assert client.got == [(b"m", 1, retain and as_published, ())]


def test_counts_after_each_change(world: Any) -> None:
    def counts() -> tuple[int, int, int, int]:
        statistics = world.engine.statistics()
        return (
            statistics.sessions,
            statistics.connected,
            statistics.subscriptions,
            statistics.shared_subscriptions,
        )

    one = world.client("one", Subscription("t", 0), Subscription("t", 0, group="g"), expiry=60)
    assert counts() == (1, 1, 2, 1)
    two = world.client("two", Subscription("t", 0, group="g"), expiry=0)
    assert counts() == (2, 2, 3, 2)
    again = [Subscription("t", 2), Subscription("t", 2), Subscription("t", 2, group="g")]
    new: list[list[bool]] = []
    one.state.subscribe(again, world.now, new.append)
    world.turn()
    assert new == [[False, False, False]]
    assert counts() == (2, 2, 3, 2)
    one.state.unsubscribe(["t", "t", "nothing"], new.append)
    world.turn()
    assert new[1] == [True, False, False]
    assert counts() == (2, 2, 2, 2)
    two.state.detach(world.now, send_will=True)
    assert counts() == (1, 1, 1, 1)
    one.state.detach(world.now, send_will=True)
    assert counts() == (1, 0, 1, 1)
    world.publish("t", b"12345")
    statistics = world.engine.statistics()
    assert (statistics.stored, statistics.stored_bytes) == (1, 5)
    world.client("one", expiry=60)  # with clean start
    assert counts() == (1, 1, 0, 0)
    assert world.engine.statistics().stored == 0
    assert world.engine.statistics().expired == 0


def test_an_identifier_is_told_for_each_overlap_and_once_for_a_group(world: Any) -> None:
    client = world.client(
        "c",
        Subscription("t/#", 1, subscription_id=1),
        Subscription("t/+", 2, subscription_id=2),
        Subscription("+/x", 0),
        Subscription("t/x", 1, group="g", subscription_id=9),
    )
    world.publish("t/x", qos=2)
    assert sorted((qos, sorted(ids)) for _, qos, _, ids in client.got) == [(1, [9]), (2, [1, 2])]

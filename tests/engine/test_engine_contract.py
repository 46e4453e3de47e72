"""What every engine promises: publishing, subscriptions, queues and claims."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from mqttd.broker.message import Message
from mqttd.broker.subscriptions import Subscription

S = Subscription


def test_completions_come_from_commit_and_in_order(world: Any) -> None:
    client = world.client("c")
    said: list[object] = []
    engine = world.engine
    engine.publish(Message(b"t", b"", 1), world.now, lambda count: said.append(("pub", count)))
    engine.later(lambda: said.append("later"))
    client.state.subscribe([S("t", 1)], world.now, said.append)
    client.state.store_inbound(7, Message(b"t", b"", 2), world.now, said.append)
    client.state.store_inbound(7, Message(b"t", b"", 2), world.now, said.append)
    client.state.release_inbound(7, said.append)
    client.state.release_inbound(7, said.append)
    client.state.unsubscribe(["t", "x"], said.append)
    assert said == []
    world.turn()
    assert said == [("pub", 0), "later", [True], 1, None, True, False, [True, False]]


def test_a_completion_may_ask_for_more_in_the_same_turn(world: Any) -> None:
    said: list[int] = []
    world.engine.later(lambda: world.engine.later(lambda: said.append(1)))
    world.turn()
    assert said == [1]


def test_a_completion_that_raises_keeps_the_others(world: Any) -> None:
    said: list[int] = []
    world.engine.later(lambda: 1 // 0)
    world.engine.later(lambda: said.append(1))
    with pytest.raises(ZeroDivisionError):
        world.turn()
    world.turn()
    assert said == [1]


def test_subscribing_again_replaces_and_says_so(world: Any) -> None:
    client = world.client("c", S("t", 0))
    new: list[list[bool]] = []
    client.state.subscribe([S("t", 2), S("u", 1)], world.now, new.append)
    world.turn()
    assert new == [[False, True]]
    world.publish("t", qos=2)
    assert [(each[1]) for each in client.got] == [2]
    assert world.engine.statistics().subscriptions == 2


def test_overlapping_subscriptions_give_one_message_with_every_identifier(world: Any) -> None:
    client = world.client(
        "c",
        S("t/#", 0, subscription_id=1),
        S("t/+", 2, subscription_id=2),
        S("t/x", 1, subscription_id=3, retain_as_published=True),
    )
    assert world.publish("t/x", qos=2, retain=True) == 1
    [(_, qos, retain, identifiers)] = client.got
    assert (qos, retain, sorted(identifiers)) == (2, True, [1, 2, 3])


def test_no_local_leaves_out_only_that_subscription(world: Any) -> None:
    client = world.client("c", S("t", 1, no_local=True, subscription_id=1))
    assert world.publish("t", publisher="c") == 0
    assert world.publish("t", publisher="d") == 1
    client.state.subscribe([S("#", 0, subscription_id=2)], world.now, lambda new: None)
    world.turn()
    client.got.clear()
    world.publish("t", publisher="c")
    assert client.got == [(b"m", 0, False, (2,))]


def test_credit_is_never_exceeded_and_order_is_kept(world: Any) -> None:
    client = world.client("c", S("t", 1), credit=2)
    for number in range(6):
        world.publish("t", bytes((number,)))
    assert client.payloads == [b"\0", b"\1"]
    client.state.credit(3)
    assert client.payloads == [bytes((number,)) for number in range(5)]
    world.publish("t", b"\6")
    client.state.credit(10)
    assert client.payloads[5:] == [b"\5", b"\6"]


def test_qos_0_to_a_sink_that_is_not_ready_is_dropped_and_counted(world: Any) -> None:
    client = world.client("c", S("t", 0))
    client.is_ready = False
    world.publish("t", qos=0)
    assert client.got == []
    assert world.engine.statistics().dropped == 1


@pytest.mark.parametrize(
    ("policy", "left"), [("oldest", [b"2", b"3", b"4"]), ("newest", [b"0", b"1", b"2"])]
)
def test_a_full_queue_drops_by_its_policy(
    make_world: Callable[..., Any], policy: str, left: list[bytes]
) -> None:
    world = make_world(max_mqueue_len=3, mqueue_drop_policy=policy)
    client = world.client("c", S("t", 1), credit=0)
    for number in range(5):
        world.publish("t", str(number).encode())
    assert client.state.dropped == 2
    assert world.engine.statistics().dropped == 2
    client.state.credit(10)
    assert client.payloads == left


def test_a_full_queue_drops_qos_0_first(make_world: Callable[..., Any]) -> None:
    world = make_world(max_mqueue_len=3)
    world.client("c", S("t", 1)).state.detach(world.now, send_will=False)
    for number, qos in enumerate((1, 0, 1, 1, 0)):
        world.publish("t", str(number).encode(), qos)
    client = world.client("c", clean_start=False)
    assert client.payloads == [b"0", b"2", b"3"]


@pytest.mark.parametrize(("kept", "payloads"), [(True, [b"0", b"1"]), (False, [b"1"])])
def test_qos_0_waits_for_an_absent_client_only_if_asked_to(
    make_world: Callable[..., Any], kept: bool, payloads: list[bytes]
) -> None:
    world = make_world(mqueue_store_qos0=kept)
    world.client("c", S("t", 1)).state.detach(world.now, send_will=False)
    world.publish("t", b"0", 0)
    world.publish("t", b"1", 1)
    assert world.client("c", clean_start=False).payloads == payloads


def test_what_expired_in_the_queue_is_not_delivered(world: Any) -> None:
    world.client("c", S("t", 1)).state.detach(world.now, send_will=False)
    world.publish("t", b"short", expires_at=world.now + 5)
    world.publish("t", b"long", expires_at=world.now + 50)
    world.advance(6)
    assert world.client("c", clean_start=False).payloads == [b"long"]


def test_unsubscribed_is_unsubscribed(world: Any) -> None:
    client = world.client("c", S("t", 1), S("t", 1, group="g"))
    client.state.unsubscribe(["t", "$share/g/t"], lambda existed: None)
    world.turn()
    assert world.publish("t") == 0
    statistics = world.engine.statistics()
    assert (statistics.subscriptions, statistics.shared_subscriptions) == (0, 0)


def test_a_takeover_tells_the_old_owner_once_and_first(world: Any) -> None:
    old = world.client("c", S("t", 1))
    seen: list[list[str]] = []
    world.engine.claim(
        "c",
        clean_start=False,
        expiry=10,
        will=None,
        now=world.now,
        done=lambda state: seen.append(list(old.reasons)),
    )
    assert old.reasons == []
    world.turn()
    assert seen == [["taken-over"]]
    world.publish("t")
    assert old.got == []


@pytest.mark.parametrize(("clean", "expiry", "present"), [
    (True, math.inf, False), (False, math.inf, True), (False, 0, False), (False, 100, True),
])  # fmt: skip
def test_present_says_whether_state_was_resumed(
    world: Any, clean: bool, expiry: float, present: bool
) -> None:
    first = world.client("c", S("t", 1), expiry=expiry)
    assert not first.state.present
    first.state.detach(world.now, send_will=False)
    again = world.client("c", clean_start=clean)
    assert again.state.present is present
    assert ("t" in again.state.subscriptions) is present


def test_claims_of_one_identifier_in_one_turn_queue_up(world: Any) -> None:
    order: list[str] = []
    sinks: list[Any] = []

    def claimed(name: str, state: Any) -> None:
        class Sink:
            def ready(self) -> bool:
                return True

            def deliver(self, *args: object) -> None:
                """Nothing comes."""

            def lost(self, reason: str) -> None:
                order.append(f"{name} {reason}")

        sinks.append(Sink())
        state.attach(sinks[-1])
        order.append(f"{name} has it")

    for name in ("first", "second"):
        world.engine.claim(
            "c",
            clean_start=True,
            expiry=9,
            will=None,
            now=world.now,
            done=lambda state, name=name: claimed(name, state),
        )
    world.turn()
    assert order == ["first has it", "first taken-over", "second has it"]


def test_a_session_ends_when_its_expiry_has_passed(world: Any) -> None:
    client = world.client("c", S("t", 1), expiry=10)
    client.state.detach(world.now, send_will=False)
    world.advance(9)
    assert world.publish("t") == 1
    world.advance(1)
    assert world.publish("t") == 0
    statistics = world.engine.statistics()
    assert (statistics.sessions, statistics.expired, statistics.subscriptions) == (0, 1, 0)


def test_a_client_that_came_back_is_not_expired_by_the_old_deadline(world: Any) -> None:
    world.client("c", expiry=10).state.detach(world.now, send_will=False)
    world.advance(5)
    world.client("c", expiry=10, clean_start=False)
    world.advance(100)
    assert world.engine.statistics().connected == 1


def test_churn_leaves_no_deadlines_behind(world: Any) -> None:
    """Each connection sets one; a client that comes and goes must not gather them."""
    for _ in range(5_000):
        world.client("c", expiry=1e6, clean_start=False).state.detach(world.now, send_will=False)
    assert len(world.engine._deadlines) < 2_000

"""Subscribing under rules, the Will, and Retained Messages."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.packets.connect import ConnectWill
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic

NOT_AUTHORIZED = ReasonCode.NOT_AUTHORIZED


@pytest.mark.parametrize("level", [3, 4, 5])
def test_each_filter_is_judged_by_itself(world: Any, source: Any, level: int) -> None:
    source.answers = {("subscribe", "a"): True, ("subscribe", "c/#"): True}
    world.rules(source)
    client = world.connected("c", level)
    suback = client.subscribe("a", "b", "c/#", qos=1)
    assert suback.reason_codes == [1, NOT_AUTHORIZED if level == 5 else 0x80, 1]
    assert world.filters(client) == {"a", "c/#"}
    [line] = world.lines("authorization_denied")
    assert "may not subscribe to b" in line


def test_invalid_filters_are_not_asked_about(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    client = world.connected("c")
    suback = client.subscribe("a/#/b", "ok")
    assert suback.reason_codes == [ReasonCode.TOPIC_FILTER_INVALID, 0]
    assert source.topics == ["subscribe ok"]


def test_a_denied_filter_takes_no_place(make_world: Any, source: Any) -> None:
    source.answers = {("subscribe", name): True for name in ("a", "b", "c")}
    world = make_world(max_subscriptions=2)
    world.rules(source)
    client = world.connected("c")
    suback = client.subscribe("a", "x", "a", "b", "c")
    assert suback.reason_codes == [0, NOT_AUTHORIZED, 0, 0, ReasonCode.QUOTA_EXCEEDED]


def test_a_shared_subscription_is_judged_by_its_filter(world: Any, source: Any) -> None:
    source.answers["subscribe", "a/#"] = True
    world.rules(source)
    client = world.connected("c")
    assert client.subscribe("$share/g/a/#", "$share/g/b").reason_codes == [0, NOT_AUTHORIZED]
    assert [(each.topic, each.group) for each in source.asked] == [("a/#", "g"), ("b", "g")]


def test_deny_action_disconnect(world: Any, source: Any) -> None:
    world.rules(source, disconnects=True)
    client = world.connected("c")
    client.send(Subscribe(1, [SubscribeTopic("a", 0)]))
    assert client.take_one(Disconnect).reason_code == NOT_AUTHORIZED
    assert client.closed


def test_filters_are_asked_about_one_after_the_other(world: Any, later: Any) -> None:
    world.rules(later)
    client = world.connected("c")
    client.send(
        Subscribe(1, [SubscribeTopic("a", 0), SubscribeTopic("b", 1), SubscribeTopic("c", 2)]),
        Subscribe(2, [SubscribeTopic("d", 0)]),
    )
    for answer in (True, False, None):
        assert len(later.waiting) == 1
        assert client.take() == []
        world.answer(later, answer)
    [first] = client.take_all(Suback)
    assert (first.packet_id, first.reason_codes) == (1, [0, NOT_AUTHORIZED, NOT_AUTHORIZED])
    world.answer(later, True)
    assert client.take_one(Suback).packet_id == 2
    assert world.filters(client) == {"a", "d"}


def test_a_client_that_goes_while_it_waits(world: Any, later: Any) -> None:
    world.rules(later)
    client = world.connected("c")
    client.send(Subscribe(1, [SubscribeTopic("a", 0), SubscribeTopic("b", 0)]))
    client.drop()
    world.answer(later)
    assert later.waiting == []


# --- the Will -----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [3, 4, 5])
def test_a_will_that_is_not_allowed_refuses_the_client(
    world: Any, source: Any, level: int
) -> None:
    source.answers["publish", "good"] = True
    world.rules(source)
    for topic, code in ((b"good", 0), (b"bad", NOT_AUTHORIZED if level == 5 else 5)):
        client = world.broker.client(level)
        connack = client.connect(client_id="c", will=ConnectWill(topic, b"x", 1, True))
        assert connack.reason_code == code
        assert client.closed is bool(code)
    request = source.asked[-1]
    assert (request.is_will, request.qos, request.retain) == (True, 1, True)
    assert "may not leave a Will for bad" in world.lines("authorization_denied")[0]


def test_the_answer_about_a_will_is_waited_for(world: Any, later: Any) -> None:
    world.rules(later)
    watcher = world.connected("boss")
    watcher.subscribe("#")
    client = world.broker.client()
    with pytest.raises(AssertionError, match="expected one Connack"):
        client.connect(client_id="c", will=ConnectWill(b"w", b"x"))
    client.publish("early")
    world.answer(later)
    world.answer(later)
    client.drop()
    assert [each.topic for each in watcher.take_all(Publish)] == [b"early", b"w"]


def test_no_answer_about_a_will(world: Any, source: Any) -> None:
    source.otherwise = RuntimeError("down")
    world.rules(source)
    connack = world.broker.client().connect(client_id="c", will=ConnectWill(b"w", b"x"))
    assert connack.reason_code == ReasonCode.SERVER_UNAVAILABLE


def test_a_client_that_goes_while_its_will_is_judged(world: Any, later: Any) -> None:
    world.rules(later)
    watcher = world.connected("boss")
    watcher.subscribe("#")
    client = world.broker.client()
    with pytest.raises(AssertionError):
        client.connect(client_id="c", will=ConnectWill(b"w", b"x"))
    client.drop()
    world.answer(later)
    assert watcher.take() == []
    assert world.broker.core.connections == {watcher.connection}


def test_the_will_is_judged_without_mountpoint(world: Any, source: Any) -> None:
    source.answers["publish", "w"] = True
    world.rules(source)
    watcher = world.connected("boss")
    watcher.subscribe("#")
    client = world.broker.client(mountpoint="tenant/")
    assert client.connect(client_id="c", will=ConnectWill(b"w", b"x")).reason_code == 0
    client.drop()
    assert watcher.take_one(Publish).topic == b"tenant/w"


# --- Retained Messages --------------------------------------------------------------------------


def _retain(world: Any, *topics: str, qos: int = 1) -> None:
    boss = world.connected("boss")
    for topic in topics:
        boss.publish(topic, b"x", qos, retain=True)
    boss.disconnect()


def test_of_retained_messages_only_those_come_that_are_allowed(world: Any, source: Any) -> None:
    _retain(world, "a/1", "a/2", "a/3")
    source.answers = {("subscribe", "a/+"): True, ("subscribe", "a/1"): True}
    source.answers["subscribe", "a/3"] = True
    world.rules(source)
    client = world.connected("c")
    assert client.subscribe("a/+", qos=1).reason_codes == [1]
    assert sorted(each.topic for each in client.take_all(Publish)) == [b"a/1", b"a/3"]
    assert world.lines("authorization_denied") == []


def test_a_filter_without_wildcards_was_asked_about_already(world: Any, source: Any) -> None:
    _retain(world, "a/1")
    source.answers["subscribe", "a/1"] = True
    world.rules(source)
    client = world.connected("c")
    client.subscribe("a/1")
    assert client.take_one(Publish)
    assert source.topics == ["subscribe a/1"]


def test_retained_messages_wait_for_their_answers(world: Any, later: Any, saying: Any) -> None:
    _retain(world, "a/1", "a/2", "a/3")
    world.rules(later)
    client = world.connected("c")
    client.send(Subscribe(1, [SubscribeTopic("a/#", 1)]))
    world.answer(later)
    assert client.take_one(Suback).reason_codes == [1]
    world.connected("boss").publish("a/live", b"x", 1)
    got = []
    for answer in (True, False, True):
        assert len(later.waiting) == 1
        denied = later.asked[-1].topic.encode()
        world.answer(later, answer)
        got += [each.topic for each in client.take_all(Publish)]
        assert (denied in got) is answer
    assert later.waiting == []
    assert got[-1] == b"a/live"
    assert len(got) == 3


def test_unsubscribed_while_an_answer_is_awaited(world: Any, later: Any) -> None:
    _retain(world, "a/1", "a/2")
    world.rules(later)
    client = world.connected("c")
    client.send(Subscribe(1, [SubscribeTopic("a/#", 1)]))
    world.answer(later)
    client.take()
    assert client.unsubscribe("a/#").reason_codes == [0]
    world.answer(later)
    assert client.take() == []
    assert later.waiting == []


def test_retained_messages_of_a_mountpoint(world: Any, source: Any) -> None:
    _retain(world, "tenant/a", "tenant", "other/a")
    source.answers = {("subscribe", "#"): True, ("subscribe", "a"): True}
    world.rules(source)
    client = world.broker.client(mountpoint="tenant/")
    client.connect(client_id="c")
    client.subscribe("#")
    assert client.take_one(Publish).topic == b"a"
    assert source.topics == ["subscribe #", "subscribe a"]


def test_retained_messages_leave_what_is_remembered_alone(world: Any, source: Any) -> None:
    _retain(world, *(f"a/{number}" for number in range(100)))
    source.otherwise = True
    world.rules(source)
    client = world.connected("c")
    client.publish("mine")
    client.subscribe("a/#", properties=Properties())
    assert len(client.take_all(Publish)) == 100
    source.asked.clear()
    client.publish("mine")
    assert source.asked == []


def test_messages_that_are_left_out_are_judged_over_several_turns(world: Any, source: Any) -> None:
    count = 1000
    _retain(world, *(f"a/{number}" for number in range(count)))
    source.answers = {("subscribe", "a/+"): True, ("subscribe", f"a/{count - 1}"): True}
    source.otherwise = False
    world.rules(source)
    client = world.connected("c")
    core = world.broker.core
    receive = client.connection.receive
    packet = encode(Subscribe(1, [SubscribeTopic("a/+", 0)]), 5)
    receive(packet, world.broker.now)
    turns, before = 0, len(source.asked)
    while turns < 2 or core.resting:
        core.commit(world.broker.now)
        assert len(source.asked) - before <= 201
        before = len(source.asked)
        turns += 1
    assert turns >= count // 200
    assert [each.topic for each in client.take() if isinstance(each, Publish)] == [b"a/999"]


def test_a_client_that_goes_between_two_turns(world: Any, source: Any) -> None:
    _retain(world, *(f"a/{number}" for number in range(1000)))
    source.answers = {("subscribe", "a/+"): True}
    source.otherwise = False
    world.rules(source)
    client = world.connected("c")
    packet = encode(Subscribe(1, [SubscribeTopic("a/+", 0)]), 5)
    client.connection.receive(packet, world.broker.now)
    world.broker.core.commit(world.broker.now)
    assert world.broker.core.resting
    client.drop()
    assert not world.broker.core.resting

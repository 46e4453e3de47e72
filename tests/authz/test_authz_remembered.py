"""Answers are remembered for a client: how long, how many, and which are not."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from mqttd.broker.authorization import PUBLISH_BITS
from mqttd.packets.acks import Puback
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode


def test_an_answer_counts_for_its_time(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source, remembered_for=60.0)
    client = world.connected("c")
    for _ in range(3):
        client.publish("a")
    assert source.topics == ["publish a"]
    world.broker.advance(59)
    client.publish("a")
    assert source.topics == []
    world.broker.advance(1)
    client.publish("a")
    assert source.topics == ["publish a"]


def test_a_denial_is_remembered_too_and_told_each_time(world: Any, source: Any) -> None:
    source.otherwise = False
    world.rules(source)
    client = world.connected("c")
    for _ in range(3):
        client.publish("a", b"", 1)
    assert {each.reason_code for each in client.take_all(Puback)} == {ReasonCode.NOT_AUTHORIZED}
    assert source.topics == ["publish a"]
    assert len(world.lines("authorization_denied")) == 3


def test_qos_and_retain_are_part_of_the_question(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    client = world.connected("c")
    for _ in range(2):
        for qos in (0, 1, 2):
            for retain in (False, True):
                client.publish("a", b"", qos, retain=retain)
    asked = [(each.qos, each.retain) for each in source.asked]
    assert asked == [(qos, retain) for qos in (0, 1, 2) for retain in (False, True)]


def test_publishing_and_subscribing_are_two_questions(world: Any, source: Any) -> None:
    source.answers["subscribe", "a"] = True
    world.rules(source)
    client = world.connected("c")
    client.subscribe("a")
    client.publish("a", b"", 1)
    assert client.take_one(Puback).reason_code == ReasonCode.NOT_AUTHORIZED


def test_what_one_client_may_do_says_nothing_of_another(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    for name in ("c", "d"):
        world.connected(name).publish("a")
    assert source.topics == ["publish a"] * 2


def test_no_more_topics_are_remembered_than_allowed(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source, remembered=2)
    client = world.connected("c")
    for topic in ("a", "b", "a", "c", "b", "a"):
        client.publish(topic)
    assert source.topics == ["publish a", "publish b", "publish c", "publish a"]


def test_long_topics_are_not_remembered(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    client = world.connected("c")
    client.publish("x" * 300)
    client.publish("x" * 300)
    assert len(source.asked) == 2


def test_without_cache_every_message_is_asked_about(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source, remembered=0)
    watcher = world.connected("boss")
    watcher.subscribe("a")
    client = world.connected("c")
    client.publish("a")
    client.publish("a")
    assert len(source.asked) == len(watcher.take_all(Publish)) == 2


def test_no_rules_cost_one_look(world: Any) -> None:
    world.rules(denies=False)
    assert world.connected("c").connection.permissions is None


@pytest.mark.parametrize(("qos", "retain"), [(0, False), (2, True)])
def test_a_remembered_answer_allocates_nothing(
    world: Any, source: Any, qos: int, retain: bool
) -> None:
    source.otherwise = True
    world.rules(source)
    client = world.connected("c")
    client.publish("a", b"", qos, retain=retain)
    permissions, topic = client.connection.permissions, b"a"

    def ask(count: int) -> bool:
        known = True
        for _ in range(count):
            known = permissions.knows(topic, PUBLISH_BITS[qos][retain])
        return known

    ask(10)
    before = sys.getallocatedblocks()
    known = ask(100)
    assert sys.getallocatedblocks() - before < 10
    assert known

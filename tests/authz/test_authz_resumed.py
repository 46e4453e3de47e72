"""Sessions of clients that were away: what they subscribed to is judged when they come back."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.packets.acks import Pubrec, Pubrel
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode

KEPT = Properties(session_expiry_interval=1000)


def _away(world: Any, *filters: str, level: int = 5) -> None:
    client = world.connected("c", level, clean_start=False, **_keeping(level))
    client.subscribe(*filters, qos=1)
    client.drop()


def _keeping(level: int) -> dict[str, Any]:
    return {"properties": KEPT} if level == 5 else {}


def _back(world: Any, level: int = 5) -> Any:
    client = world.broker.client(level)
    client.connect(client_id="c", clean_start=False, **_keeping(level))
    return client


@pytest.mark.parametrize("level", [4, 5])
def test_stored_subscriptions_are_judged_when_a_client_comes_back(
    world: Any, source: Any, level: int
) -> None:
    source.otherwise = True
    world.rules(source)
    _away(world, "a/#", "b", level=level)
    boss = world.connected("boss")
    boss.publish("a/1", b"x", 1)
    source.answers["subscribe", "a/#"] = False
    world.authorization.changed()
    boss.publish("a/2", b"x", 1)
    boss.publish("b", b"x", 1)
    client = _back(world, level)
    assert client.connack.session_present
    assert world.filters(client) == {"b"}
    assert [each.topic for each in client.take_all(Publish)] == [b"b"]
    assert "a/#" in world.lines("permissions_withdrawn")[0]


def test_what_was_in_flight_for_a_dropped_subscription_is_not_sent_again(
    world: Any, source: Any
) -> None:
    source.otherwise = True
    world.rules(source)
    boss = world.connected("boss")
    client = world.connected("c", clean_start=False, properties=KEPT)
    client.subscribe("a", "b", qos=2)
    for topic in ("a", "b", "a"):
        boss.publish(topic, b"x", 2)
    first = client.take_all(Publish)[0]
    client.send(Pubrec(first.packet_id))
    client.drop()
    source.answers["subscribe", "a"] = False
    client = _back(world)
    kinds = [type(each) for each in client.take()]
    assert kinds == [Pubrel, Publish]
    assert client.connection.session.state.flight.keys() == {first.packet_id, first.packet_id + 1}


def test_the_answer_about_stored_subscriptions_is_waited_for(
    world: Any, later: Any, saying: Any
) -> None:
    world.rules(saying(True))
    _away(world, "a", "b")
    boss = world.connected("boss")
    boss.publish("a", b"x", 1)
    world.rules(later)
    client = world.broker.client()
    with pytest.raises(AssertionError, match="expected one Connack"):
        client.connect(client_id="c", clean_start=False, properties=KEPT)
    boss.publish("a", b"y", 1)
    boss.publish("b", b"z", 1)
    assert client.take() == []
    world.answer(later, False)
    assert client.take() == []
    world.answer(later, True)
    connack, *messages = client.take()
    assert connack.session_present
    assert [each.topic for each in messages] == [b"b"]


def test_a_client_that_goes_while_its_subscriptions_are_judged(
    world: Any, later: Any, saying: Any
) -> None:
    world.rules(saying(True))
    _away(world, "a")
    world.rules(later)
    client = world.broker.client()
    with pytest.raises(AssertionError):
        client.connect(client_id="c", clean_start=False, properties=KEPT)
    client.drop()
    world.answer(later, False)
    world.rules(saying(True))
    assert world.filters(_back(world)) == {"a"}


def test_another_connect_ends_the_wait_of_the_first(world: Any, later: Any, saying: Any) -> None:
    world.rules(saying(True))
    _away(world, "a")
    world.rules(later)
    first = world.broker.client()
    with pytest.raises(AssertionError):
        first.connect(client_id="c", clean_start=False, properties=KEPT)
    second = world.broker.client()
    with pytest.raises(AssertionError):
        second.connect(client_id="c", clean_start=False, properties=KEPT)
    assert first.closed
    world.answer(later, False)
    assert not second.closed
    world.answer(later, True)
    assert second.take()[0].session_present
    assert world.filters(second) == {"a"}


def test_for_want_of_an_answer_a_client_comes_back_later(
    world: Any, source: Any, saying: Any
) -> None:
    world.rules(saying(True))
    _away(world, "a")
    source.otherwise = RuntimeError("down")
    world.rules(source)
    assert _back(world).connack.reason_code == ReasonCode.SERVER_UNAVAILABLE
    world.rules(saying(True))
    client = _back(world)
    assert client.connack.session_present
    assert world.filters(client) == {"a"}


def test_stored_subscriptions_may_take_longer_than_connecting_may(
    make_world: Any, later: Any, saying: Any
) -> None:
    world = make_world(idle_timeout=15.0)
    world.rules(saying(True))
    _away(world, "a", "b", "c")
    world.rules(later)
    client = world.broker.client()
    with pytest.raises(AssertionError):
        client.connect(client_id="c", clean_start=False, properties=KEPT)
    for _ in range(3):
        world.broker.advance(10)
        world.answer(later, True)
    assert client.take()[0].session_present
    assert world.filters(client) == {"a", "b", "c"}


def test_rules_that_change_while_stored_subscriptions_are_judged(
    world: Any, later: Any, saying: Any
) -> None:
    world.rules(saying(True))
    _away(world, "a", "b")
    world.rules(later)
    client = world.broker.client()
    with pytest.raises(AssertionError):
        client.connect(client_id="c", clean_start=False, properties=KEPT)
    world.answer(later, True)  # a is allowed, as things are
    world.authorization.changed()
    while later.waiting:
        topic = later.asked[-1].topic
        world.answer(later, topic == "b")
    assert client.take()[0].session_present
    assert world.filters(client) == {"b"}

"""Rules change while clients are there, or while they are away."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mqttd.authz.reviews import MOST_ASKED, RETRY, SLICE
from mqttd.broker.ports import EnhancedExchange
from mqttd.identity import AccessRule, Authenticated, Identity
from mqttd.packets.acks import Puback
from mqttd.packets.auth import Auth
from mqttd.packets.connect import ConnectWill
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic

NOT_AUTHORIZED = ReasonCode.NOT_AUTHORIZED


def _codes(client: Any) -> list[int]:
    return [each.reason_code for each in client.take_all(Puback)]


def test_what_was_remembered_is_forgotten(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    client = world.connected("c")
    client.publish("a", b"", 1)
    source.otherwise = False
    client.publish("a", b"", 1)
    world.authorization.changed()
    client.publish("a", b"", 1)
    fine = ReasonCode.NO_MATCHING_SUBSCRIBERS
    assert _codes(client) == [fine, fine, NOT_AUTHORIZED]


def test_rules_come_and_go_under_live_sessions(world: Any, saying: Any) -> None:
    world.rules(denies=False)
    client = world.connected("c")
    for rules, code in (((saying(False),), NOT_AUTHORIZED), ((), 0x10), ((saying(True),), 0x10)):
        world.rules(*rules, denies=bool(rules))
        client.publish("a", b"", 1)
        assert _codes(client) == [code]


def test_equal_rules_change_nothing(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source, key=("k", 1))
    client = world.connected("c")
    client.publish("a")
    world.rules(source, key=("k", 1))
    client.publish("a")
    assert len(source.asked) == 1
    world.rules(source, key=("k", 2))
    client.publish("a")
    assert len(source.asked) == 2


def test_subscriptions_no_longer_allowed_are_dropped(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    client, other, boss = (world.connected(each) for each in ("c", "d", "boss"))
    client.subscribe("a", "b/#", "$share/g/a")
    other.subscribe("a", "$share/g/a")
    boss.subscribe("a")
    source.answers["subscribe", "a"] = False
    world.authorization.changed()
    world.settle()
    assert world.filters(client) == {"b/#"}
    assert world.filters(other) == set()
    assert world.filters(boss) == {"a"}
    lines = world.lines("permissions_withdrawn")
    assert len(lines) == 2
    assert any(
        "Client c [192.0.2.1:1024] on memory:default is no longer allowed to subscribe to "
        "a, a: dropped." in line
        for line in lines
    )
    boss.publish("a", b"x", 1)
    assert client.take() == other.take() == []
    assert [type(each) for each in boss.take()] == [Publish, Puback]
    boss.publish("b/x")
    assert client.take_one(Publish)
    assert not client.closed


def test_what_waits_for_a_dropped_subscription_is_not_sent(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    client, boss = world.connected("c"), world.connected("boss")
    client.subscribe("a/#", "b", "a/kept", qos=1)
    client.writable = False
    for topic in ("a/1", "b", "a/kept", "a/2"):
        boss.publish(topic, b"x", 1)
    source.answers["subscribe", "a/#"] = False
    world.authorization.changed()
    world.settle()
    client.writable = True
    assert [each.topic for each in client.take_all(Publish)] == [b"b", b"a/kept"]


def test_retained_messages_of_a_dropped_subscription_are_not_sent(world: Any, later: Any) -> None:
    boss = world.connected("boss")
    boss.publish("a/1", b"x", retain=True)
    world.rules(later)
    client = world.connected("c")
    client.send(Subscribe(1, [SubscribeTopic("a/#", 0)]))
    world.answer(later)
    client.take()
    later.waiting.clear()
    world.authorization.changed()
    world.settle()
    world.answer(later, False)
    world.settle()
    assert world.filters(client) == set()
    assert client.take() == []


def test_a_will_no_longer_allowed_is_dropped(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    boss = world.connected("boss")
    boss.subscribe("#")
    clients = [world.connected(name, will=ConnectWill(name.encode(), b"x")) for name in ("c", "d")]
    source.answers["publish", "c"] = False
    world.authorization.changed()
    world.settle()
    for each in clients:
        each.drop()
    assert boss.take_one(Publish).topic == b"d"
    [line] = world.lines("permissions_withdrawn")
    assert "Client c" in line
    assert "its Will: dropped" in line


def test_a_question_that_rules_changed_under_is_asked_anew(world: Any, later: Any) -> None:
    world.rules(later)
    client = world.connected("c")
    client.publish("a", b"", 1)
    world.authorization.changed()
    world.answer(later, True)
    assert client.take() == [], "the answer is of rules that are no more"
    world.answer(later, False)
    assert _codes(client) == [NOT_AUTHORIZED]


def test_a_question_is_judged_by_the_new_sources(world: Any, later: Any, saying: Any) -> None:
    world.rules(later)
    client = world.connected("c")
    client.publish("a", b"", 1)
    world.rules(saying(False))
    world.answer(later, True)
    assert _codes(client) == [NOT_AUTHORIZED]


# --- many, and those nobody can answer about ----------------------------------------------------


def test_many_sessions_are_looked_at_in_slices(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    clients = [world.connected(f"c{number}") for number in range(3 * SLICE)]
    for client in clients:
        client.subscribe("a")
    source.asked.clear()
    source.otherwise = False
    world.authorization.changed()
    turns = 0
    while world.authorization.reviews.busy:
        before = len(source.asked)
        world.step()
        assert len(source.asked) - before <= SLICE
        turns += 1
    assert turns >= 3
    world.broker.turn()
    assert all(world.filters(client) == set() for client in clients)


def test_one_session_of_many_subscriptions_takes_several_slices(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    client = world.connected("c")
    client.subscribe(*(f"t/{number}" for number in range(3 * SLICE)))
    source.asked.clear()
    source.otherwise = False
    world.authorization.changed()
    while not source.asked:
        world.step()
    assert len(source.asked) <= SLICE
    assert len(world.filters(client)) == 3 * SLICE
    world.settle()
    assert world.filters(client) == set()
    assert len(world.lines("permissions_withdrawn")) == 1


def test_only_some_answers_are_awaited_at_a_time(world: Any, later: Any, saying: Any) -> None:
    world.rules(saying(True))
    clients = [world.connected(f"c{number}") for number in range(2 * MOST_ASKED)]
    for client in clients:
        client.subscribe("a")
    world.rules(later)
    world.settle()
    assert len(later.waiting) == MOST_ASKED
    for number in range(2 * MOST_ASKED):
        world.answer(later, number % 2 == 0)
        world.settle()
    kept = [client for client in clients if world.filters(client)]
    assert len(kept) == MOST_ASKED
    assert not world.authorization.reviews.busy


def test_for_want_of_an_answer_nothing_is_dropped(world: Any, source: Any) -> None:
    source.otherwise = True
    world.rules(source)
    client = world.connected("c")
    client.subscribe("a")
    source.otherwise = RuntimeError("down")
    world.authorization.changed()
    world.settle()
    assert world.filters(client) == {"a"}
    assert len(world.lines("review_undecided")) == 1
    source.otherwise = False
    world.broker.advance(RETRY + 1)
    world.settle()
    assert world.filters(client) == set()


def test_clients_that_go_meanwhile(world: Any, later: Any, saying: Any) -> None:
    world.rules(saying(True))
    client, other = world.connected("c"), world.connected("d")
    for each in (client, other):
        each.subscribe("a")
    world.rules(later)
    world.settle()
    client.drop()
    for _ in range(2):
        world.answer(later, False)
        world.settle()
    assert world.filters(other) == set()
    assert not world.authorization.reviews.busy


def test_changes_in_rows_end_with_the_last_rules(world: Any, later: Any, saying: Any) -> None:
    world.rules(saying(True))
    client = world.connected("c")
    client.subscribe("a")
    world.rules(later)
    world.settle()
    world.rules(saying(False))
    world.answer(later, True)
    world.settle()
    assert world.filters(client) == set()


def test_nothing_is_looked_at_once_stopped(world: Any, saying: Any) -> None:
    world.rules(saying(True))
    client = world.connected("c")
    client.subscribe("a")
    world.rules(saying(False))
    world.authorization.stop()
    world.settle()
    assert world.filters(client) == {"a"}
    assert world.clock.getDelayedCalls() == []


# --- another identity ---------------------------------------------------------------------------


class _Exchange:
    """Lets everybody in, at each step with the next identity."""

    def __init__(self, identities: list[Identity]) -> None:
        self._identities = identities

    def start(self, request: Any, data: bytes | None) -> EnhancedExchange:
        return self

    def step(self, data: bytes | None, done: Any) -> None:
        done(Authenticated(self._identities.pop(0)))


def test_who_authenticates_anew_has_the_rules_of_the_new_identity(make_world: Any) -> None:
    deny = AccessRule(False, "all", ("a",))
    identities = [Identity(is_superuser=True), Identity(rules=(deny,)), Identity()]
    world = make_world(enhanced={"m": _Exchange(identities)}).rules(denies=False)
    properties = Properties(authentication_method="m")
    client = world.connected("c", properties=properties)
    client.subscribe("a")
    client.publish("a", b"", 1)
    assert [type(each) for each in client.take()] == [Publish, Puback]
    client.send(Auth(ReasonCode.REAUTHENTICATE, properties))
    client.take_one(Auth)
    world.settle()
    assert world.filters(client) == set()
    client.publish("a", b"", 1)
    assert _codes(client) == [NOT_AUTHORIZED]
    client.send(Auth(ReasonCode.REAUTHENTICATE, properties))
    client.take_one(Auth)
    client.publish("a", b"", 1)
    assert _codes(client) == [ReasonCode.NO_MATCHING_SUBSCRIBERS]


def test_no_question_is_left_open(world: Any, later: Any) -> None:
    world.rules(later)
    client = world.connected("c")
    client.publish("a")
    chain = world.authorization.rules.chain
    assert chain.asked == 1
    first: Deferred[Any] = later.waiting[0]
    world.broker.advance(61)
    assert chain.asked == 0
    assert first.called


def test_a_question_that_the_client_became_another_under_is_asked_anew(
    make_world: Any, later: Any
) -> None:
    identities = [Identity(), Identity(rules=(AccessRule(False, "all", ("a/1",)),))]
    world = make_world(enhanced={"m": _Exchange(identities)})
    world.connected("boss").publish("a/1", b"x", retain=True)
    world.rules(later)
    properties = Properties(authentication_method="m")
    client = world.connected("c", properties=properties)
    client.send(Subscribe(1, [SubscribeTopic("a/#", 0)]))
    world.answer(later)
    client.take()
    client.send(Auth(ReasonCode.REAUTHENTICATE, properties))
    client.take_one(Auth)
    world.answer(later, True)
    assert client.take() == [], "the answer was about who it was before"


def test_what_is_subscribed_to_anew_meanwhile_stays(world: Any, later: Any, saying: Any) -> None:
    world.rules(saying(True))
    client = world.connected("c")
    client.subscribe("a", "b")
    world.rules(later)
    world.settle()
    world.answer(later, False)
    world.settle()
    client.send(Subscribe(9, [SubscribeTopic("a", 1)]))
    world.answer(later, True)  # b, by the look at the session
    world.answer(later, True)  # a, by SUBSCRIBE
    world.settle()
    assert world.filters(client) == {"a", "b"}


def test_rules_that_change_between_two_filters_of_a_subscribe(world: Any, later: Any) -> None:
    world.rules(later)
    client = world.connected("c")
    client.send(Subscribe(1, [SubscribeTopic("a", 0), SubscribeTopic("b", 0)]))
    world.answer(later, True)  # a is allowed, as things are
    world.authorization.changed()
    world.settle()
    while later.waiting:
        world.answer(later, later.asked[-1].topic == "b")
    assert client.take_one(Suback).reason_codes == [NOT_AUTHORIZED, 0]
    assert world.filters(client) == {"b"}

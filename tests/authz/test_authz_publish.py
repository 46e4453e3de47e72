"""Publishing under rules: allowed, denied, waited for, remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.identity import AccessRule, Identity
from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode

NOT_AUTHORIZED = ReasonCode.NOT_AUTHORIZED


@pytest.fixture
def watcher(world: Any, source: Any) -> Any:
    """A client that sees every message; rules come after it."""
    watcher = world.connected("boss")
    watcher.subscribe("#", qos=2)
    world.rules(source)
    return watcher


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_allowed_arrives(
    world: Any, source: Any, watcher: Any, level: int, qos: int
) -> None:
    source.answers["publish", "a"] = True
    client = world.connected("c", level)
    client.publish("a", b"x", qos)
    assert watcher.take_one(Publish).payload == b"x"
    if qos:
        assert client.take_one(Puback if qos == 1 else Pubrec).reason_code == 0


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_denied_is_dropped_and_said(
    world: Any, source: Any, watcher: Any, level: int, qos: int
) -> None:
    source.otherwise = False
    client = world.connected("c", level)
    packet_id = client.publish("a", b"x", qos)
    assert watcher.take() == []
    code = NOT_AUTHORIZED if level == 5 else 0
    if qos == 0:
        assert client.take() == []
    elif qos == 1:
        assert client.take_one(Puback) == Puback(packet_id, code)
    else:
        assert client.take_one(Pubrec) == Pubrec(packet_id, code)
    if qos == 2 and level < 5:  # it goes on as if it had been taken
        client.send(Pubrel(packet_id))
        assert client.take_one(Pubcomp) == Pubcomp(packet_id)
    assert not client.closed
    [line] = world.lines("authorization_denied")
    assert "client c [192.0.2.1:1024] on memory:default may not publish to a" in line
    assert "denied by source 0" in line


def test_what_no_source_speaks_of_is_up_to_no_match(world: Any, source: Any, watcher: Any) -> None:
    client = world.connected("c")
    client.publish("a", b"1", 1)
    assert client.take_one(Puback).reason_code == NOT_AUTHORIZED
    assert "authorization.no_match" in world.lines("authorization_denied")[0]
    world.rules(source, denies=False)
    client.publish("a", b"2", 1)
    assert client.take_one(Puback).reason_code == 0
    assert watcher.take_one(Publish).payload == b"2"


def test_the_first_source_that_speaks_decides(world: Any, saying: Callable[..., Any]) -> None:
    first, second, third = saying(None), saying(True), saying(False)
    world.rules(first, second, third)
    client = world.connected("c")
    client.publish("a", b"", 1)
    assert client.take_one(Puback).reason_code == ReasonCode.NO_MATCHING_SUBSCRIBERS
    assert (len(first.asked), len(second.asked), len(third.asked)) == (1, 1, 0)


def test_authorizers_see_who_wants_what(world: Any, source: Any, watcher: Any) -> None:
    world.names.identities["c"] = Identity(username="ann", attributes={"site": "x"})
    world.connected("c").publish("a/b", b"", 1, retain=True)
    [request] = source.asked
    assert (request.action, request.topic, request.qos, request.retain) == (
        "publish",
        "a/b",
        1,
        True,
    )
    assert (request.username, request.client_id) == ("ann", "c")
    assert request.identity.attributes == {"site": "x"}
    assert (request.is_will, request.group) == (False, None)
    assert request.peer.peer == ("192.0.2.1", 1024)


def test_a_superuser_is_not_asked_about(world: Any, source: Any) -> None:
    source.otherwise = False
    world.rules(source)
    boss = world.connected("boss")
    assert boss.subscribe("#").reason_codes == [0]
    boss.publish("a", b"x")
    assert boss.take_one(Publish).payload == b"x"
    assert source.asked == []


def test_rules_of_the_identity_come_first(world: Any, source: Any, watcher: Any) -> None:
    source.otherwise = True
    allow, deny = (
        AccessRule(each, "publish", (topic,)) for each, topic in ((True, "a"), (False, "b"))
    )
    world.names.identities["c"] = Identity(rules=(allow, deny))
    client = world.connected("c")
    for topic in ("a", "b", "c"):
        client.publish(topic)
    assert [each.topic for each in watcher.take_all(Publish)] == [b"a", b"c"]
    assert source.topics == ["publish c"]
    assert "the rules of the identity, rule 2" in world.lines("authorization_denied")[0]


def test_rules_of_the_identity_count_without_any_source(world: Any) -> None:
    world.rules(denies=False)
    world.names.identities["c"] = Identity(rules=(AccessRule(False, "publish", ("a",)),))
    client, other = world.connected("c"), world.connected("d")
    assert other.connection.permissions is None
    for each, code in ((client, NOT_AUTHORIZED), (other, ReasonCode.NO_MATCHING_SUBSCRIBERS)):
        each.publish("a", b"", 1)
        assert each.take_one(Puback).reason_code == code


@pytest.mark.parametrize("level", [4, 5])
def test_deny_action_disconnect(world: Any, source: Any, watcher: Any, level: int) -> None:
    world.rules(source, disconnects=True)
    client = world.connected("c", level)
    client.publish("a", b"", 1)
    assert client.closed
    if level == 5:
        assert client.take_one(Disconnect).reason_code == NOT_AUTHORIZED
    else:
        assert client.take() == []
    assert watcher.take() == []


def test_nobody_is_sent_away_for_want_of_an_answer(world: Any, source: Any) -> None:
    world.rules(source, disconnects=True)
    source.otherwise = RuntimeError("s3cret")
    client = world.connected("c")
    client.publish("a", b"", 1)
    assert client.take_one(Puback).reason_code == NOT_AUTHORIZED
    assert not client.closed


# --- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [RuntimeError("s3cret"), "yes", 1])
def test_a_source_that_fails_denies_and_is_named(
    world: Any, saying: Callable[..., Any], answer: Any
) -> None:
    failing, good = saying(answer), saying(True)
    world.rules(failing, good)
    client = world.connected("c")
    for _ in range(3):
        client.publish("a", b"", 1)
    assert {each.reason_code for each in client.take_all(Puback)} == {NOT_AUTHORIZED}
    assert len(failing.asked) == 3, "failures are not remembered"
    assert good.asked == []
    [line] = world.lines("authorizer_failed")
    assert "source 0" in line
    assert "s3cret" not in line
    assert "source 0, which failed" in world.lines("authorization_denied")[0]


@pytest.mark.parametrize("answer", [RuntimeError("s3cret"), "yes"])
def test_a_late_source_that_fails_denies(world: Any, later: Any, answer: Any) -> None:
    world.rules(later)
    client = world.connected("c")
    client.publish("a", b"", 1)
    world.answer(later, answer)
    assert client.take_one(Puback).reason_code == NOT_AUTHORIZED
    assert "s3cret" not in "".join(world.lines("authorizer_failed"))


def test_an_answer_that_does_not_come_denies(world: Any, later: Any) -> None:
    world.rules(later)
    client = world.connected("c", keep_alive=10)
    client.publish("a", b"", 1)
    world.broker.advance(59)
    assert not client.closed, "who is not read from cannot keep alive"
    assert client.take() == []
    world.broker.advance(2)
    assert client.take_one(Puback).reason_code == NOT_AUTHORIZED
    assert "did not answer in time" in world.lines("authorizer_failed")[0]


def test_lines_about_one_client_are_bounded(world: Any, source: Any) -> None:
    world.rules(source)
    client = world.connected("c")
    for number in range(100):
        client.publish(f"a/{number}")
    assert len(world.lines("authorization_denied")) == 5
    world.broker.advance(61)
    client.publish("b")
    assert "(95 more not shown)" in world.lines("authorization_denied")[0]


# --- answers that take time ---------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_nothing_overtakes_an_answer_that_is_awaited(world: Any, later: Any, qos: int) -> None:
    watcher = world.connected("boss")
    watcher.subscribe("#")
    world.rules(later)
    client = world.connected("c")
    client.send(
        Publish(b"a", b"1", qos, packet_id=1 if qos else 0),
        Publish(b"b", b"2"),
        Pingreq(),
        Publish(b"a", b"3", qos, packet_id=2 if qos else 0),
    )
    assert client.take() == watcher.take() == []
    assert client.outlet.paused
    world.answer(later)
    assert [each.payload for each in watcher.take_all(Publish)] == [b"1"]
    world.answer(later, False)
    assert [each.payload for each in watcher.take_all(Publish)] == [b"3"]
    assert not client.outlet.paused
    kind = {1: Puback, 2: Pubrec}.get(qos)
    answers = [type(each) for each in client.take()]
    assert answers == ([kind, Pingresp, kind] if kind else [Pingresp])


def test_while_one_waits_others_go_on(world: Any, later: Any) -> None:
    world.rules(later)
    waiting, other = world.connected("c"), world.connected("boss")
    waiting.publish("a", b"", 1)
    other.publish("a", b"", 1)
    assert waiting.take() == []
    assert other.take_one(Puback)


def test_a_message_without_answer_of_a_client_that_went_is_published_once(
    world: Any, later: Any
) -> None:
    watcher = world.connected("boss")
    watcher.subscribe("#")
    world.rules(later)
    client = world.connected("c")
    client.publish("a", b"x")
    client.drop()
    world.answer(later)
    assert watcher.take_one(Publish).payload == b"x"


@pytest.mark.parametrize("qos", [1, 2])
def test_what_a_client_that_went_will_send_again_is_published_once(
    world: Any, later: Any, qos: int
) -> None:
    watcher = world.connected("boss")
    watcher.subscribe("#")
    world.rules(later)
    keeps = {"properties": Properties(session_expiry_interval=100)}
    client = world.connected("c", **keeps)
    packet_id = client.publish("a", b"x", qos)
    client.drop()
    client = world.connected("c", clean_start=False, **keeps)
    client.send(Publish(b"a", b"x", qos, packet_id=packet_id, dup=True))
    world.answer(later)
    assert watcher.take() == []
    world.answer(later)
    assert watcher.take_one(Publish).payload == b"x"
    assert client.take_one(Puback if qos == 1 else Pubrec).packet_id == packet_id


def test_a_deferred_that_has_fired_is_an_answer_at_once(world: Any, saying: Any) -> None:
    class Ready:
        async def authorize(self, request: Any) -> bool | None:
            return None if request.topic == "b" else request.topic == "a"

    world.rules(Ready(), saying(False))
    client = world.connected("c")
    client.publish("a", b"", 1)
    client.publish("b", b"", 1)
    client.publish("c", b"", 1)
    codes = [each.reason_code for each in client.take_all(Puback)]
    assert codes == [ReasonCode.NO_MATCHING_SUBSCRIBERS, NOT_AUTHORIZED, NOT_AUTHORIZED]


def test_a_late_source_that_says_nothing_leaves_it_to_the_next(
    world: Any, later: Any, saying: Any
) -> None:
    world.rules(later, saying(True))
    client = world.connected("c")
    client.publish("a", b"", 1)
    world.answer(later, None)
    assert client.take_one(Puback).reason_code == ReasonCode.NO_MATCHING_SUBSCRIBERS


# --- what goes together with other features -----------------------------------------------------


def test_a_topic_alias_is_the_topic_it_stands_for(world: Any, source: Any, watcher: Any) -> None:
    source.answers["publish", "good"] = True
    client = world.connected("c")
    for topic, alias in ((b"good", 1), (b"bad", 2), (b"", 1), (b"", 2)):
        client.send(Publish(topic, b"x", properties=Properties(topic_alias=alias)))
    assert [each.topic for each in watcher.take_all(Publish)] == [b"good", b"good"]


def test_an_alias_set_while_an_answer_is_awaited_is_kept(world: Any, later: Any) -> None:
    watcher = world.connected("boss")
    watcher.subscribe("#")
    world.rules(later)
    client = world.connected("c")
    client.send(
        Publish(b"a", b"1", properties=Properties(topic_alias=1)),
        Publish(b"", b"2", properties=Properties(topic_alias=1)),
    )
    world.answer(later)
    assert [each.payload for each in watcher.take_all(Publish)] == [b"1", b"2"]


def test_a_response_topic_is_not_checked(world: Any, source: Any, watcher: Any) -> None:
    source.answers["publish", "a"] = True
    client = world.connected("c")
    client.send(Publish(b"a", b"x", properties=Properties(response_topic="elsewhere")))
    assert watcher.take_one(Publish).topic == b"a"
    assert source.topics == ["publish a"]


def test_rules_see_the_topic_without_mountpoint(world: Any, source: Any, watcher: Any) -> None:
    source.answers["publish", "a"] = True
    source.answers["subscribe", "a/#"] = source.answers["subscribe", "s"] = True
    client = world.broker.client(mountpoint="tenant/")
    client.connect(client_id="c")
    assert client.subscribe("a/#", "$share/g/s").reason_codes == [0, 0]
    client.publish("a", b"x")
    assert watcher.take_one(Publish).topic == b"tenant/a"
    assert client.take_one(Publish).topic == b"a"
    assert source.topics == ["subscribe a/#", "subscribe s", "publish a"]


def test_a_qos_2_message_sent_again_was_judged_the_first_time(
    world: Any, source: Any, watcher: Any
) -> None:
    source.otherwise = True
    client = world.connected("c")
    client.send(Publish(b"a", b"x", 2, packet_id=7))
    assert client.take_one(Pubrec).reason_code == 0
    source.otherwise = False
    world.authorization.changed()
    client.send(Publish(b"a", b"x", 2, packet_id=7, dup=True))
    assert client.take_one(Pubrec).reason_code == 0
    client.send(Pubrel(7))
    assert client.take_one(Pubcomp).reason_code == 0
    assert len(watcher.take_all(Publish)) == 1
    client.send(Publish(b"a", b"y", 2, packet_id=7))
    assert client.take_one(Pubrec).reason_code == NOT_AUTHORIZED


def test_a_denied_identifier_is_free_again(world: Any, source: Any, make_world: Any) -> None:
    world = make_world(max_inflight=1)
    world.rules(source)
    client = world.connected("c")
    for qos in (1, 2, 1, 2):
        client.publish("a", b"", qos)
    assert [each.reason_code for each in client.take()] == [NOT_AUTHORIZED] * 4
    assert not client.closed


def test_what_breaks_a_rule_of_mqtt_is_not_asked_about(world: Any, source: Any) -> None:
    world.rules(source)
    client = world.connected("c")
    client.publish("a/+")
    assert client.take_one(Disconnect).reason_code == ReasonCode.TOPIC_NAME_INVALID
    other = world.connected("d")
    other.publish("$SYS/x", b"", 1)
    assert other.take_one(Puback).reason_code == NOT_AUTHORIZED
    assert source.asked == []

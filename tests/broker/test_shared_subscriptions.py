"""Who of a shared group gets a message."""

from __future__ import annotations

from collections import Counter
from random import Random

import attrs
import pytest

from mqttd.broker.message import Message
from mqttd.broker.shared_subscriptions import (
    KEEPS,
    QUEUES,
    REFUSES,
    SENDS,
    STRATEGIES,
    SharedGroup,
)
from mqttd.broker.subscriptions import Subscription

FAITHFUL = ("sticky", "hash_clientid", "hash_topic")


@attrs.define(eq=False)
class FakeMember:
    name: str
    state: int = SENDS
    asked: list[int] = attrs.Factory(list)

    def readiness(self, qos: int) -> int:
        self.asked.append(qos)
        return self.state


def group_of(
    *states: int, strategy: str = "round_robin", qos: int = 1
) -> tuple[SharedGroup[FakeMember], list[FakeMember]]:
    group: SharedGroup[FakeMember] = SharedGroup("$share/g/t", strategy, Random(5))
    members = [FakeMember(str(number), state) for number, state in enumerate(states)]
    for member in members:
        group.add(member, Subscription("t", qos, group="g"))
    return group, members


def choose(
    group: SharedGroup[FakeMember], qos: int = 1, topic: bytes = b"t", by: str = "p"
) -> str:
    chosen = group.choose(Message(topic, b"", qos, publisher=by))
    return "-" if chosen is None else chosen[0].name


def test_an_empty_group_chooses_nobody() -> None:
    group, [member] = group_of(SENDS)
    group.remove(member)
    group.remove(member)
    assert len(group) == 0
    assert choose(group) == "-"


@pytest.mark.parametrize("strategy", ["round_robin", "round_robin_per_group", "local"])
def test_round_robin_takes_turns(strategy: str) -> None:
    group, _ = group_of(SENDS, SENDS, SENDS, strategy=strategy)
    assert "".join(choose(group) for _ in range(7)) == "0120120"


def test_random_reaches_everybody() -> None:
    group, _ = group_of(SENDS, SENDS, SENDS, strategy="random")
    counts = Counter(choose(group) for _ in range(300))
    assert min(counts[name] for name in "012") > 60


def test_hash_topic_and_hash_clientid_keep_to_one_member_each() -> None:
    group, _ = group_of(SENDS, SENDS, SENDS, strategy="hash_topic")
    by_topic = {
        number: {choose(group, topic=b"t/%d" % number, by=str(n)) for n in range(5)}
        for number in range(20)
    }
    assert all(len(names) == 1 for names in by_topic.values())
    assert set.union(*by_topic.values()) == {"0", "1", "2"}
    group, _ = group_of(SENDS, SENDS, SENDS, strategy="hash_clientid")
    by_client = {
        number: {choose(group, topic=b"t/%d" % n, by=str(number)) for n in range(5)}
        for number in range(20)
    }
    assert all(len(names) == 1 for names in by_client.values())
    assert set.union(*by_client.values()) == {"0", "1", "2"}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("states", "chosen"),
    [
        ((REFUSES, SENDS, REFUSES), "1"),
        ((KEEPS, KEEPS, SENDS), "2"),
        ((REFUSES, KEEPS, QUEUES), "2"),
        ((KEEPS, REFUSES, REFUSES), "0"),
    ],
)
def test_the_best_one_is_found_wherever_the_strategy_begins(
    strategy: str, states: tuple[int, ...], chosen: str
) -> None:
    group, _ = group_of(*states, strategy=strategy)
    assert {choose(group) for _ in range(6)} == {chosen}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_busy_member_is_passed_over_unless_the_strategy_is_faithful(strategy: str) -> None:
    group, members = group_of(SENDS, SENDS, strategy=strategy)
    first = choose(group)
    members[int(first)].state = QUEUES
    used = {choose(group) for _ in range(6)}
    assert used == ({first} if strategy in FAITHFUL else {"10"[int(first)]})


@pytest.mark.parametrize(("qos", "chosen"), [(0, "-"), (1, "0"), (2, "0")])
def test_when_all_refuse_a_promised_message_goes_to_where_the_turn_is(
    qos: int, chosen: str
) -> None:
    group, _ = group_of(REFUSES, REFUSES, qos=2)
    assert choose(group, qos) == chosen


def test_members_are_asked_with_the_qos_they_would_get() -> None:
    group, members = group_of(REFUSES, REFUSES, qos=1)
    group.add(members[1], Subscription("t", 0, group="g"))
    choose(group, 2)
    assert (members[0].asked, members[1].asked) == ([1], [0])


def test_new_options_replace_the_old_ones() -> None:
    group, [member] = group_of(SENDS)
    newer = Subscription("t", 2, group="g")
    group.add(member, newer)
    assert len(group) == 1
    assert group.choose(Message(b"t", b"", 1)) == (member, newer)


@pytest.mark.parametrize("leaving", range(4))
def test_round_robin_goes_on_when_somebody_leaves(leaving: int) -> None:
    group, members = group_of(SENDS, SENDS, SENDS, SENDS)
    assert [choose(group), choose(group)] == ["0", "1"]
    group.remove(members[leaving])
    rest = [name for name in "2301" if name != str(leaving)]
    assert [choose(group) for _ in rest] == rest


def test_sticky_stays_when_another_leaves_and_moves_on_when_its_own_does() -> None:
    group, members = group_of(SENDS, SENDS, SENDS, strategy="sticky")
    members[0].state = REFUSES
    assert choose(group) == "1"
    members[0].state = SENDS
    group.remove(members[0])
    assert [choose(group), choose(group)] == ["1", "1"]
    group.remove(members[1])
    assert [choose(group), choose(group)] == ["2", "2"]
    group.remove(members[2])
    group.add(members[0], Subscription("t", 1, group="g"))
    assert choose(group) == "0"


def test_a_member_that_comes_back_takes_its_turn() -> None:
    group, members = group_of(SENDS, SENDS, SENDS)
    assert choose(group) == "0"
    group.remove(members[0])
    group.add(members[0], Subscription("t", 1, group="g"))
    assert [choose(group) for _ in range(3)] == ["1", "2", "0"]

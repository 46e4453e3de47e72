"""Retained Messages: kept, replaced, found, expired, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mqttd.broker.message import Message
from mqttd.broker.retained import RetainedMessages
from mqttd.broker.topics import matches

LEVELS = st.sampled_from(["", "a", "b", "$a"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(LEVELS | st.just("+"), max_size=3), st.sampled_from(["#", "+", "", "a"]))
    .map(lambda parts: "/".join((*parts[0], parts[1])))
    .filter(bool)
)


def message(topic: str, payload: bytes = b"x", expires_at: float | None = None) -> Message:
    return Message(topic.encode(), payload, retain=True, expires_at=expires_at)


def payloads(retained: RetainedMessages, topic_filter: str, now: float = 0.0) -> list[bytes]:
    return sorted(each.payload for each in retained.match(topic_filter.encode(), now))


class RetainedMachine(RuleBasedStateMachine):
    """Keeps, removes and lets time pass, beside a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.retained = RetainedMessages(maximum=6, maximum_bytes=40)
        self.held: dict[str, Message] = {}
        self.now = 0.0

    @rule(topic=TOPICS, size=st.integers(1, 12), life=st.none() | st.integers(0, 3))
    def keep(self, topic: str, size: int, life: int | None) -> None:
        kept = message(topic, bytes(size), None if life is None else self.now + life)
        self.held.pop(topic, None)
        total = sum(len(each.topic) + len(each.payload) for each in self.held.values())
        fits = len(self.held) < 6 and total + len(topic) + size <= 40
        assert self.retained.keep(kept) is fits
        if fits:
            self.held[topic] = kept

    @rule(topic=TOPICS)
    def remove(self, topic: str) -> None:
        self.retained.remove(topic.encode())
        self.held.pop(topic, None)

    @rule(seconds=st.integers(0, 2))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        gone = [
            topic
            for topic, each in self.held.items()
            if each.expires_at is not None and each.expires_at <= self.now
        ]
        assert self.retained.remove_expired(self.now, 100) == len(gone)
        for topic in gone:
            del self.held[topic]

    @rule(topic_filter=FILTERS)
    def match(self, topic_filter: str) -> None:
        found = self.retained.match(topic_filter.encode(), self.now)
        alive = {
            topic: each
            for topic, each in self.held.items()
            if each.expires_at is None or each.expires_at > self.now
        }
        expected = [each for topic, each in alive.items() if matches(topic_filter, topic)]
        assert sorted(map(id, found)) == sorted(map(id, expected))
        # Those that matched and had expired are gone.
        for topic in list(self.held):
            if topic not in alive and matches(topic_filter, topic):
                del self.held[topic]

    @invariant()
    def counts_are_right(self) -> None:
        assert self.retained.count == len(self.held)
        assert self.retained.bytes == sum(len(each.payload) for each in self.held.values())
        if not self.held:
            assert not self.retained._root.children


TestRetained = RetainedMachine.TestCase


@given(st.lists(TOPICS, unique=True, max_size=8), FILTERS)
def test_a_filter_finds_what_it_matches(topics: list[str], topic_filter: str) -> None:
    retained = RetainedMessages()
    for topic in topics:
        retained.keep(message(topic, topic.encode()))
    expected = sorted(topic.encode() for topic in topics if matches(topic_filter, topic))
    assert payloads(retained, topic_filter) == expected


def test_the_newest_message_of_a_topic_is_kept() -> None:
    """[MQTT-3.3.1-5]."""
    retained = RetainedMessages()
    for payload in (b"old", b"newer"):
        assert retained.keep(message("a/b", payload))
    assert payloads(retained, "#") == [b"newer"]
    assert (retained.count, retained.bytes) == (1, 5)


@pytest.mark.parametrize("unknown", ["b", "a", "a/b/c", "a/x"])
def test_removing_what_is_not_there_changes_nothing(unknown: str) -> None:
    """[MQTT-3.3.1-6]."""
    retained = RetainedMessages()
    retained.keep(message("a/b"))
    retained.remove(unknown.encode())
    assert payloads(retained, "#") == [b"x"]


def test_beyond_the_maximum_only_known_topics_are_kept() -> None:
    retained = RetainedMessages(maximum=1)
    assert retained.keep(message("a"))
    assert not retained.keep(message("b"))
    assert retained.keep(message("a", b"y"))
    retained.remove(b"a")
    assert retained.keep(message("b"))


def test_a_message_that_does_not_fit_leaves_no_stale_one_behind() -> None:
    retained = RetainedMessages(maximum_bytes=10)
    assert retained.keep(message("a", b"old"))
    assert not retained.keep(message("a", bytes(10)))
    assert payloads(retained, "a") == []
    assert retained.keep(message("a", bytes(9)))


def test_a_message_without_expiry_takes_the_place_of_one_with() -> None:
    retained = RetainedMessages()
    retained.keep(message("a", b"short", 5.0))
    retained.keep(message("a", b"long"))
    assert retained.remove_expired(100.0, 10) == 0
    assert payloads(retained, "a", 100.0) == [b"long"]


def test_expired_ones_are_removed_in_portions() -> None:
    retained = RetainedMessages()
    for number in range(5):
        retained.keep(message(f"a/{number}", b"x", float(number)))
    assert [retained.remove_expired(3.0, 3) for _ in range(3)] == [3, 1, 0]
    assert retained.count == 1

"""The tree of Topic Filters, beside the plain meaning of matching."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mqttd.broker.topic_tree import TopicTree
from mqttd.broker.topics import matches

LEVELS = st.sampled_from(["", "a", "b", "$a"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=5).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(LEVELS | st.just("+"), max_size=4), st.sampled_from(["#", "+", "", "a"]))
    .map(lambda parts: "/".join((*parts[0], parts[1])))
    .filter(bool)
)


class TreeMachine(RuleBasedStateMachine):
    """Adds and removes; what matches must be what the plain rule says."""

    def __init__(self) -> None:
        super().__init__()
        self.tree: TopicTree[tuple[str, int, int]] = TopicTree()
        self.held: dict[tuple[str, int], tuple[str, int, int]] = {}
        self.number = 0

    @rule(topic_filter=FILTERS, key=st.integers(0, 2))
    def add(self, topic_filter: str, key: int) -> None:
        self.number += 1
        value = (topic_filter, key, self.number)
        assert self.tree.add(topic_filter, key, value) == self.held.get((topic_filter, key))
        self.held[topic_filter, key] = value

    @rule(topic_filter=FILTERS, key=st.integers(0, 2))
    def remove(self, topic_filter: str, key: int) -> None:
        self.tree.remove(topic_filter, key)
        self.held.pop((topic_filter, key), None)

    @rule(topic_filter=FILTERS, key=st.integers(0, 2))
    def get(self, topic_filter: str, key: int) -> None:
        assert self.tree.get(topic_filter, key) == self.held.get((topic_filter, key))

    @rule(topic=TOPICS)
    def match(self, topic: str) -> None:
        expected = [value for value in self.held.values() if matches(value[0], topic)]
        assert sorted(self.tree.match(topic)) == sorted(expected)

    @invariant()
    def an_empty_tree_holds_nothing(self) -> None:
        if not self.held:
            assert not self.tree._root.children


TestTree = TreeMachine.TestCase


@given(st.lists(FILTERS, unique=True, max_size=8), TOPICS)
def test_every_filter_that_matches_is_found_once(filters: list[str], topic: str) -> None:
    tree: TopicTree[str] = TopicTree()
    for each in filters:
        tree.add(each, 0, each)
    assert sorted(tree.match(topic)) == sorted(each for each in filters if matches(each, topic))


def test_a_filter_deeper_than_the_stack_is_no_trouble() -> None:
    depth = sys.getrecursionlimit() * 3
    topic = "/".join("a" * depth)
    tree: TopicTree[int] = TopicTree()
    for number, topic_filter in enumerate((topic, "/".join("+" * depth), "a/" * depth + "#")):
        tree.add(topic_filter, 0, number)
    assert sorted(tree.match(topic)) == [0, 1, 2]
    tree.remove(topic, 0)
    assert sorted(tree.match(topic)) == [1, 2]


def test_values_under_one_filter_are_told_apart() -> None:
    tree: TopicTree[str] = TopicTree()
    tree.add("a", "x", "1")
    tree.add("a", "y", "2")
    assert tree.match("a") == ["1", "2"]
    assert tree.add("a", "x", "3") == "1"
    tree.remove("a", "y")
    assert tree.match("a") == ["3"]


def test_a_branch_in_use_stays_when_its_neighbours_go() -> None:
    tree: TopicTree[int] = TopicTree()
    for number, topic_filter in enumerate(("a", "a/b", "a/b/c", "a/d")):
        tree.add(topic_filter, 0, number)
    tree.remove("a/b", 0)
    tree.remove("a/d", 0)
    tree.remove("a/x/y", 0)
    assert [tree.match(topic) for topic in ("a", "a/b", "a/b/c", "a/d")] == [[0], [], [2], []]

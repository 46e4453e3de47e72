"""Filters that cover or touch each other, against the plain meaning of matching."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.authz.filters import covers, levels_of, overlaps
from mqttd.broker.topics import matches

LEVEL = st.sampled_from(["", "a", "b", "$s", "+"])
FILTER = st.builds(
    lambda levels, deep: "/".join([*levels, "#"] if deep or not levels else levels),
    st.lists(LEVEL, max_size=3),
    st.booleans(),
).filter(bool)
# a level that no filter above names stands for all that a + may be
TOPICS = [
    "/".join(levels)
    for count in range(1, 5)
    for levels in itertools.product(["", "a", "b", "$s", "other", "$x"], repeat=count)
    if levels != ("",)
]
FEW = [topic for topic in TOPICS if topic.count("/") < 4]


@given(FILTER, FILTER)
def test_covering_is_matching_all_that_the_other_matches(one: str, other: str) -> None:
    plain = all(matches(one, topic) for topic in FEW if matches(other, topic))
    deep = other.endswith("#") and not one.endswith("#")  # also topics deeper than those above
    assert covers(levels_of(one), levels_of(other)) == (plain and not deep)


@given(FILTER, FILTER)
def test_overlapping_is_a_topic_that_both_match(one: str, other: str) -> None:
    plain = any(matches(one, topic) and matches(other, topic) for topic in ["", *FEW])
    assert overlaps(levels_of(one), levels_of(other)) == plain
    assert overlaps(levels_of(other), levels_of(one)) == plain


@pytest.mark.parametrize(
    ("topic_filter", "topic"),
    [
        ("#", "a"),
        ("+/#", "a"),
        ("a/#", "a"),
        ("a/#", "a/b/c"),
        ("+", ""),
        ("/+", "/a"),
        ("a", "a"),
    ],
)
def test_a_topic_is_covered_by_what_matches_it(topic_filter: str, topic: str) -> None:
    assert covers(levels_of(topic_filter), levels_of(topic))


@pytest.mark.parametrize(
    ("topic_filter", "asked"),
    [
        ("#", "$SYS/a"),
        ("+/a", "$SYS/a"),
        ("a/+", "a/#"),
        ("a/b", "a/+"),
        ("a/+", "a"),
        ("a", "a/#"),
        ("$SYS/#", "#"),
    ],
)
def test_what_is_not_covered(topic_filter: str, asked: str) -> None:
    assert not covers(levels_of(topic_filter), levels_of(asked))

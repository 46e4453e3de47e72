"""Topic Names, Topic Filters, ``$share`` and what matches what (4.7, 4.8.2)."""

from __future__ import annotations

import pytest

from mqttd.broker.topics import (
    check_topic_filter,
    check_topic_name,
    has_wildcard,
    matches,
    parse_shared,
)
from mqttd.packets.errors import MalformedPacket, TopicFilterInvalid, TopicNameInvalid

GOOD = ["a", "/", "//", "/a", "a/", "a b", "é/\ufeff", "$SYS/x", "a/$b", "a" * 65_535]


@pytest.mark.parametrize("topic", GOOD, ids=lambda topic: topic[:9])
def test_topic_names(topic: str) -> None:
    check_topic_name(topic.encode(), 128)
    check_topic_filter(topic, 128)


@pytest.mark.parametrize(
    ("topic", "error"),
    [
        (b"", TopicNameInvalid),
        (b"a/+", TopicNameInvalid),
        (b"a+", TopicNameInvalid),
        (b"#", TopicNameInvalid),
        (b"a\0b", MalformedPacket),
        (b"\xff", MalformedPacket),
        (b"\xed\xa0\x80", MalformedPacket),  # a surrogate
        (b"\xc0\xaf", MalformedPacket),  # an overlong slash
    ],
)
def test_what_is_no_topic_name(topic: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_topic_name(topic, 128)


@pytest.mark.parametrize("topic_filter", ["#", "+", "a/#", "+/#", "+/+", "/+/", "$SYS/#", "a/+/c"])
def test_filters_with_wildcards(topic_filter: str) -> None:
    check_topic_filter(topic_filter, 128)
    assert has_wildcard(topic_filter)


def test_a_plain_filter_has_no_wildcard() -> None:
    assert not has_wildcard("a/$b/c")


@pytest.mark.parametrize(
    "topic_filter", ["", "a#", "#/a", "a/#/", "##", "a+", "+a/b", "++", "a/b#"]
)
def test_what_is_no_topic_filter(topic_filter: str) -> None:
    with pytest.raises(TopicFilterInvalid):
        check_topic_filter(topic_filter, 128)


def test_levels_are_counted_up_to_the_maximum() -> None:
    check_topic_name(b"a/b/c", 3)
    check_topic_filter("a/+/#", 3)
    with pytest.raises(TopicNameInvalid):
        check_topic_name(b"a/b/c/", 3)
    with pytest.raises(TopicFilterInvalid):
        check_topic_filter("a/+/#", 2)


@pytest.mark.parametrize(
    ("topic_filter", "parsed"),
    [
        ("a/b", (None, "a/b")),
        ("$share", (None, "$share")),
        ("$SHARE/g/a", (None, "$SHARE/g/a")),
        ("a/$share/g/b", (None, "a/$share/g/b")),
        ("$share/g/a/#", ("g", "a/#")),
        ("$share/g//", ("g", "/")),
        ("$share/é g/+", ("é g", "+")),
        ("$share/g/$share/h/a", ("g", "$share/h/a")),
    ],
)
def test_share_names(topic_filter: str, parsed: tuple[str | None, str]) -> None:
    assert parse_shared(topic_filter) == parsed


@pytest.mark.parametrize(
    "topic_filter", ["$share/", "$share//a", "$share/g", "$share/g/", "$share/g+/a", "$share/#/a"]
)
def test_what_is_no_share_name(topic_filter: str) -> None:
    with pytest.raises(TopicFilterInvalid):
        parse_shared(topic_filter)


@pytest.mark.parametrize(
    ("topic_filter", "topics", "others"),
    [
        ("a/b", ["a/b"], ["a", "a/b/", "a/b/c", "A/b", "/a/b"]),
        ("a/+", ["a/b", "a/"], ["a", "a/b/c", "/a/b"]),
        ("+", ["a"], ["/a", "a/", "$a"]),
        ("+/+", ["/a", "a/", "a/$b", "/"], ["a", "a/b/c", "$a/b"]),
        ("/+", ["/a", "/", "/$SYS"], ["a", "$SYS"]),
        ("a/#", ["a", "a/", "a/b", "a/b/c"], ["ab", "b", "/a"]),
        ("#", ["a", "/", "a/b", "/$SYS"], ["$SYS", "$SYS/a", "$"]),
        ("+/b/#", ["a/b", "a/b/c", "/b"], ["b", "$a/b"]),
        ("$SYS/#", ["$SYS", "$SYS/a"], ["a", "$sys"]),
        ("$SYS/+", ["$SYS/a"], ["$SYS", "$SYS/a/b"]),
    ],
)
def test_matching(topic_filter: str, topics: list[str], others: list[str]) -> None:
    assert [topic for topic in topics + others if matches(topic_filter, topic)] == topics

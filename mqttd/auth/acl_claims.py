"""The rules about topics that a server or a token gives with an identity, made plain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mqttd.broker.topics import check_topic_filter
from mqttd.identity import AccessRule
from mqttd.packets.errors import TopicFilterInvalid
from mqttd.packets.primitives import LONGEST_STRING, is_text

MOST_RULES: Final = 1000
"""Rules of one client."""
MOST_TOPICS: Final = 10_000
"""Topics of all rules of one client."""

_ACTIONS: Final = frozenset({"publish", "subscribe", "all"})
_LISTS: Final[Mapping[str, str]] = {"pub": "publish", "sub": "subscribe", "all": "all"}
_PARTS: Final = frozenset({"permission", "action", "topic", "topics", "qos", "retain"})
_EQ: Final = "eq "
_NOTHING: Final = (AccessRule(allow=True, action="all", topics=()),)
"""Rules that allow nothing are not the same as no rules, under which everything may be allowed."""
_LEVELS: Final[Mapping[Any, int]] = {0: 0, 1: 1, 2: 2, "0": 0, "1": 1, "2": 2}
_RETAIN: Final[Mapping[Any, bool | None]] = {
    "all": None,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
}


def access_rules(value: Any) -> tuple[AccessRule, ...]:
    """The rules in ``value``, in their order.

    ``value`` is what JSON gave: a list of ``{permission, action, topic | topics, qos, retain}``,
    or ``{"pub": [...], "sub": [...], "all": [...]}``, which only allows. Both are EMQX's forms.
    Raises ValueError when one rule makes no sense or holds something unknown, since a rule half
    understood would allow too much; its text quotes nothing of ``value``.
    """
    if isinstance(value, Mapping):
        rules = tuple(_of_lists(value))
    elif isinstance(value, list):
        if len(value) > MOST_RULES:
            raise ValueError(f"has more than {MOST_RULES} rules")
        rules = tuple(_numbered(value))
    else:
        raise ValueError("is neither a list of rules nor an object of pub, sub and all")
    if sum(len(rule.topics) for rule in rules) > MOST_TOPICS:
        raise ValueError(f"has more than {MOST_TOPICS} topics")
    return rules or _NOTHING


def _of_lists(value: Mapping[Any, Any]) -> Iterator[AccessRule]:
    if not value.keys() <= _LISTS.keys():
        raise ValueError("holds something beside pub, sub and all")
    for name, action in _LISTS.items():
        try:
            topics = _topics(value.get(name, []))
        except ValueError as problem:
            raise ValueError(f"{name}: {problem}") from None
        if topics:
            yield AccessRule(allow=True, action=action, topics=topics)


def _numbered(value: list[Any]) -> Iterator[AccessRule]:
    for number, each in enumerate(value, 1):
        try:
            yield _rule(each)
        except ValueError as problem:
            raise ValueError(f"rule {number}: {problem}") from None


def _rule(value: Any) -> AccessRule:
    if not isinstance(value, Mapping):
        raise ValueError("is no object")
    if not value.keys() <= _PARTS:
        raise ValueError("holds something beside permission, action, topic, topics, qos, retain")
    permission, action = value.get("permission"), value.get("action")
    if permission not in ("allow", "deny"):
        raise ValueError("permission is neither allow nor deny")
    if not isinstance(action, str) or action not in _ACTIONS:
        raise ValueError("action is none of publish, subscribe and all")
    if ("topic" in value) == ("topics" in value):
        raise ValueError("has not one of topic and topics")
    topics = _topics([value["topic"]] if "topic" in value else value["topics"])
    if not topics:
        raise ValueError("names no topic")
    return AccessRule(
        allow=permission == "allow",
        action=action,
        topics=topics,
        qos=_qos(value.get("qos")),
        retain=_retain(value.get("retain")),
    )


def _topics(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise ValueError("has topics that are no list")
    if len(value) > MOST_TOPICS:
        raise ValueError(f"has more than {MOST_TOPICS} topics")
    for topic in value:
        if not isinstance(topic, str):
            raise ValueError("has a topic that is no text")
        if not _is_filter(topic):
            raise ValueError("has a topic that is no Topic Filter")
    return tuple(value)


def _is_filter(topic: str) -> bool:
    try:
        check_topic_filter(topic.removeprefix(_EQ), LONGEST_STRING)
    except TopicFilterInvalid:
        return False
    return is_text(topic)


def _qos(value: Any) -> frozenset[int] | None:
    """One level, a list of them, or text such as ``0,1``; None and ``all``: any."""
    if value is None or value == "all":
        return None
    if isinstance(value, str):
        value = [each.strip() for each in value.split(",", 4)]
    elif not isinstance(value, list):
        value = [value]
    levels = {_LEVELS.get(each) if type(each) in (int, str) else None for each in value}
    if None in levels or not levels:
        raise ValueError("qos is none of 0, 1 and 2")
    return frozenset(level for level in levels if level is not None)


def _retain(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if type(value) is int and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value in _RETAIN:
        return _RETAIN[value]
    raise ValueError("retain is neither true nor false")

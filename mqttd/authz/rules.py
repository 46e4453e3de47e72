"""Rules in their order: the first that fits decides, found without looking at all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

import attrs

from mqttd.authz.filters import Levels
from mqttd.authz.topic_pattern import Asked, TopicPattern, asked_of
from mqttd.authz.who import EVERYBODY, Who
from mqttd.identity import PUBLISH, SUBSCRIBE, AccessRequest

ALL: Final = "all"
ACTIONS: Final = (PUBLISH, SUBSCRIBE, ALL)


@attrs.frozen
class Rule:
    """One rule. ``number`` counts from 1, ``line`` is where a file has it (0: not from a file).

    ``qos`` and ``retain`` None: any; ``retain`` only concerns publishing.
    """

    number: int
    allow: bool
    action: str
    topics: tuple[TopicPattern, ...]
    who: Who = EVERYBODY
    qos: frozenset[int] | None = None
    retain: bool | None = None
    line: int = 0

    def fits_request(self, request: AccessRequest) -> bool:
        """Whether it is about this client and this kind of request, whatever the topic."""
        if self.qos is not None and request.qos not in self.qos:
            return False
        if (
            self.retain is not None
            and request.action == PUBLISH
            and request.retain is not self.retain
        ):
            return False
        return self.who.fits(request)

    @property
    def text(self) -> str:
        """The rule in words, for ``mqttd acl explain`` and the log."""
        action = "publish and subscribe" if self.action == ALL else self.action
        by = f" by {self.who.text}" if self.who.text else ""
        words = [f"{'allow' if self.allow else 'deny'} {action}{by}"]
        if self.qos is not None:
            words.append("qos " + "|".join(str(each) for each in sorted(self.qos)))
        if self.retain is not None:
            words.append("retained" if self.retain else "not retained")
        shown = [pattern.text for pattern in self.topics[:3]]
        more = len(self.topics) - len(shown)
        topics = ", ".join(shown) + (f" and {more} more" if more > 0 else "")
        return f"{', '.join(words)}: {topics}"


@attrs.frozen
class Decision:
    """What a rule decided: ``topic`` is the one of its topics that fitted."""

    rule: Rule
    topic: str

    @property
    def allow(self) -> bool:
        """Whether the rule allows."""
        return self.rule.allow


_DEEPEST: Final = 32
"""Levels by which rules that deny are told apart."""

_Entry = tuple[int, Rule, TopicPattern]


class RuleSet:
    """Rules ready to be asked. Takes time by the rules that could fit, not by all there are.

    Rules that name users or Client Identifiers in full are found by them, and each topic by the
    levels before its first wildcard or placeholder.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: Sequence[Rule] = tuple(rules)
        self._actions = {PUBLISH: _Index(), SUBSCRIBE: _Index()}
        for rule in self.rules:
            for action, index in self._actions.items():
                if rule.action in (action, ALL):
                    index.add(rule)

    def __len__(self) -> int:
        return len(self.rules)

    def decide(self, request: AccessRequest) -> Decision | None:
        """The first rule that fits, or None."""
        index = self._actions.get(request.action)
        if index is None:
            return None
        asked = asked_of(request)
        last: Rule | None = None
        right = False
        for _, rule, pattern in index.candidates(asked):
            if not pattern.fits(asked, allow=rule.allow):
                continue
            if rule is not last:
                last, right = rule, rule.fits_request(request)
            if right:
                return Decision(rule, pattern.text)
        return None


class _Index:
    """The rules of one action: by user, by Client Identifier, and those for others."""

    def __init__(self) -> None:
        self.general = _Bucket()
        self.by_user: dict[str, _Bucket] = {}
        self.by_client: dict[str, _Bucket] = {}

    def add(self, rule: Rule) -> None:
        who = rule.who
        if who.usernames is not None:
            buckets = [self.by_user.setdefault(name, _Bucket()) for name in who.usernames]
        elif who.client_ids is not None:
            buckets = [self.by_client.setdefault(name, _Bucket()) for name in who.client_ids]
        else:
            buckets = [self.general]
        for bucket in buckets:
            for pattern in rule.topics:
                bucket.add((rule.number, rule, pattern))

    def candidates(self, asked: Asked) -> list[_Entry]:
        request = asked.request
        found: list[_Entry] = []
        self.general.collect(asked, found)
        if request.username is not None and (bucket := self.by_user.get(request.username)):
            bucket.collect(asked, found)
        if bucket := self.by_client.get(request.client_id):
            bucket.collect(asked, found)
        if len(found) > 1:
            found.sort(key=itemgetter(0))
        return found


class _Node:
    """Rules that deny, by the text their topics begin with, level by level."""

    __slots__ = ("below", "entries")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.entries: list[_Entry] = []

    def collect(self, levels: Levels, found: list[_Entry]) -> None:
        """Add those that may be touched by the rest of an asked filter."""
        found += self.entries
        if not levels or not self.below:
            return
        level = levels[0]
        if level == "#":
            for node in self.below.values():
                node.collect(levels, found)
        elif level == "+":
            for node in self.below.values():
                node.collect(levels[1:], found)
        elif level in self.below:
            self.below[level].collect(levels[1:], found)


class _Bucket:
    """Topics of rules by the text they begin with."""

    __slots__ = ("denies", "depth", "prefixes")

    def __init__(self) -> None:
        self.prefixes: dict[Levels, list[_Entry]] = {}
        self.depth = 0
        self.denies = _Node()

    def add(self, entry: _Entry) -> None:
        pattern = entry[2]
        self.prefixes.setdefault(pattern.prefix, []).append(entry)
        self.depth = max(self.depth, len(pattern.prefix))
        if entry[1].allow or pattern.whole:
            return
        node = self.denies
        for level in pattern.prefix[:_DEEPEST]:
            node = node.below.setdefault(level, _Node())
        node.entries.append(entry)

    def collect(self, asked: Asked, found: list[_Entry]) -> None:
        """Add what could fit. Below the first wildcard of an asked filter any rule that denies
        may be touched; one that allows must begin as the filter does."""
        raw = asked.raw
        for length in range(min(len(raw), self.depth) + 1):
            entries = self.prefixes.get(raw[:length])
            if entries is not None:
                found += entries
        if asked.wildcard:
            self.denies.collect(raw[: _DEEPEST + 1], found)

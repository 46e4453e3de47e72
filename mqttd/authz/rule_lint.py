"""Rules that can never decide, because an earlier one for everybody always does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import attrs

from mqttd.authz.filters import covers
from mqttd.authz.rules import ALL, Rule
from mqttd.authz.topic_pattern import TopicPattern, at_most
from mqttd.authz.who import EVERYBODY
from mqttd.config.errors import Finding, warning
from mqttd.identity import PUBLISH

_CATCHING: Final = 50
"""Rules for everybody that later ones are held against: a help, not a proof."""
_NAMED: Final = 20


def unreachable(rules: Sequence[Rule], path: str, file: str = "") -> list[Finding]:
    """A warning for each of the first few such rules."""
    return list(islice(_unreachable(rules, path, file), _NAMED))


def _unreachable(rules: Sequence[Rule], path: str, file: str) -> Iterator[Finding]:
    catching: list[Rule] = []
    for rule in rules:
        first = next((each for each in catching if _hides(each, rule)), None)
        if first is not None:
            place = f"rules[{rule.number - 1}]" if file else f"[{rule.number - 1}]"
            message = f"never decides anything: rule {first.number} before it always does"
            origin = f"{file}:{rule.line}" if rule.line else file
            where = f"{path}: {place}" if file else f"{path}{place}"
            cure = "put it before that rule, or remove it"
            yield attrs.evolve(warning(where, message, cure), origin=origin)
        elif len(catching) < _CATCHING and _for_everybody(rule):
            catching.append(rule)


def _for_everybody(rule: Rule) -> bool:
    return rule.who is EVERYBODY and rule.qos is None and rule.retain is None


def _hides(first: Rule, rule: Rule) -> bool:
    if first.action not in (ALL, rule.action):
        return False
    if first.allow and not rule.allow and rule.action != PUBLISH:
        return False  # the later one still denies filters that are wider than the earlier's
    return all(any(_within(each, topic) for each in first.topics) for topic in rule.topics)


def _within(wide: TopicPattern, narrow: TopicPattern) -> bool:
    if wide.whole or narrow.whole:
        return wide.text == narrow.text
    return wide.fixed is not None and covers(wide.fixed, at_most(narrow))

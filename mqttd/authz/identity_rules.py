"""Rules that came with a client's identity; they decide before every source."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from mqttd.authz.rules import Decision, Rule, RuleSet
from mqttd.authz.topic_pattern import TopicPattern, everything, parse_topic
from mqttd.identity import AccessRequest, AccessRule, Identity
from mqttd.placeholders import BadTemplate

_KEPT: Final = 1024
"""Identities whose rules are kept ready."""


class IdentityRules:
    """Decides by the rules of whoever asks; of the last identities they are kept ready."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._ready: OrderedDict[int, tuple[Identity, RuleSet]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ready)

    def decide(self, request: AccessRequest) -> Decision | None:
        """The rule that decides; None: the sources are asked."""
        identity = request.identity
        if not identity.rules:
            return None
        key = id(identity)
        found = self._ready.get(key)
        if found is None or found[0] is not identity:  # an id may be another's again
            found = self._ready[key] = identity, rule_set(identity.rules)
            if len(self._ready) > self._kept:
                self._ready.popitem(last=False)
        self._ready.move_to_end(key)
        return found[1].decide(request)

    def authorize(self, request: AccessRequest) -> bool | None:
        """True allows, False denies, None asks the sources."""
        decision = self.decide(request)
        return None if decision is None else decision.allow


def rule_set(rules: Iterable[AccessRule]) -> RuleSet:
    """The rules made ready.

    A topic that makes no sense, such as one with a placeholder nobody knows, allows nothing; in
    a rule that denies it stands for every topic.
    """
    return RuleSet(
        Rule(number, rule.allow, rule.action, topics, qos=rule.qos, retain=rule.retain)
        for number, rule in enumerate(rules, 1)
        if (topics := tuple(_topics(rule)))
    )


def _topics(rule: AccessRule) -> Iterable[TopicPattern]:
    for text in rule.topics:
        try:
            yield parse_topic(text)
        except BadTemplate:
            if not rule.allow:
                yield from everything(text)

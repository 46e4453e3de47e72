"""Rules that came with an identity."""

from __future__ import annotations

from collections.abc import Callable

from mqttd.authz.identity_rules import IdentityRules
from mqttd.identity import AccessRequest, AccessRule

Ask = Callable[..., AccessRequest]


def test_they_decide_in_their_order(ask: Ask) -> None:
    rules = (
        AccessRule(False, "publish", ("a/secret",)),
        AccessRule(True, "all", ("a/#", "eq b/+"), frozenset({0})),
        AccessRule(True, "publish", ("${username}/x",), retain=True),
    )
    identity_rules = IdentityRules()

    def allowed(action: str, topic: str, **facts: object) -> bool | None:
        return identity_rules.authorize(ask(action, topic, rules=rules, **facts))

    assert allowed("publish", "a/secret") is False
    assert allowed("subscribe", "a/#") is True
    assert allowed("subscribe", "a/#", qos=1) is None
    assert allowed("subscribe", "b/+") is True
    assert allowed("publish", "user/x") is None
    assert allowed("publish", "user/x", retain=True) is True


def test_without_rules_the_sources_are_asked(ask: Ask) -> None:
    assert IdentityRules().authorize(ask("publish", "a")) is None


def test_a_topic_nobody_understands_allows_nothing_and_denies_everything(ask: Ask) -> None:
    allow = (AccessRule(True, "all", ("${nobody}/#",)),)
    deny = (AccessRule(False, "publish", ("${nobody}/#",)), AccessRule(True, "all", ("#",)))
    for topic in ("a", "a/b", "$SYS/a"):
        assert IdentityRules().authorize(ask("publish", topic, rules=allow)) is None
        assert IdentityRules().authorize(ask("publish", topic, rules=deny)) is False
    assert IdentityRules().authorize(ask("subscribe", "#", rules=deny)) is True


def test_only_so_many_are_kept_ready(ask: Ask) -> None:
    identity_rules = IdentityRules(kept=3)
    requests = [
        ask("publish", f"a/{number}", rules=(AccessRule(True, "all", (f"a/{number}",)),))
        for number in range(10)
    ]
    for _ in range(2):
        assert all(identity_rules.authorize(request) for request in requests)
    assert len(identity_rules) == 3

"""Rules: which one decides, and that no wider filter lets through what a narrower one denies."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttd.authz.rule_reader import RuleReader
from mqttd.authz.rule_source import Read, RuleSource
from mqttd.authz.rules import Decision, Rule, RuleSet
from mqttd.authz.topic_pattern import asked_of
from mqttd.broker.topics import matches
from mqttd.identity import AccessRequest, Identity, PeerInfo
from mqttd.testing import assert_authorizer

Ask = Callable[..., AccessRequest]


def read(*rules: Mapping[str, Any]) -> RuleSet:
    reader = RuleReader("rules")
    made = reader.rules(list(rules))
    assert reader.findings == []
    return RuleSet(made)


def rule(permission: str, *topics: str, **parts: Any) -> dict[str, Any]:
    return {"permission": permission, "topics": list(topics), **parts}


def said(decision: Decision | None) -> tuple[bool, int] | None:
    return None if decision is None else (decision.allow, decision.rule.number)


def test_the_first_rule_that_fits_decides(ask: Ask) -> None:
    rules = read(
        rule("deny", "a/secret"),
        rule("allow", "a/#", action="publish"),
        rule("deny", "#"),
    )
    assert said(rules.decide(ask("publish", "a/secret"))) == (False, 1)
    assert said(rules.decide(ask("publish", "a/b"))) == (True, 2)
    assert said(rules.decide(ask("subscribe", "a/b"))) == (False, 3)
    assert rules.decide(ask("publish", "$SYS/a")) is None


@pytest.mark.parametrize(
    ("parts", "facts", "fits"),
    [
        ({"qos": [0, 1]}, {"qos": 1}, True),
        ({"qos": [0, 1]}, {"qos": 2}, False),
        ({"qos": "2"}, {"qos": 2}, True),
        ({"retain": True}, {"retain": True}, True),
        ({"retain": True}, {"retain": False}, False),
        ({"retain": "false"}, {"retain": True}, False),
        ({"retain": "all"}, {"retain": True}, True),
    ],
)
def test_quality_and_retain(
    ask: Ask, parts: dict[str, Any], facts: dict[str, Any], fits: bool
) -> None:
    rules = read(rule("allow", "a", **parts))
    assert (rules.decide(ask("publish", "a", **facts)) is not None) is fits


def test_retain_does_not_concern_subscribing(ask: Ask) -> None:
    assert read(rule("allow", "a", retain=True)).decide(ask("subscribe", "a")) is not None


def test_allowing_needs_all_of_a_filter_and_denying_any_part_of_it(ask: Ask) -> None:
    rules = read(rule("deny", "a/secret"), rule("allow", "a/#"))
    assert said(rules.decide(ask("subscribe", "a/#"))) == (False, 1)
    assert said(rules.decide(ask("subscribe", "a/+"))) == (False, 1)
    assert said(rules.decide(ask("subscribe", "a/b/#"))) == (True, 2)
    assert rules.decide(ask("subscribe", "#")) == rules.decide(ask("subscribe", "+/secret"))
    assert rules.decide(ask("subscribe", "+")) is None


def test_a_topic_compared_as_it_stands(ask: Ask) -> None:
    rules = read(rule("deny", "eq #"), rule("allow", "eq a/+"))
    assert said(rules.decide(ask("subscribe", "#"))) == (False, 1)
    assert said(rules.decide(ask("subscribe", "a/+"))) == (True, 2)
    assert rules.decide(ask("subscribe", "a/b")) is None
    assert rules.decide(ask("publish", "a/b")) is None


def test_placeholders(ask: Ask) -> None:
    rules = read(rule("allow", "${username}/x-${clientid}/#", "eq ${client_attrs.site}"))
    assert rules.decide(ask("publish", "user/x-client/a")) is not None
    assert rules.decide(ask("subscribe", "user/x-client/#")) is not None
    assert rules.decide(ask("publish", "user/x-other/a")) is None
    assert rules.decide(ask("publish", "/x-client/a", username=None)) is None
    assert rules.decide(ask("publish", "oslo", attributes={"site": "oslo"})) is not None
    assert rules.decide(ask("publish", "oslo")) is None


@pytest.mark.parametrize("value", ["+", "#", "a/b", "a+", "", "$SYS", "a\0"])
def test_a_value_never_widens_a_rule_that_allows(ask: Ask, value: str) -> None:
    rules = read(rule("allow", "${username}/#", "eq ${username}"))
    for topic in ("#", "+", "+/#", "a", "a/b", "a/b/c", "$SYS/x", "a+", value):
        for action in ("publish", "subscribe"):
            assert rules.decide(ask(action, topic, username=value)) is None, topic


@pytest.mark.parametrize("value", ["+", "#", "a/b", "a+b"])
def test_a_value_does_not_dodge_a_rule_that_denies(ask: Ask, value: str) -> None:
    rules = read(rule("deny", "in/${username}/#"), rule("allow", "#"))
    for topic in (f"in/{value}", f"in/{value}/x", "in/#", "#"):
        assert said(rules.decide(ask("subscribe", topic, username=value))) == (False, 1)
    assert said(rules.decide(ask("subscribe", "out", username=value))) == (True, 2)


def test_a_dollar_sign_of_a_client_is_denied_where_it_is_told(ask: Ask) -> None:
    rules = read(rule("deny", "${username}/#"))
    assert said(rules.decide(ask("publish", "$SYS/a", username="$SYS"))) == (False, 1)
    assert said(rules.decide(ask("publish", "$a/b/c", username="$a/b"))) == (False, 1)


def test_rules_of_users_and_of_all_keep_their_order(ask: Ask) -> None:
    rules = read(
        rule("deny", "a/1", who={"clientid": "client"}),
        rule("allow", "a/#", who={"username": ["user", "other"]}),
        rule("deny", "a/+"),
        rule("allow", "a/+/x", who={"username": "user"}),
    )
    assert said(rules.decide(ask("publish", "a/1"))) == (False, 1)
    assert said(rules.decide(ask("publish", "a/2"))) == (True, 2)
    assert said(rules.decide(ask("publish", "a/2", username="who"))) == (False, 3)
    assert said(rules.decide(ask("publish", "a/2/x"))) == (True, 2)
    assert said(rules.decide(ask("publish", "a/1", username="other"))) == (False, 1)
    assert rules.decide(ask("publish", "a/2/x", username="who")) is None


def test_a_deep_rule_that_denies_is_found(ask: Ask) -> None:
    deep = "/".join("a" * 40)
    rules = read(rule("deny", deep, deep + "/#"), rule("allow", "#"))
    for topic in ("#", "a/#", "/".join("+" * 40), "/".join("a" * 35) + "/#", deep + "/b"):
        assert said(rules.decide(ask("subscribe", topic))) == (False, 1)
    for topic in ("/".join("a" * 39), "/".join("a" * 35) + "/+", "/".join("a" * 35) + "/b/#"):
        assert said(rules.decide(ask("subscribe", topic))) == (True, 2)


def test_it_is_an_authorizer_as_plugins_have_to_be() -> None:
    assert_authorizer(RuleSource("rules", lambda: Read(read(rule("allow", "a")))))


LEVEL = st.sampled_from(["a", "b", "$s", "+", "${username}"])
FILTER = st.builds(
    lambda levels, deep: "/".join([*levels, "#"] if deep or not levels else levels),
    st.lists(LEVEL, max_size=3),
    st.booleans(),
)
RULE = st.fixed_dictionaries(
    {
        "permission": st.sampled_from(["allow", "deny"]),
        "topics": st.lists(FILTER, min_size=1, max_size=2),
    },
    optional={
        "who": st.sampled_from(
            [{"username": "a"}, {"username": "a*"}, {"clientid": "c"}, {"not": {"username": "b"}}]
        ),
        "action": st.sampled_from(["all", "subscribe", "publish"]),
    },
)
NAME = st.sampled_from(["a", "b", "ab", "+", "#", "a/b", "$s", "", None])
TOPICS = [
    "/".join(levels)
    for count in range(1, 5)
    for levels in itertools.product(["a", "b", "$s", "z"], repeat=count)
]


def _request(action: str, topic: str, username: str | None) -> AccessRequest:
    peer = PeerInfo("tcp:default", ("127.0.0.1", 1))
    return AccessRequest(action, topic, 0, False, username, "c", Identity(), peer)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(RULE, max_size=5),
    FILTER.filter(lambda text: "$" not in text.replace("$s", "")),
    NAME,
    st.booleans(),
)
def test_a_filter_is_allowed_only_where_each_topic_of_it_is(
    values: list[dict[str, Any]], asked: str, username: str | None, no_match: bool
) -> None:
    rules = read(*values)

    def allowed(topic: str) -> bool:
        decision = rules.decide(_request("subscribe", topic, username))
        return no_match if decision is None else decision.allow

    if allowed(asked):
        assert all(allowed(topic) for topic in TOPICS if matches(asked, topic))


@settings(max_examples=150, deadline=None)
@given(st.lists(RULE, max_size=6), st.sampled_from(["publish", "subscribe"]), FILTER, NAME)
def test_finding_by_index_is_looking_at_all_of_them(
    values: list[dict[str, Any]], action: str, topic: str, username: str | None
) -> None:
    rules = read(*values)
    if action == "publish":
        topic = topic.replace("+", "z").replace("/#", "").replace("#", "z")
    topic = topic.replace("${username}", "a")
    request = _request(action, topic, username)
    plain = next(
        (
            each.number
            for each in rules.rules
            if each.action in (action, "all")
            and any(_alone(each, n, request) for n in range(len(each.topics)))
        ),
        None,
    )
    found = rules.decide(request)
    assert (None if found is None else found.rule.number) == plain


def _alone(rule: Rule, number: int, request: AccessRequest) -> bool:
    return rule.fits_request(request) and rule.topics[number].fits(
        asked_of(request), allow=rule.allow
    )

"""Rules given with an identity: both forms, and what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.auth.acl_claims import MOST_RULES, MOST_TOPICS, access_rules
from mqttd.identity import AccessRule


def test_a_list_keeps_its_order_and_every_part() -> None:
    assert access_rules(
        [
            {"permission": "deny", "action": "publish", "topic": "a/+", "retain": True},
            {
                "permission": "allow",
                "action": "all",
                "topics": ["${username}/#", "eq x/#"],
                "qos": [0, 1],
            },
            {"permission": "allow", "action": "subscribe", "topics": ["#"], "retain": None},
        ]
    ) == (
        AccessRule(allow=False, action="publish", topics=("a/+",), retain=True),
        AccessRule(
            allow=True,
            action="all",
            topics=("${username}/#", "eq x/#"),
            qos=frozenset({0, 1}),
        ),
        AccessRule(allow=True, action="subscribe", topics=("#",)),
    )


def test_an_object_of_lists_allows() -> None:
    assert access_rules({"all": ["c"], "sub": ["b/#", "b2"], "pub": "a"}) == (
        AccessRule(allow=True, action="publish", topics=("a",)),
        AccessRule(allow=True, action="subscribe", topics=("b/#", "b2")),
        AccessRule(allow=True, action="all", topics=("c",)),
    )


NOTHING = AccessRule(allow=True, action="all", topics=())


@pytest.mark.parametrize("empty", [[], {}, {"pub": []}])
def test_nothing_listed_allows_nothing(empty: Any) -> None:
    assert access_rules(empty) == (NOTHING,)


@pytest.mark.parametrize(
    ("qos", "expected"),
    [
        (None, None),
        ("all", None),
        (2, {2}),
        ("1", {1}),
        ("0, 2", {0, 2}),
        (["0", 1], {0, 1}),
    ],
)
def test_levels(qos: Any, expected: Any) -> None:
    (rule,) = access_rules([RULE | {"qos": qos}])
    assert rule.qos == expected


@pytest.mark.parametrize(
    ("retain", "expected"),
    [(1, True), (0, False), ("true", True), ("0", False), ("all", None), (False, False)],
)
def test_retain(retain: Any, expected: Any) -> None:
    (rule,) = access_rules([RULE | {"retain": retain}])
    assert rule.retain is expected


RULE = {"permission": "allow", "action": "all", "topic": "s3cret"}


@pytest.mark.parametrize(
    "value",
    [
        None,
        "s3cret",
        7,
        [7],
        [["s3cret"]],
        {"pub": ["a"], "s3cret": ["b"]},
        {"pub": {"s3cret": 1}},
        {"pub": [1]},
        [RULE | {"username_re": "s3cret"}],
        [RULE | {"permission": "s3cret"}],
        [RULE | {"permission": ["allow"]}],
        [RULE | {"action": "s3cret"}],
        [RULE | {"action": ["all"]}],
        [RULE | {"topics": ["s3cret"]}],
        [{"permission": "allow", "action": "all"}],
        [{"permission": "allow", "action": "all", "topics": []}],
        [RULE | {"topic": 7}],
        [RULE | {"topic": ""}],
        [RULE | {"topic": "eq "}],
        [RULE | {"topic": "s3cret#"}],
        [RULE | {"topic": "s3cret/#/b"}],
        [RULE | {"topic": "s3cret+"}],
        [RULE | {"topic": "s3cret\0"}],
        [RULE | {"topic": "s3cret\ud800"}],
        [RULE | {"topic": "s3cret" * 20_000}],
        [RULE | {"qos": 3}],
        [RULE | {"qos": True}],
        [RULE | {"qos": 1.0}],
        [RULE | {"qos": []}],
        [RULE | {"qos": [[1]]}],
        [RULE | {"qos": "s3cret"}],
        [RULE | {"retain": 2}],
        [RULE | {"retain": "s3cret"}],
        [RULE | {"retain": [True]}],
        [RULE] * (MOST_RULES + 1),
        {"pub": ["a"] * (MOST_TOPICS + 1)},
        [RULE | {"topics": ["a"] * MOST_TOPICS}] * 2,
    ],
)
def test_what_makes_no_sense_is_refused_without_being_quoted(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^(has|holds|is|rule \d+:|pub:) ?") as caught:
        access_rules(value)
    assert "s3cret" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["permission", "action", "topic", "topics", "qos", "retain", "pub"]),
            inner | st.sampled_from(["allow", "all", "a/b"]),
        )
    ),
)


@given(JSON)
def test_any_json_gives_rules_or_a_value_error(value: Any) -> None:
    try:
        rules = access_rules(value)
    except ValueError:
        return
    assert rules
    assert all(rule.topics or rules == (NOTHING,) for rule in rules)
    assert all(rule.action in ("publish", "subscribe", "all") for rule in rules)

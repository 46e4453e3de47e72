"""Claims: what they must be, and what they make of a client."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.auth.connect_placeholders import CONNECT
from mqttd.auth.jwt_claims import ClaimRules
from mqttd.auth.jwt_token import BadToken
from mqttd.identity import AccessRule, ConnectRequest, Identity, PeerInfo
from mqttd.placeholders import parse_template

NOW = 1_700_000_000.0
REQUEST = ConnectRequest(
    client_id="c1",
    username="alice",
    password=b"",
    level=5,
    clean_start=True,
    keep_alive=60,
    peer=PeerInfo("ssl:default", ("192.0.2.7", 4711)),
    attributes={"site": "north"},
)


def identity(
    rules: dict[str, Any] | None = None, request: ConnectRequest = REQUEST, **claims: Any
) -> Identity:
    payload = json.dumps({"exp": NOW + 60, **claims}).encode()
    return ClaimRules(**(rules or {})).identity(payload, request, NOW)


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Why claims are refused."""

    def why(rules: dict[str, Any] | None = None, **claims: Any) -> str:
        with pytest.raises(BadToken) as caught:
            identity(rules, **claims)
        return caught.value.reason

    return why


def verified(**texts: str) -> dict[str, Any]:
    return {"verify": {name: parse_template(text, CONNECT) for name, text in texts.items()}}


def test_a_token_keeps_the_name_and_ends_the_session() -> None:
    assert identity() == Identity(username="alice", expires_at=NOW + 60)
    assert identity({"cut": False}).expires_at is None
    assert identity(exp=NOW + 0.5).expires_at == NOW + 0.5


def test_the_end_is_that_of_the_session_with_the_leeway() -> None:
    assert identity({"leeway": 5.0}, exp=NOW - 4).expires_at == NOW + 1


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": NOW}, "expired"),
        ({"exp": NOW - 10}, "expired"),
        ({"exp": -1}, "expired"),
        ({"exp": None}, "exp is no number"),
        ({"exp": str(NOW + 60)}, "exp is no number"),
        ({"exp": True}, "exp is no number"),
        ({"exp": [NOW + 60]}, "exp is no number"),
        ({"exp": NOW * 1000}, "milliseconds"),
        ({"exp": 10**400}, "milliseconds"),
        ({"nbf": NOW + 1}, "not good yet"),
        ({"nbf": "now"}, "nbf is no number"),
        ({"iat": NOW + 1}, "made in the future"),
        ({"iat": {}}, "iat is no number"),
    ],
    ids=range(13),
)
def test_times_that_refuse(claims: dict[str, Any], why: str, refusal: Callable[..., str]) -> None:
    assert why in refusal(**claims)


def test_an_infinite_end_is_none(refusal: Callable[..., str]) -> None:
    for text in (b'{"exp": 1e999}', b'{"exp": Infinity}', b'{"exp": NaN}'):
        with pytest.raises(BadToken):
            ClaimRules().identity(text, REQUEST, NOW)


def test_times_within_the_leeway() -> None:
    rules = {"leeway": 5.0}
    assert identity(rules, nbf=NOW + 5, iat=NOW + 5)
    assert identity(nbf=NOW, iat=NOW - 1000)


def test_without_exp() -> None:
    with pytest.raises(BadToken, match="the token has no exp"):
        ClaimRules().identity(b"{}", REQUEST, NOW)
    assert ClaimRules(require_exp=False).identity(b"{}", REQUEST, NOW).expires_at is None


@pytest.mark.parametrize("payload", [b"", b"x", b"[]", b'"a"', b"\xff", b'{"exp":1,"exp":2}'])
def test_claims_that_are_none(payload: bytes) -> None:
    with pytest.raises(BadToken, match="claims are no JSON"):
        ClaimRules().identity(payload, REQUEST, NOW)


def test_issuer_and_audience(refusal: Callable[..., str]) -> None:
    rules = {"issuer": frozenset({"a", "b"}), "audience": frozenset({"mqtt"})}
    assert identity(rules, iss="b", aud="mqtt")
    assert identity(rules, iss="a", aud=["web", "mqtt"])
    assert "iss" in refusal(rules, aud="mqtt")
    assert "iss" in refusal(rules, iss="c", aud="mqtt")
    assert "iss" in refusal(rules, iss=["a"], aud="mqtt")
    assert "aud" in refusal(rules, iss="a")
    assert "aud" in refusal(rules, iss="a", aud=["web"])
    assert "aud" in refusal(rules, iss="a", aud={"mqtt": 1})


def test_required_claims(refusal: Callable[..., str]) -> None:
    rules = {"required": ("jti",)}
    assert identity(rules, jti="")
    assert refusal(rules) == "the token has no jti"
    assert refusal(rules, jti=None) == "the token has no jti"


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("${username}", "alice"),
        ("${clientid}", "c1"),
        ("${client_attrs.site}", "north"),
        ("${username}@${listener}", "alice@ssl:default"),
        ("fixed", "fixed"),
        ("7", 7),
        ("true", True),
        ("${clientid}", ["c0", "c1"]),
    ],
)
def test_claims_that_fit(text: str, claim: Any) -> None:
    assert identity(verified(x=text), x=claim)


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("${username}", "Alice"),
        ("${username}", "alice "),
        ("${username}", None),
        ("${username}", {"alice": 1}),
        ("${username}", [["alice"]]),
        ("${client_attrs.none}", ""),
        ("1", True),
        ("1", 1.0),
        ("", None),
    ],
)
def test_claims_that_do_not_fit(text: str, claim: Any, refusal: Callable[..., str]) -> None:
    assert refusal(verified(x=text), x=claim) == "the token's x is not what it must be"


def test_a_claim_that_is_missing(refusal: Callable[..., str]) -> None:
    assert refusal(verified(username="${username}")) == "the token has no username"


def test_what_is_not_known_of_the_client_fits_nothing() -> None:
    for change in ({"username": None}, {"username": ""}):
        with pytest.raises(BadToken):
            identity(verified(u="${username}"), attrs.evolve(REQUEST, **change), u="")
    with pytest.raises(BadToken):
        identity(verified(c="${clientid}"), attrs.evolve(REQUEST, client_id=""), c="")


def test_the_name_out_of_a_claim(refusal: Callable[..., str]) -> None:
    rules = {"username": "preferred_username"}
    assert identity(rules, preferred_username="bob").username == "bob"
    for claims in ({}, {"preferred_username": ""}, {"preferred_username": None}):
        assert refusal(rules, **claims) == "the token has no preferred_username"
    for bad in (7, ["bob"], "a\0b", "\ud800", "x" * 65536):
        assert "no text for MQTT" in refusal(rules, preferred_username=bad)


def test_a_token_as_the_name_is_never_the_name() -> None:
    rules = {"from_username": True}
    assert identity(rules).username == ""
    assert identity(rules, sub="dev7").username == "dev7"
    assert identity({**rules, "username": "n"}, sub="dev7", n="bob").username == "bob"


def test_what_else_claims_give() -> None:
    made = identity(
        is_superuser=True,
        client_attrs={"site": "south"},
        clientid_override="c2",
        acl=[{"permission": "deny", "action": "publish", "topic": "a/+"}],
    )
    assert made.is_superuser
    assert made.attributes == {"site": "south"}
    assert made.client_id == "c2"
    assert made.rules == (AccessRule(False, "publish", ("a/+",)),)


def test_the_older_form_of_rules_and_another_claim() -> None:
    made = identity({"acl": "mqtt_acl"}, mqtt_acl={"pub": ["a"], "all": ["b/#"]}, acl=7)
    assert [rule.action for rule in made.rules] == ["publish", "all"]


@pytest.mark.parametrize("value", [True, "true", 1])
def test_a_superuser(value: Any) -> None:
    assert identity(is_superuser=value).is_superuser


@pytest.mark.parametrize("value", [False, None, 0, 2, 1.0, "1", "TRUE", "yes", [True], {}])
def test_no_superuser(value: Any) -> None:
    assert not identity(is_superuser=value).is_superuser


@pytest.mark.parametrize(
    "claims",
    [
        {"acl": "a/#"},
        {"acl": [{"permission": "allow"}]},
        {"acl": {"pub": [1]}},
        {"acl": {"put": []}},
        {"client_attrs": ["a"]},
        {"client_attrs": {"a": 1}},
        {"client_attrs": {"a": "\0"}},
        {"clientid_override": 7},
        {"clientid_override": "\0"},
    ],
    ids=range(9),
)
def test_what_cannot_be_read_refuses(claims: dict[str, Any], refusal: Callable[..., str]) -> None:
    why = refusal(**claims)
    assert why.startswith("the token's ")
    assert "a/#" not in why


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "exp",
                "nbf",
                "iat",
                "iss",
                "aud",
                "sub",
                "acl",
                "is_superuser",
                "client_attrs",
                "clientid_override",
            ]
        ),
        _ANYTHING,
    )
)
def test_claims_of_any_kind_raise_nothing_else(claims: dict[str, Any]) -> None:
    rules = {
        **verified(sub="${username}"),
        "issuer": frozenset({"a"}),
        "audience": frozenset({"a"}),
    }
    for each in ({}, {"from_username": True, "require_exp": False}, rules):
        with contextlib.suppress(BadToken):
            identity(each, **claims)

"""What an answer says, and which answers say nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.auth.http_answer import Allowed, Denied, read_answer
from mqttd.http_backend.answer import BadAnswer
from mqttd.identity import AccessRule, Refused

NOW = 1_800_000_000.5
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def read(status: int, kind: str | None = None, body: bytes = b"") -> Allowed | Denied | None:
    return read_answer(status, kind, body, NOW)


def answer(**fields: Any) -> Allowed | Denied | None:
    return read(200, JSON, json.dumps({"result": "allow"} | fields).encode())


def test_204_lets_in() -> None:
    assert read(204) == Allowed()
    assert read(204, "text/html", b"whatever") == Allowed()


@pytest.mark.parametrize(
    ("result", "expected"), [("allow", Allowed()), ("deny", Denied()), ("ignore", None)]
)
def test_results(result: str, expected: object) -> None:
    assert read(200, JSON, json.dumps({"result": result}).encode()) == expected
    assert read(200, "Application/JSON; charset=utf-8", b'{"result": "%s"}' % result.encode()) == (
        expected
    )
    assert read(200, FORM, f"result={result}".encode()) == expected


def test_without_a_result_others_are_asked() -> None:
    assert read(200, JSON, b"{}") is None
    assert read(200, FORM, b"") is None


@pytest.mark.parametrize("status", [100, 201, 202, 301, 302, 400, 401, 403, 404, 429, 500, 503])
def test_other_statuses_are_failures(status: int) -> None:
    with pytest.raises(BadAnswer) as caught:
        read(status, JSON, b'{"result": "allow"}')
    assert (caught.value.cause, str(status) in caught.value.text) == ("bad-status", True)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (None, b'{"result": "allow"}'),
        ("", b'{"result": "allow"}'),
        ("text/plain", b'{"result": "allow"}'),
        ("text/html", b"<html>allow</html>"),
        (JSON, b""),
        (JSON, b"allow"),
        (JSON, b'"allow"'),
        (JSON, b'["result", "allow"]'),
        (JSON, b"null"),
        (JSON, b'{"result": "allow"'),
        (JSON, b'{"result": "Allow"}'),
        (JSON, b'{"result": "yes"}'),
        (JSON, b'{"result": true}'),
        (JSON, b'{"result": null}'),
        (JSON, b'{"result": ["allow"]}'),
        (JSON, b'{"result": "deny", "result": "allow"}'),
        (JSON, b'{"result": "allow", "x": NaN}'),
        (JSON, b'{"result": "allow", "x": \xff}'),
        (JSON, '{"result": "allow"}'.encode("utf-16")),
        (JSON, b'{"result": "allow", "x": ' + b"[" * 60000),
        (FORM, b"result=deny&result=allow"),
        (FORM, b"result"),
        (FORM, b"result=%ff"),
        (FORM, b"\xff=allow"),
        (FORM, b"a=1&" * 2000 + b"result=allow"),
    ],
)
def test_garbage_is_a_failure(kind: str | None, body: bytes) -> None:
    with pytest.raises(BadAnswer) as caught:
        read(200, kind, body)
    assert caught.value.cause == "bad-content"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        ("true", True),
        (1, True),
        (False, False),
        ("false", False),
        (0, False),
        ("1", False),
        (1.0, False),
        (2, False),
        ("yes", False),
        (None, False),
        ([True], False),
    ],
)
def test_superusers(value: object, expected: bool) -> None:
    assert answer(is_superuser=value) == Allowed(is_superuser=expected)


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("1", True), ("0", False)])
def test_superusers_in_a_form(text: str, expected: bool) -> None:
    found = read(200, FORM, urlencode({"result": "allow", "is_superuser": text}).encode())
    assert found == Allowed(is_superuser=expected)


def test_attributes() -> None:
    assert answer(client_attrs={"site": "north"}) == Allowed(attributes={"site": "north"})
    assert answer(client_attrs={}) == Allowed()
    for wrong in (["a"], "a", 5, {"a": 1}, {"a": None}, {"a": {"b": "c"}}, {"a": "\0"}):
        with pytest.raises(BadAnswer):
            answer(client_attrs=wrong)


def test_the_end_of_a_session() -> None:
    assert answer(expire_at=1_800_000_001) == Allowed(expires_at=1_800_000_001)
    form = read(200, FORM, b"result=allow&expire_at=1800000001&clientid_override=")
    assert form == Allowed(expires_at=1_800_000_001)
    assert answer(expire_at=None) == Allowed()


@pytest.mark.parametrize(
    "value", [1_800_000_000, 0, -1, 1_900_000_000.0, "1900000000", True, [], 1_900_000_000_000]
)
def test_an_end_that_makes_no_sense_refuses(value: object) -> None:
    with pytest.raises(Refused) as caught:
        answer(expire_at=value)
    assert caught.value.reason_code == 0x86


def test_who_is_denied_is_denied_whatever_else_is_said() -> None:
    body = b'{"result": "deny", "expire_at": "x", "client_attrs": 5}'
    assert read(200, JSON, body) == Denied()


def test_client_id_and_rules() -> None:
    assert answer(clientid_override="c2") == Allowed(client_id="c2")
    rule = {"permission": "deny", "action": "publish", "topic": "a"}
    deny = AccessRule(allow=False, action="publish", topics=("a",))
    assert answer(acl=[rule]) == Allowed(rules=(deny,))
    assert answer(acl="") == Allowed()
    assert answer(acl=[]) == Allowed(rules=(AccessRule(allow=True, action="all", topics=()),))
    for wrong in (5, ["a"], "a\0", "\ud800", "x" * 70_000):
        with pytest.raises(BadAnswer):
            answer(clientid_override=wrong)
    with pytest.raises(BadAnswer):
        answer(acl="allow all")
    with pytest.raises(BadAnswer, match="acl that rule 2: permission is neither"):
        answer(acl=[rule, rule | {"permission": "maybe"}])


@given(body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode), form=st.booleans())
def test_no_body_makes_it_fail_otherwise(body: bytes, form: bool) -> None:
    try:
        found = read(200, FORM if form else JSON, body)
    except BadAnswer:
        return
    assert found is None


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
FIELDS = ["is_superuser", "client_attrs", "expire_at", "acl", "clientid_override", "other"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES))
def test_no_field_makes_it_fail_otherwise(fields: dict[str, Any]) -> None:
    try:
        found = answer(**fields)
    except (BadAnswer, Refused):
        return
    assert isinstance(found, Allowed)
    assert found.expires_at is None or found.expires_at > NOW

"""Tokens taken apart: what is one, what is none, and what nobody should accept."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.auth.jwt_token import BadToken, decode_base64url, parse_json, parse_token


def encoded(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def compact(header: Any, payload: Any = b"{}", signature: bytes = b"sig") -> bytes:
    return b".".join(map(encoded, (header, payload, signature)))


def test_a_token_has_its_parts() -> None:
    text = compact({"alg": "ES256", "kid": "k"}, {"sub": "a"}, b"\xff\xfe")
    token = parse_token(text)
    assert token is not None
    assert (token.algorithm, token.key_id) == ("ES256", "k")
    assert token.payload == b'{"sub": "a"}'
    assert token.signature == b"\xff\xfe"
    assert token.signed == text.rpartition(b".")[0]


def test_nothing_of_it_is_in_its_repr() -> None:
    assert "sub" not in repr(parse_token(compact({"alg": "HS256"}, {"sub": "a"})))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a password",
        b"..",
        b"a.b.c",
        b"a.b",
        compact({"alg": "HS256"}) + b".more",  # a JWE has five parts
        compact({"alg": "HS256"}) + b"=",
        compact({"alg": "HS256"}).replace(b".", b". ", 1),
        compact({"alg": "HS256"}) + b"\n",
        compact(["HS256"]),
        compact("HS256"),
        compact({"typ": "JWT"}),
        compact({"alg": None}),
        compact({"alg": ["HS256"]}),
        compact(b'{"alg": "HS256", "alg": "none"}'),
        compact(b'{"alg": NaN}'),
        compact(b"\xff\xff"),
        compact(b"[" * 5000),
        compact(b'{"alg": "HS256"'),
    ],
    ids=range(19),
)
def test_what_is_no_token_is_none(text: bytes) -> None:
    assert parse_token(text) is None


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "crit": ["b64"], "b64": False},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "kid": 1},
        {"alg": "HS256", "kid": ["k"]},
        {"alg": "HS256", "kid": "k" * 1025},
    ],
    ids=range(5),
)
def test_some_tokens_nobody_should_accept(header: Any) -> None:
    with pytest.raises(BadToken):
        parse_token(compact(header))


def test_only_plain_base64url_counts() -> None:
    assert decode_base64url(b"_-8") == b"\xff\xef"
    for text in (b"/+8", b"_-8=", b"_", b"_-9", b"_- 8", b"_-8\n", "ü".encode()):
        assert decode_base64url(text) is None


def test_json_is_strict() -> None:
    assert parse_json(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    for data in (b'{"a": 1, "a": 1}', b"Infinity", b"", b"\xff", b"[" * 100_000, b"9" * 5000):
        with pytest.raises(ValueError):  # noqa: PT011 - the text is the parser's
            parse_json(data)


@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_else(data: bytes) -> None:
    for text in (data, compact(data), compact({"alg": "HS256"}) + data, b".".join([data] * 3)):
        with contextlib.suppress(BadToken):
            parse_token(text)


@given(st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists, max_leaves=5))
def test_headers_of_any_kind_never_raise_anything_else(value: Any) -> None:
    for header in ({"alg": value}, {"alg": "HS256", "kid": value}, value):
        with contextlib.suppress(BadToken):
            parse_token(compact(header))

"""User names that are tokens are not shown."""

from __future__ import annotations

import jwt
import pytest

from mqttd.log.packets import describe
from mqttd.log.tokens import without_token
from mqttd.packets.connect import Connect

KEY = "a secret of 64 bytes, which is as many as the largest hash needs"


@pytest.mark.parametrize("headers", [{}, {"typ": None}, {"kid": "k" * 500}])
def test_a_token_is_not_shown(headers: dict[str, str | None]) -> None:
    token = jwt.encode({"sub": "a"}, KEY, headers=headers)
    assert without_token(token) == "<token>"
    assert without_token(token.rpartition(".")[0] + ".") == "<token>"
    assert token[:40] not in describe(Connect("c", username=token))


@pytest.mark.parametrize(
    "name", [None, "", "alice", "eve.has.dots", "sensor.a.b", "eyewitness-of-everything", "a.b.c"]
)
def test_a_name_is(name: str | None) -> None:
    assert without_token(name) == name

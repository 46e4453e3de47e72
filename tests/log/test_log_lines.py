"""The lines about clients are mosquitto's, word for word."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import Logger

from mqttd.log.lines import client_connected, client_disconnected, new_connection
from mqttd.log.text import message_of

CLIENT: dict[str, Any] = {"listener": "ssl:default", "peer": "127.0.0.1:51348"}


@pytest.fixture
def events() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def logger(events: list[dict[str, Any]]) -> Logger:
    return Logger(namespace="mqttd.test", observer=events.append)  # type: ignore[arg-type]


@pytest.mark.parametrize(("level", "shown"), [(3, 1), (4, 2), (5, 5)])
@pytest.mark.parametrize(
    ("username", "user"), [(None, ""), ("", ", u''"), ("sensor", ", u'sensor'")]
)
def test_a_client_that_connected(
    logger: Logger,
    events: list[dict[str, Any]],
    level: int,
    shown: int,
    username: str | None,
    user: str,
) -> None:
    client_connected(
        logger, **CLIENT, client_id="a", level=level, clean_start=True, keep_alive=60,
        username=username, cipher="TLS_AES_128_GCM_SHA256",
    )  # fmt: skip
    assert message_of(events[0]) == (
        f"New client connected from 127.0.0.1:51348 as a (p{shown}, c1, k60{user})."
    )
    assert events[0]["event"] == "client_connected"
    assert events[0]["cipher"] == "TLS_AES_128_GCM_SHA256"


def test_the_identity_of_a_key(logger: Logger, events: list[dict[str, Any]]) -> None:
    client_connected(
        logger, **CLIENT, client_id="a", level=5, clean_start=True, keep_alive=60,
        username="u", psk_identity="it's me",
    )  # fmt: skip
    assert message_of(events[0]).endswith(" as a (p5, c1, k60, u'u', psk'it\\x27s me').")
    assert events[0]["psk_identity"] == "it's me"


def test_a_quote_in_a_name_does_not_end_the_name(
    logger: Logger, events: list[dict[str, Any]]
) -> None:
    client_connected(
        logger, **CLIENT, client_id="a b", level=5, clean_start=False, keep_alive=0,
        username="x').\n",
    )  # fmt: skip
    assert message_of(events[0]) == (
        r"New client connected from 127.0.0.1:51348 as a\x20b (p5, c0, k0, u'x\x27).\n')."
    )
    assert events[0]["username"] == "x').\n"


def test_a_client_that_left(logger: Logger, events: list[dict[str, Any]]) -> None:
    client_disconnected(
        logger, **CLIENT, client_id="a", username=None, reason="session taken over"
    )
    assert message_of(events[0]) == "Client a [127.0.0.1:51348] disconnected: session taken over."


def test_a_socket_that_was_accepted(logger: Logger, events: list[dict[str, Any]]) -> None:
    new_connection(logger, **CLIENT, port=8883)
    assert message_of(events[0]) == "New connection from 127.0.0.1:51348 on port 8883."

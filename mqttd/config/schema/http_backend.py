"""The options of asking HTTP servers, the same for authentication and authorization."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from mqttd.config import types
from mqttd.config.errors import InvalidValue
from mqttd.config.option import (
    BOOLEAN,
    TEXT,
    TEXT_LIST,
    Kind,
    choice,
    duration,
    integer,
    option,
    section,
    size,
)
from mqttd.config.schema.client_tls import ClientTLSOptions

_DEEPEST: Final = 16
"""Levels of sections in a body; more is a mistake."""


def _parse_headers(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidValue(f"expects a section {{ ... }}, not {types.shown(value)}")
    headers = {}
    for name, text in value.items():
        if isinstance(text, Mapping | list):
            raise InvalidValue(
                f"the header {name} expects text", "put a name with dots in double quotes"
            )
        headers[str(name)] = _scalar_text(text)
    return headers


def _scalar_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else types.parse_text(value)


def _parse_body(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidValue(
            f"expects a section {{ ... }}, not {types.shown(value)}",
            'write body { username = "${username}", password = "${password}" }',
        )
    body: dict[str, Any] = _plain(value, 0)
    return body


def _plain(value: object, depth: int) -> Any:
    """The value made of dicts, lists and scalars only."""
    if depth > _DEEPEST:
        raise InvalidValue(f"has more than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise InvalidValue(f"holds something that is no text, number or section: {types.shown(value)}")


def _show_body(value: Mapping[str, Any]) -> str:
    inner = ", ".join(f'{key} = "{text}"' for key, text in value.items())
    return f"{{ {inner} }}" if inner else "{}"


HEADERS: Final = Kind("section of texts", _parse_headers, _show_body)
BODY: Final = Kind("section of templates", _parse_body, _show_body)


@attrs.frozen(kw_only=True)
class CircuitBreakerOptions:
    """When a server that does not answer is left alone: ``circuit_breaker``."""

    failures: int = option(
        integer(1, 1000000),
        5,
        """Questions in a row that a server failed (no answer, or 502, 503, 504) before it is left
        alone.""",
    )
    reset: float = option(
        duration(0.001),
        10.0,
        "Time it is left alone; then one question tries whether it is back.",
    )


@attrs.frozen(kw_only=True)
class AnswerCacheOptions:
    """How long answers are remembered: ``cache``."""

    enable: bool = option(BOOLEAN, True, "Whether allow and deny are remembered.")
    ttl: float = option(
        duration(0.001, high=86400.0),
        60.0,
        """Time an answer holds; what the server changed meanwhile, a withdrawn password or right,
        is not seen until then. Never past the answer's ``expire_at``.""",
    )
    max_size: int = option(
        integer(1, 1000000), 10000, "Most answers kept; the one not used for longest goes first."
    )


@attrs.frozen(kw_only=True)
class HttpBackendOptions:
    """Servers, what they are asked, and the bounds of it.

    ``url``, ``headers`` and ``body`` are templates: ``${username}`` and the like stand for what
    is known of the client.
    """

    url: str | None = option(
        TEXT,
        None,
        """Address of the server, http or https. Placeholders may stand in its path and query.""",
        hidden=True,
    )
    urls: list[str] = option(
        TEXT_LIST,
        [],
        "Several addresses in place of ``url``; the next is asked when one fails.",
        hidden=True,
    )
    method: str = option(
        choice("get", "post"),
        "post",
        "How to ask; with ``get``, ``body`` becomes part of the query.",
    )
    headers: dict[str, str] = option(
        HEADERS,
        {},
        """Further headers, templates as well. A ``content-type`` of
        ``application/x-www-form-urlencoded`` makes the body a form, else it is JSON.""",
        hidden=True,
    )
    body: dict[str, Any] = option(BODY, {}, "What is sent: names and templates.", hidden=True)
    connect_timeout: float = option(
        duration(0.001), 15.0, "Longest time for a connection; part of ``request_timeout``."
    )
    request_timeout: float = option(
        duration(0.001),
        5.0,
        "Longest time for one question to one server: turn, connection, answer and body.",
    )
    body_timeout: float | None = option(
        duration(0.001),
        None,
        "Longest time for an answer's body once its head is there. Unset: ``request_timeout``.",
    )
    pool_size: int = option(
        integer(1, 10000),
        16,
        """Most questions at a time to one server, each on a connection of its own; others wait
        their turn.""",
    )
    max_body: int = option(size(1, 16 << 20), 64 << 10, "Largest body of an answer.")
    enable_pipelining: Any = option(
        Kind("any", lambda value: value, lambda _: "100"),
        None,
        "Questions sent ahead on a connection.",
        ignored="each connection carries one question at a time; see pool_size",
    )
    max_inactive: Any = option(
        Kind("any", lambda value: value, lambda _: "10s"),
        None,
        "How long an unused connection is kept.",
        ignored="unused connections are kept for 15 seconds",
    )
    ssl: ClientTLSOptions | None = section(
        None, "TLS to the server; without it, an https one is checked by the system's authorities."
    )
    circuit_breaker: CircuitBreakerOptions = section(
        CircuitBreakerOptions, "When a server that does not answer is left alone."
    )
    cache: AnswerCacheOptions | None = section(
        None, "How long answers are remembered; without it, not at all."
    )

    @property
    def servers(self) -> tuple[str, ...]:
        """The addresses in the order they are asked."""
        return (self.url, *self.urls) if self.url is not None else tuple(self.urls)

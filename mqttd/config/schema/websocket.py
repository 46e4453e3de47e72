"""The ``websocket`` section of ws and wss listeners."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

import attrs

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
from mqttd.config.types import parse_text, shown


def _parse_path(value: object) -> str:
    path = parse_text(value)
    if not path.startswith("/") or any(mark in path for mark in "?# \t\r\n"):
        raise InvalidValue(
            f"{shown(path)} is no path", 'write a path that starts with "/", such as "/mqtt"'
        )
    return path


_LEVELS = {"none": 0, "default": -1, "best_speed": 1, "best_compression": 9}


def _parse_level(value: object) -> int | None:
    if isinstance(value, str) and value.strip().lower() in _LEVELS:
        return _LEVELS[value.strip().lower()]
    level: int | None = integer(-1, 9).parse(value)
    return level


_TAKEOVER = choice("takeover", "no_takeover")


@attrs.frozen(kw_only=True)
class DeflateOptions:
    """Compression of WebSocket messages: ``websocket.deflate_opts``; used with ``compress``."""

    level: int | None = option(
        Kind("integer -1..9 or a word", _parse_level),
        None,
        """Compression level 0 (none) to 9 (best), or ``none``, ``default``, ``best_speed``,
        ``best_compression``; unset is the library's own choice.""",
    )
    mem_level: int = option(integer(1, 9), 8, "Memory used by the compressor, 1 to 9.")
    strategy: str = option(
        choice("default", "filtered", "huffman_only", "rle"),
        "default",
        "Tuning of the compressor for a kind of data.",
    )
    server_context_takeover: str = option(
        _TAKEOVER, "takeover", "Whether the server keeps its compression window between messages."
    )
    client_context_takeover: str = option(
        _TAKEOVER, "takeover", "Whether clients keep their compression window between messages."
    )
    server_max_window_bits: int = option(
        integer(8, 15), 15, "Size of the server's compression window, as a power of two."
    )
    client_max_window_bits: int = option(
        integer(8, 15), 15, "Size of the clients' compression window, as a power of two."
    )


@attrs.frozen(kw_only=True)
class WebSocketOptions:
    """MQTT over WebSocket: ``listeners.{ws,wss}.NAME.websocket``."""

    mqtt_path: str = option(
        Kind("URL path", _parse_path, lambda value: f'"{value}"'),
        "/mqtt",
        "Path of the WebSocket; with ``/[...]`` at its end, paths below it are accepted too.",
    )
    mqtt_piggyback: str = option(
        choice("multiple", "single"),
        "multiple",
        "Whether one WebSocket message may hold several MQTT packets (``multiple``) or one.",
    )
    compress: bool = option(BOOLEAN, False, "Offer compression (permessage-deflate).")
    idle_timeout: float = option(
        duration(1.0, infinity=True),
        7200.0,
        "Close a WebSocket on which nothing arrived for so long.",
    )
    max_frame_size: int | None = option(
        size(1, infinity=True),
        None,
        "Largest WebSocket frame accepted from a client.",
        shown_default="infinity",
    )
    fail_if_no_subprotocol: bool = option(
        BOOLEAN,
        True,
        "Refuse clients that offer none of ``supported_subprotocols`` [MQTT-6.0.0-3].",
    )
    supported_subprotocols: list[str] = option(
        TEXT_LIST,
        ["mqtt", "mqtt-v3", "mqtt-v3.1.1", "mqtt-v5"],
        "WebSocket subprotocols accepted, best first.",
    )
    check_origin_enable: bool = option(
        BOOLEAN, False, "Accept browsers only from the pages listed in ``check_origins``."
    )
    allow_origin_absence: bool = option(
        BOOLEAN,
        True,
        "With ``check_origin_enable``: accept clients that send no Origin header (no browser).",
    )
    check_origins: list[str] = option(
        TEXT_LIST, [], "Origins accepted, such as ``https://example.com``."
    )
    proxy_address_header: str = option(
        TEXT,
        "",
        """HTTP header that holds the client's address, such as ``x-forwarded-for``; empty: none.
        Anybody can send such a header: set it only where all clients come through your proxy.""",
    )
    proxy_port_header: str = option(
        TEXT, "", "HTTP header that holds the client's port; empty: none."
    )
    validate_utf8: bool = option(
        BOOLEAN,
        True,
        "Check that text frames are UTF-8.",
        ignored="MQTT uses binary frames only; text frames are refused unread",
    )
    deflate_opts: DeflateOptions = section(DeflateOptions, "Compression parameters.")

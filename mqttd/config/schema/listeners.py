"""The ``listeners`` section: every port the broker listens on, by type and name."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from mqttd.broker.certificate_identity import SOURCES
from mqttd.config.access_rules import parse_access_rules
from mqttd.config.errors import InvalidValue
from mqttd.config.mountpoint import parse_mountpoint
from mqttd.config.option import (
    BIND,
    BOOLEAN,
    RATE,
    SECTIONS,
    TEXT,
    Kind,
    choice,
    duration,
    integer,
    internal,
    option,
    section,
)
from mqttd.config.schema.tcp import TcpOptions
from mqttd.config.schema.tls import SslOptions
from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.config.types import Bind, Rate, shown

LISTENER_TYPES = ("tcp", "ssl", "ws", "wss")
TLS_TYPES = ("ssl", "wss")
WEBSOCKET_TYPES = ("ws", "wss")

DEFAULT_BINDS = {
    "tcp": Bind("127.0.0.1", 1883),
    "ssl": Bind("0.0.0.0", 8883),  # noqa: S104 - TLS listeners are there to be reached
    "ws": Bind("127.0.0.1", 8083),
    "wss": Bind("0.0.0.0", 8084),  # noqa: S104
}
"""Where a listener without ``bind`` listens: plain ones only on loopback, unlike EMQX's."""


def _parse_enable_authn(value: object) -> bool | str:
    if isinstance(value, str) and value.strip().lower() == "quick_deny_anonymous":
        return "quick_deny_anonymous"
    try:
        result: bool = BOOLEAN.parse(value)
    except InvalidValue:
        problem = f"expects true, false or quick_deny_anonymous, not {shown(value)}"
        raise InvalidValue(problem, "write one of them") from None
    return result


@attrs.frozen(kw_only=True)
class ListenerOptions:
    """One listener: ``listeners.TYPE.NAME``. Its id is ``TYPE:NAME``, such as ``ssl:default``."""

    type: str = internal("tcp")
    name: str = internal("default")
    enable: bool = option(
        BOOLEAN, True, "``false`` keeps the listener in the file without starting it."
    )
    bind: Bind = option(
        BIND,
        Bind("127.0.0.1", 0),
        """Address and port to listen on: ``8883`` or ``:8883`` (every IPv4 address),
        ``127.0.0.1:8883``, ``[::1]:8883``. Host names are not accepted. Unset: tcp 127.0.0.1:1883,
        ssl 0.0.0.0:8883, ws 127.0.0.1:8083, wss 0.0.0.0:8084.""",
        shown_default="by type",
    )
    max_connections: int | None = option(
        integer(1, unlimited=("infinity",)),
        None,
        "Most connections at a time; one more is closed at once.",
        shown_default="infinity",
    )
    max_conn_rate: Rate | None = option(
        RATE,
        None,
        """New connections accepted in a time, such as ``100/s`` or ``500/10s``; those above it are
        closed at once.""",
        shown_default="infinity",
    )
    max_conn_burst: Rate | None = option(
        RATE,
        None,
        """Connections accepted on top of ``max_conn_rate``, such as ``10000/60m``: so many at
        once, and again after that time.""",
    )
    messages_rate: Rate | None = option(
        RATE,
        None,
        """Messages that one client may publish in a time, such as ``100/1s``. A client that sends
        faster is not read for a while: nothing is dropped.""",
        shown_default="infinity",
    )
    messages_burst: Rate | None = option(
        RATE, None, "Messages of one client on top of ``messages_rate``, such as ``10000/60m``."
    )
    bytes_rate: Rate | None = option(
        RATE,
        None,
        """Bytes that one client may send in a time, such as ``1MB/1s``; likewise.""",
        shown_default="infinity",
    )
    bytes_burst: Rate | None = option(
        RATE, None, "Bytes of one client on top of ``bytes_rate``, such as ``100MB/60m``."
    )
    listener_messages_rate: Rate | None = option(
        RATE,
        None,
        """Messages that all clients of this listener together may publish in a time. Those that
        send take turns.""",
        shown_default="infinity",
    )
    listener_messages_burst: Rate | None = option(
        RATE, None, "Messages on top of ``listener_messages_rate``."
    )
    listener_bytes_rate: Rate | None = option(
        RATE,
        None,
        "Bytes that all clients of this listener together may send in a time; likewise.",
        shown_default="infinity",
    )
    listener_bytes_burst: Rate | None = option(
        RATE, None, "Bytes on top of ``listener_bytes_rate``."
    )
    mountpoint: str = option(
        Kind("text with placeholders", parse_mountpoint, lambda value: f'"{value}"'),
        "",
        """Prefix of every topic of this listener; may hold ``${username}`` and ``${clientid}``,
        each with a ``/`` behind it. A client without a value for it is refused.""",
    )
    access_rules: list[str] = option(
        Kind("list of rules", parse_access_rules, lambda _: '["allow all"]'),
        ["allow all"],
        """Who may connect: rules ``allow`` or ``deny`` with ``all``, an address or a network
        (``"deny 10.0.0.0/8"``). The first that matches decides; where none matches the
        connection is refused (EMQX: accepted). They hold for the real client when
        ``proxy_protocol`` is on.""",
    )
    proxy_protocol: bool = option(
        BOOLEAN,
        False,
        """Every connection starts with a PROXY protocol header, version 1 or 2, from a load
        balancer; one without is closed.""",
    )
    proxy_protocol_timeout: float = option(
        duration(0.001), 3.0, "Longest time for the PROXY header to arrive."
    )
    peer_cert_as_username: str | None = option(
        choice(*SOURCES),
        None,
        """Which part of the client certificate is the username; unset: as
        ``mqtt.peer_cert_as_username`` says.""",
    )
    peer_cert_as_clientid: str | None = option(
        choice(*SOURCES),
        None,
        """Which part of the client certificate is the Client Identifier; unset: as
        ``mqtt.peer_cert_as_clientid`` says.""",
    )
    psk_identity_as_username: bool | None = option(
        BOOLEAN,
        None,
        """Whether the proven pre-shared key identity is the username; unset: as
        ``mqtt.psk_identity_as_username`` says.""",
    )
    enable_authn: bool | str = option(
        Kind("true, false or quick_deny_anonymous", _parse_enable_authn, lambda _: "true"),
        True,
        """Whether clients of this listener are authenticated. ``quick_deny_anonymous``: yes, and
        who names no user is refused before anybody is asked.""",
    )
    authentication: list[Any] = option(
        SECTIONS,
        [],
        "Authenticators of this listener, in place of the global ones.",
    )
    tcp_options: TcpOptions = section(TcpOptions, "Socket options.")
    ssl_options: SslOptions | None = section(None, "TLS options; ssl and wss listeners only.")
    websocket: WebSocketOptions | None = section(
        None, "WebSocket options; ws and wss listeners only."
    )
    acceptors: int = option(
        integer(1),
        16,
        "Size of the pool of acceptors.",
        ignored="one event loop accepts for all listeners",
    )
    zone: str = option(
        TEXT, "default", "Name of a group of settings.", ignored="there are no zones here"
    )
    parse_unit: str = option(
        choice("frame", "chunk"),
        "chunk",
        "What the packet parser is fed with.",
        ignored="the parser always takes whole chunks",
    )
    tcp_backend: str = option(
        choice("gen_tcp", "socket"),
        "socket",
        "Which socket library the Erlang runtime uses.",
        ignored="there is no Erlang runtime here",
    )

    @property
    def id(self) -> str:
        """The listener's id, ``TYPE:NAME``."""
        return f"{self.type}:{self.name}"

    @property
    def path(self) -> str:
        """Where the file has it: ``listeners.TYPE.NAME``."""
        return f"listeners.{self.type}.{self.name}"

    @property
    def uses_tls(self) -> bool:
        """Whether connections are TLS: types ssl and wss."""
        return self.type in TLS_TYPES

    @property
    def uses_websocket(self) -> bool:
        """Whether MQTT runs over WebSocket: types ws and wss."""
        return self.type in WEBSOCKET_TYPES


@attrs.frozen(kw_only=True)
class Listeners:
    """All listeners by type, then by name."""

    tcp: dict[str, ListenerOptions] = attrs.field(factory=dict)
    ssl: dict[str, ListenerOptions] = attrs.field(factory=dict)
    ws: dict[str, ListenerOptions] = attrs.field(factory=dict)
    wss: dict[str, ListenerOptions] = attrs.field(factory=dict)

    def __iter__(self) -> Iterator[ListenerOptions]:
        """Every listener, also those that are not enabled, in the order tcp, ssl, ws, wss."""
        for kind in LISTENER_TYPES:
            by_name: dict[str, ListenerOptions] = getattr(self, kind)
            yield from by_name.values()

    def enabled(self) -> Iterator[ListenerOptions]:
        """The listeners to start."""
        return (listener for listener in self if listener.enable)

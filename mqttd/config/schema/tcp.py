"""The ``tcp_options`` section of a listener."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

import attrs

from mqttd.config.option import BOOLEAN, KEEPALIVE, duration, integer, option, size
from mqttd.config.types import Keepalive


@attrs.frozen(kw_only=True)
class TcpOptions:
    """How the sockets of a listener behave: ``listeners.TYPE.NAME.tcp_options``."""

    backlog: int = option(
        integer(1, 65535), 1024, "Length of the queue of connections not yet accepted."
    )
    nodelay: bool = option(
        BOOLEAN, True, "Send small packets at once (TCP_NODELAY) instead of collecting them."
    )
    keepalive: Keepalive | None = option(
        KEEPALIVE,
        None,
        """TCP keep-alive: seconds of silence before the first probe (1..72000), seconds between
        probes (1..750), probes before the connection counts as dead (1..90).""",
        shown_default="none",
    )
    recbuf: int | None = option(
        size(1024, 1024**3), None, "Receive buffer of the kernel; unset leaves it to the system."
    )
    sndbuf: int | None = option(
        size(1024, 1024**3), None, "Send buffer of the kernel; unset leaves it to the system."
    )
    send_timeout: float = option(
        duration(0.1),
        15.0,
        "Longest time in which a client takes none of the bytes that wait for it.",
    )
    send_timeout_close: bool = option(
        BOOLEAN, True, "Close the connection when ``send_timeout`` has passed."
    )
    high_watermark: int = option(
        size(1024, 1024**3),
        1024 * 1024,
        """Bytes that may wait for one client. Above it nothing more is queued for the client's
        connection: QoS 0 messages to it are dropped and counted, others wait in its Session.""",
    )
    buffer: int = option(
        size(1024, 16 * 1024**2),
        4096,
        "Bytes taken from a socket in one read; 65536 are the least.",
    )
    reuseaddr: bool = option(
        BOOLEAN, True, "Listen although old connections of the port are still winding down."
    )
    nolinger: bool = option(
        BOOLEAN, False, "Close with a reset (RST), so that nothing unsent is kept in the kernel."
    )
    active_n: int = option(
        integer(0),
        10,
        "Messages per activation of a socket.",
        ignored="the event loop reads what there is, in one go",
    )

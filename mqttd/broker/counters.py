"""Running totals since start, read by ``$SYS`` and metrics."""

from __future__ import annotations


class Counters:
    """Totals; only ever grow. ``messages_*`` count Control Packets, ``publish_*`` PUBLISH only."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "connections",
        "messages_received",
        "messages_sent",
        "publish_bytes_received",
        "publish_bytes_sent",
        "publish_dropped",
        "publish_received",
        "publish_sent",
        "sockets",
    )

    def __init__(self) -> None:
        self.bytes_received = 0
        self.bytes_sent = 0
        self.connections = 0
        self.messages_received = 0
        self.messages_sent = 0
        self.publish_bytes_received = 0
        self.publish_bytes_sent = 0
        self.publish_dropped = 0
        self.publish_received = 0
        self.publish_sent = 0
        self.sockets = 0

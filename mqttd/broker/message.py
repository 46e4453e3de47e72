"""An application message inside the broker, encoded at most once per shape."""

from __future__ import annotations

from mqttd.packets.properties import Properties


class Message:
    """One PUBLISH accepted by the broker, or a Will Message, shared by all its receivers.

    ``topic`` is the full Topic Name (mountpoint included), UTF-8 and already validated.
    ``properties`` holds only what is forwarded: payload format, content type, response topic,
    correlation data, user properties, in the sender's order; never alias, expiry or subscription
    identifiers. ``expires_at`` is broker time (seconds) or None. ``publisher`` is the Client
    Identifier that sent it, for No Local. ``encodings`` caches (head, tail) byte pairs by shape.
    """

    __slots__ = (
        "encodings",
        "expires_at",
        "payload",
        "properties",
        "publisher",
        "qos",
        "retain",
        "topic",
    )

    def __init__(
        self,
        topic: bytes,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
        expires_at: float | None = None,
        publisher: str = "",
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties
        self.expires_at = expires_at
        self.publisher = publisher
        self.encodings: dict[tuple[int, ...], tuple[bytes, bytes]] = {}

    def __repr__(self) -> str:
        # Payloads never reach a log or a traceback.
        return f"<Message topic={self.topic!r} qos={self.qos} {len(self.payload)} bytes>"

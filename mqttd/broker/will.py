"""The Will Message and its delay."""

from __future__ import annotations

from mqttd.broker.message import Message


class Will:
    """A message the broker publishes when the client goes without saying goodbye.

    ``delay`` is the Will Delay Interval in seconds (MQTT 5, 3.1.3.2.2). ``expiry`` is the Will's
    Message Expiry Interval in seconds or None; it starts to run when the Will is published.
    """

    __slots__ = ("delay", "expiry", "message")

    def __init__(self, message: Message, delay: float = 0.0, expiry: int | None = None) -> None:
        self.message = message
        self.delay = delay
        self.expiry = expiry

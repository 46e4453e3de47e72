"""Messages that wait for a slow or absent client; bounded."""

from __future__ import annotations

import math
from collections import deque
from heapq import merge
from typing import NamedTuple

from mqttd.broker.message import Message


class Waiting(NamedTuple):
    """A message and how it is to be delivered."""

    message: Message
    qos: int
    retain: bool
    subscription_ids: tuple[int, ...]
    group: str | None


class MessageQueue:
    """First in, first out, at most ``maximum``; None means no limit.

    When it is full, a message with QoS > 0 takes the place of one with QoS 0, which nobody was
    promised. Without one ``policy`` decides: the ``oldest`` goes, or the ``newest``, which is the
    one that comes. A QoS 0 message never takes the place of one with QoS > 0. What is done costs
    the same however much waits.

    ``dropped`` counts the messages lost so, not those that expired. ``bytes`` is the payload that
    waits. ``earliest`` is a time (seconds) before which nothing in the queue expires.
    """

    __slots__ = (
        "_drop_oldest",
        "_maximum",
        "_number",
        "_promised",
        "_qos_0",
        "bytes",
        "dropped",
        "earliest",
    )

    def __init__(self, maximum: int | None, policy: str = "oldest") -> None:
        self._maximum = math.inf if maximum is None else maximum
        self._drop_oldest = policy == "oldest"
        self._number = 0
        self._promised: deque[tuple[int, Waiting]] = deque()
        self._qos_0: deque[tuple[int, Waiting]] = deque()
        self.bytes = 0
        self.dropped = 0
        self.earliest = math.inf

    def __len__(self) -> int:
        return len(self._promised) + len(self._qos_0)

    @property
    def holds_qos_0(self) -> bool:
        """Whether a QoS 0 message waits."""
        return bool(self._qos_0)

    def has_room(self, now: float) -> bool:
        """Whether one more can be added and nothing is lost by it."""
        if len(self) < self._maximum:
            return True
        self.remove_expired(now)
        return len(self) < self._maximum

    def put(self, item: Waiting, now: float) -> Waiting | None:
        """Add to the end; returns the message that was lost by it, which may be ``item``."""
        lost = None
        if not self.has_room(now):
            lost = self._make_room(item)
            if lost is item:
                return item
        self._number += 1
        (self._promised if item.qos else self._qos_0).append((self._number, item))
        self.bytes += len(item.message.payload)
        expires_at = item.message.expires_at
        if expires_at is not None and expires_at < self.earliest:
            self.earliest = expires_at
        return lost

    def _make_room(self, new: Waiting) -> Waiting:
        """Drop one, maybe the new one, and return it."""
        self.dropped += 1
        if new.qos:
            victims = self._qos_0 or self._promised
            by_policy = victims is self._promised
        else:
            victims = self._qos_0
            by_policy = True
        if not victims or (by_policy and not self._drop_oldest):
            return new
        _, item = victims.popleft()
        self.bytes -= len(item.message.payload)
        return item

    def take(self, now: float, *, promised: bool = True, qos_0: bool = True) -> Waiting | None:
        """The next message that has not expired, or None. [MQTT-3.3.2-5].

        ``promised`` and ``qos_0`` say whether the client can take one with QoS > 0, and with 0.
        """
        while True:
            source = self._next(promised, qos_0)
            if not source:
                return None
            _, item = source.popleft()
            message = item.message
            self.bytes -= len(message.payload)
            if message.expires_at is None or message.expires_at > now:
                return item

    def _next(self, promised: bool, qos_0: bool) -> deque[tuple[int, Waiting]]:
        if not qos_0:
            return self._promised if promised else deque()
        if not promised or not self._promised:
            return self._qos_0
        if self._qos_0 and self._qos_0[0][0] < self._promised[0][0]:
            return self._qos_0
        return self._promised

    def remove_expired(self, now: float) -> int:
        """Forget what has expired; returns how many messages were looked at."""
        if now < self.earliest:
            return 0
        seen = len(self)
        self.earliest = math.inf
        self._promised = self._alive(self._promised, now)
        self._qos_0 = self._alive(self._qos_0, now)
        return seen

    def _alive(
        self, waiting: deque[tuple[int, Waiting]], now: float
    ) -> deque[tuple[int, Waiting]]:
        alive: deque[tuple[int, Waiting]] = deque()
        for number, item in waiting:
            expires_at = item.message.expires_at
            if expires_at is not None:
                if expires_at <= now:
                    self.bytes -= len(item.message.payload)
                    continue
                self.earliest = min(self.earliest, expires_at)
            alive.append((number, item))
        return alive

    def drain(self) -> list[Waiting]:
        """Everything in the order it came, and the queue is empty."""
        items = [item for _, item in merge(self._promised, self._qos_0, key=lambda pair: pair[0])]
        self._promised.clear()
        self._qos_0.clear()
        self.bytes = 0
        self.earliest = math.inf
        return items

"""Messages that wait for a slow or absent client; bounded."""

from __future__ import annotations

from collections import deque
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
    """First in, first out. ``maximum`` None means no limit.

    When it is full a QoS 0 message makes room first, for nobody was promised it; then the oldest
    (``oldest``) or the one that comes (``newest``) is dropped. ``dropped`` counts them.
    """

    __slots__ = ("_drop_oldest", "_maximum", "_qos_0", "_waiting", "dropped")

    def __init__(self, maximum: int | None, policy: str = "oldest") -> None:
        self._maximum = maximum
        self._drop_oldest = policy == "oldest"
        self._waiting: deque[Waiting] = deque()
        self._qos_0 = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether one more would make another go."""
        return self._maximum is not None and len(self._waiting) >= self._maximum

    def put(self, item: Waiting) -> bool:
        """Add to the end; returns whether a message was lost by it."""
        lost = self.full
        if lost and not self._make_room(item.qos):
            return True
        self._waiting.append(item)
        if not item.qos:
            self._qos_0 += 1
        return lost

    def _make_room(self, qos: int) -> bool:
        """Drop one; False when it is the new one that is dropped."""
        self.dropped += 1
        waiting = self._waiting
        if self._qos_0:
            for number, each in enumerate(waiting):
                if not each.qos:
                    del waiting[number]
                    self._qos_0 -= 1
                    return True
        if qos and self._drop_oldest and waiting:
            waiting.popleft()
            return True
        return False

    def take(self, now: float) -> Waiting | None:
        """The next message that has not expired, or None. [MQTT-3.3.2-5]."""
        waiting = self._waiting
        while waiting:
            item = waiting.popleft()
            if not item.qos:
                self._qos_0 -= 1
            expires_at = item.message.expires_at
            if expires_at is None or expires_at > now:
                return item
        return None

    def drain(self) -> list[Waiting]:
        """Everything, and the queue is empty."""
        items = list(self._waiting)
        self._waiting.clear()
        self._qos_0 = 0
        return items

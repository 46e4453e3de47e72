"""Retained Messages: one for each Topic Name, found by Topic Filter."""

from __future__ import annotations

import math

from mqttd.broker.deadlines import Deadlines
from mqttd.broker.message import Message


class _Node:
    __slots__ = ("children", "message")

    def __init__(self) -> None:
        self.children: dict[bytes, _Node] = {}
        self.message: Message | None = None


class RetainedMessages:
    """A tree of levels with at most one message at each node.

    ``maximum`` bounds their number, ``maximum_bytes`` the bytes of their topics and payloads; what
    does not fit is not kept, and :meth:`keep` says so. ``bytes`` counts payloads alone.
    """

    __slots__ = ("_expiries", "_held", "_root", "bytes", "count", "maximum", "maximum_bytes")

    def __init__(self, maximum: int | None = None, maximum_bytes: int | None = None) -> None:
        self._root = _Node()
        self._expiries: Deadlines[bytes] = Deadlines()
        self._held = 0
        self.maximum = maximum
        self.maximum_bytes = maximum_bytes
        self.count = 0
        self.bytes = 0

    def keep(self, message: Message) -> bool:
        """Store the newest message of its topic. [MQTT-3.3.1-5]; False when there is no room.

        The topic's earlier message goes either way: it is no longer the last one.
        """
        topic = message.topic
        node = self._find(topic)
        earlier = None if node is None else node.message
        size = len(topic) + len(message.payload)
        if earlier is not None:
            size -= len(topic) + len(earlier.payload)
        if self._exceeds(earlier is None, size):
            self.remove(topic)
            return False
        if node is None:
            node = self._make(topic)
        node.message = message
        if earlier is None:
            self.count += 1
        else:
            self.bytes -= len(earlier.payload)
        self.bytes += len(message.payload)
        self._held += size
        expires_at = message.expires_at
        self._expiries.set(topic, math.inf if expires_at is None else expires_at)
        return True

    def _exceeds(self, is_new: bool, size: int) -> bool:
        """Whether one more topic (or none) and ``size`` more bytes are too many."""
        if self.maximum is not None and self.count + is_new > self.maximum:
            return True
        return self.maximum_bytes is not None and self._held + size > self.maximum_bytes

    def _find(self, topic: bytes) -> _Node | None:
        node = self._root
        for level in topic.split(b"/"):
            child = node.children.get(level)
            if child is None:
                return None
            node = child
        return node

    def _make(self, topic: bytes) -> _Node:
        node = self._root
        for level in topic.split(b"/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        return node

    def remove(self, topic: bytes) -> None:
        """Forget a topic's message. [MQTT-3.3.1-6], [MQTT-3.3.1-7]."""
        levels = topic.split(b"/")
        path = [self._root]
        for level in levels:
            child = path[-1].children.get(level)
            if child is None:
                return
            path.append(child)
        node = path.pop()
        message = node.message
        if message is None:
            return
        node.message = None
        self._expiries.cancel(topic)
        self.count -= 1
        self.bytes -= len(message.payload)
        self._held -= len(topic) + len(message.payload)
        for parent, level in zip(reversed(path), reversed(levels), strict=True):
            child = parent.children[level]
            if child.message is not None or child.children:
                return
            del parent.children[level]

    def remove_expired(self, now: float, limit: int) -> int:
        """Forget messages whose time has passed, at most ``limit``; returns how many."""
        for done in range(limit):
            topic = self._expiries.take_due(now)
            if topic is None:
                return done
            self.remove(topic)
        return limit

    def match(self, topic_filter: bytes, now: float) -> list[Message]:
        """The messages whose topics match; expired ones are removed on the way."""
        levels = topic_filter.split(b"/")
        nodes = [self._root]
        found: list[Message] = []
        for number, level in enumerate(levels):
            if level == b"#":
                for node in nodes:
                    _collect(node, found, skip_dollar=not number)
                    if number and node.message is not None:
                        found.append(node.message)
                break
            if level == b"+":
                nodes = [
                    child
                    for node in nodes
                    for name, child in node.children.items()
                    if number or not name.startswith(b"$")  # [MQTT-4.7.2-1]
                ]
            else:
                nodes = [node.children[level] for node in nodes if level in node.children]
        else:
            found = [node.message for node in nodes if node.message is not None]
        return self._alive(found, now)

    def _alive(self, messages: list[Message], now: float) -> list[Message]:
        alive = []
        for message in messages:
            if message.expires_at is not None and message.expires_at <= now:
                self.remove(message.topic)
            else:
                alive.append(message)
        return alive


def _collect(start: _Node, found: list[Message], *, skip_dollar: bool) -> None:
    """Every message below a node; without recursion, for topics may be deep."""
    waiting = [
        child
        for name, child in start.children.items()
        if not (skip_dollar and name.startswith(b"$"))
    ]
    while waiting:
        node = waiting.pop()
        if node.message is not None:
            found.append(node.message)
        waiting.extend(node.children.values())

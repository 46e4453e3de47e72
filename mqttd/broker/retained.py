"""Retained Messages: one for each Topic Name, found by Topic Filter."""

from __future__ import annotations

from mqttd.broker.message import Message


class _Node:
    __slots__ = ("children", "message")

    def __init__(self) -> None:
        self.children: dict[bytes, _Node] = {}
        self.message: Message | None = None


class RetainedMessages:
    """A tree of levels with at most one message at each node.

    ``maximum`` bounds their number; a new topic beyond it is not kept (and :meth:`keep` says so).
    """

    __slots__ = ("_root", "bytes", "count", "maximum")

    def __init__(self, maximum: int | None = None) -> None:
        self._root = _Node()
        self.maximum = maximum
        self.count = 0
        self.bytes = 0

    def keep(self, message: Message) -> bool:
        """Store the newest message of its topic. [MQTT-3.3.1-5]; False when there is no room."""
        node = self._root
        if self.maximum is not None and self.count >= self.maximum:
            found = self._find(message.topic)
            if found is None or found.message is None:
                return False
        for level in message.topic.split(b"/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        if node.message is None:
            self.count += 1
        else:
            self.bytes -= len(node.message.payload)
        node.message = message
        self.bytes += len(message.payload)
        return True

    def remove(self, topic: bytes) -> None:
        """Forget a topic's message. [MQTT-3.3.1-6], [MQTT-3.3.1-7]."""
        levels = topic.split(b"/")
        path = [self._root]
        for level in levels:
            child = path[-1].children.get(level)
            if child is None:
                return
            path.append(child)
        message = path[-1].message
        if message is None:
            return
        path[-1].message = None
        self.count -= 1
        self.bytes -= len(message.payload)
        for depth in range(len(levels), 0, -1):
            node = path[depth]
            if node.message is not None or node.children:
                return
            del path[depth - 1].children[levels[depth - 1]]

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

    def _find(self, topic: bytes) -> _Node | None:
        node = self._root
        for level in topic.split(b"/"):
            child = node.children.get(level)
            if child is None:
                return None
            node = child
        return node

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

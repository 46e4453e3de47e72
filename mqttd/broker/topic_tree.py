"""Topic Filters and who holds them: a tree of levels."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, Generic, TypeVar

Value = TypeVar("Value")

_NOTHING: Final[dict[Any, Any]] = {}


class _Node(Generic[Value]):
    """One level of a filter. What it does not have is the shared empty dict: most have little."""

    __slots__ = ("children", "values")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Value]] = _NOTHING
        self.values: dict[Hashable, Value] = _NOTHING


class TopicTree(Generic[Value]):
    """Maps Topic Filters to values, several for each filter, told apart by a key.

    Adding and removing cost one step for each level; so does matching, times the wildcards met.
    Nothing recurses, so a filter of any depth is safe. Who asks for the same topics again and
    again keeps the answers: they depend on more than the tree.
    """

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: _Node[Value] = _Node()

    def add(self, topic_filter: str, key: Hashable, value: Value) -> Value | None:
        """Put ``value`` under a filter; returns the one with the same key it replaces, or None."""
        node = self._root
        for level in topic_filter.split("/"):
            children = node.children
            child = children.get(level)
            if child is None:
                if children is _NOTHING:
                    children = node.children = {}
                child = children[level] = _Node()
            node = child
        if node.values is _NOTHING:
            node.values = {}
        before = node.values.get(key)
        node.values[key] = value
        return before

    def get(self, topic_filter: str, key: Hashable) -> Value | None:
        """The value under exactly this filter and key."""
        node = self._root
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                return None
            node = child
        return node.values.get(key)

    def remove(self, topic_filter: str, key: Hashable) -> None:
        """Take a value away, and the branches that are then empty. Unknown ones are ignored."""
        path = [self._root]
        levels = topic_filter.split("/")
        for level in levels:
            child = path[-1].children.get(level)
            if child is None:
                return
            path.append(child)
        path.pop().values.pop(key, None)
        for node, level in zip(reversed(path), reversed(levels), strict=True):
            child = node.children[level]
            if child.values or child.children:
                return
            del node.children[level]

    def match(self, topic: str) -> list[Value]:
        """Every value whose filter matches the Topic Name."""
        levels = topic.split("/")
        found: list[Value] = []
        root = self._root
        nodes = [root]
        for number, level in enumerate(levels):
            following = []
            # [MQTT-4.7.2-1]: a topic that begins with $ is not met by a leading wildcard.
            wild = bool(number) or not level.startswith("$")
            for node in nodes:
                children = node.children
                child = children.get(level)
                if child is not None:
                    following.append(child)
                if wild:
                    child = children.get("+")
                    if child is not None:
                        following.append(child)
                    child = children.get("#")
                    if child is not None:
                        found.extend(child.values.values())
            if not following:
                return found
            nodes = following
        for node in nodes:
            found.extend(node.values.values())
            child = node.children.get("#")  # [MQTT-4.7.1-2]: # includes the parent level
            if child is not None:
                found.extend(child.values.values())
        return found

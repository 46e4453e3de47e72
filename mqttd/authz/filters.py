"""Topic Filters against Topic Filters: does one cover another, could both match one topic."""

from __future__ import annotations

Levels = tuple[str, ...]
"""A Topic Name or Filter cut at its slashes, with a leading ``#`` written ``+/#``: then ``#``
always stands for no level or more."""


def levels_of(topic_filter: str) -> Levels:
    """The levels of a Topic Name or Topic Filter."""
    return unrolled(tuple(topic_filter.split("/")))


def unrolled(levels: Levels) -> Levels:
    """A leading ``#`` is one level of any text and then any more: a topic has at least one."""
    return ("+", "#") if levels[0] == "#" else levels


def covers(topic_filter: Levels, asked: Levels) -> bool:
    """Whether each topic that ``asked`` matches is matched by ``topic_filter`` as well.

    For a Topic Name this is whether the filter matches it. A wildcard in the first level matches
    no topic that begins with ``$`` [MQTT-4.7.2-1].
    """
    if topic_filter[0] == "+" and asked[0][:1] == "$":
        return False
    end = len(asked)
    for number, level in enumerate(topic_filter):
        if level == "#":
            return True
        if number >= end:
            return False
        other = asked[number]
        if other == "#" or level not in (other, "+"):
            return False
    return len(topic_filter) == end


def overlaps(one: Levels, other: Levels) -> bool:
    """Whether some topic, be it the empty one, is matched by both."""
    if one[0] == "+":
        one, other = other, one
    if other[0] == "+" and one[0][:1] == "$":
        return False
    for left, right in zip(one, other, strict=False):
        if left == "#" or right == "#":
            return True
        if left not in (right, "+") and right != "+":
            return False
    if len(one) == len(other):
        return True
    longer, short = (one, len(other)) if len(one) > len(other) else (other, len(one))
    return longer[short] == "#"

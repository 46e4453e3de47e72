"""Topic Names and Topic Filters (4.7): validity, wildcards, ``$share``."""

from __future__ import annotations

from mqttd.packets.errors import MalformedPacket, TopicFilterInvalid, TopicNameInvalid

SHARE = "$share/"


def check_topic_name(topic: bytes, max_levels: int) -> None:
    """Raise MalformedPacket or TopicNameInvalid unless ``topic`` is a Topic Name.

    [MQTT-3.3.2-1] UTF-8, [MQTT-3.3.2-2] no wildcards, [MQTT-4.7.3-1] not empty, [MQTT-4.7.3-2]
    no U+0000.
    """
    if not topic:
        raise TopicNameInvalid("the topic name is empty")
    try:
        topic.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedPacket("the topic name is not well-formed UTF-8") from None
    if b"\0" in topic:
        raise MalformedPacket("the topic name holds U+0000")
    if b"+" in topic or b"#" in topic:
        raise TopicNameInvalid("the topic name holds a wildcard")
    if topic.count(b"/") >= max_levels:
        raise TopicNameInvalid(f"the topic name has more than {max_levels} levels")


def check_topic_filter(topic_filter: str, max_levels: int) -> None:
    """Raise TopicFilterInvalid unless ``topic_filter`` is a Topic Filter (without ``$share``).

    [MQTT-4.7.1-1] ``#`` alone in the last level, [MQTT-4.7.1-2] ``+`` alone in its level,
    [MQTT-4.7.3-1] not empty.
    """
    if not topic_filter:
        raise TopicFilterInvalid("the topic filter is empty")
    levels = topic_filter.split("/")
    if len(levels) > max_levels:
        raise TopicFilterInvalid(f"the topic filter has more than {max_levels} levels")
    last = len(levels) - 1
    for number, level in enumerate(levels):
        if "#" in level and (level != "#" or number != last):
            raise TopicFilterInvalid("# must be the whole last level")
        if "+" in level and level != "+":
            raise TopicFilterInvalid("+ must be a whole level")


def has_wildcard(topic_filter: str) -> bool:
    """Whether the filter can match more than one Topic Name."""
    return "+" in topic_filter or "#" in topic_filter


def parse_shared(topic_filter: str) -> tuple[str | None, str]:
    """(Share Name, filter) of ``$share/NAME/FILTER``; (None, filter) of any other.

    Raises TopicFilterInvalid. [MQTT-4.8.2-1] a name of at least one character, [MQTT-4.8.2-2] no
    ``/ + #`` in it, then ``/`` and a filter.
    """
    if not topic_filter.startswith(SHARE):
        return None, topic_filter
    name, slash, inner = topic_filter[len(SHARE) :].partition("/")
    if not name or not slash or not inner:
        raise TopicFilterInvalid("a shared subscription is $share/NAME/FILTER")
    if "+" in name or "#" in name:
        raise TopicFilterInvalid("a Share Name holds no wildcards")
    return name, inner


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a filter matches a Topic Name; the plain meaning of 4.7, for one pair."""
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):  # [MQTT-4.7.2-1]
        return False
    filter_levels = topic_filter.split("/")
    levels = topic.split("/")
    for number, level in enumerate(filter_levels):
        if level == "#":
            return True
        if number >= len(levels) or (level not in ("+", levels[number])):
            return False
    return len(filter_levels) == len(levels)

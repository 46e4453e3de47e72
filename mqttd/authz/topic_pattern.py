"""One topic of a rule: a Topic Filter with placeholders, or text that is compared as it stands."""

from __future__ import annotations

from typing import Final

import attrs

from mqttd.authz.filters import Levels, covers, overlaps, unrolled
from mqttd.authz.placeholders import RULE, safe_in_topic
from mqttd.broker.topics import check_topic_filter, has_wildcard
from mqttd.identity import SUBSCRIBE, AccessRequest
from mqttd.packets.errors import TopicFilterInvalid
from mqttd.packets.primitives import LONGEST_STRING
from mqttd.placeholders import BadTemplate, Template, parse_template

EQ: Final = "eq "


@attrs.frozen
class Asked:
    """The topic of one request, cut once for all rules. ``wildcard``: it is a filter with one."""

    request: AccessRequest
    raw: Levels
    levels: Levels
    wildcard: bool


def asked_of(request: AccessRequest) -> Asked:
    """The request's topic as rules compare it."""
    raw = tuple(request.topic.split("/"))
    wildcard = request.action == SUBSCRIBE and has_wildcard(request.topic)
    return Asked(request, raw, unrolled(raw), wildcard)


@attrs.frozen
class TopicPattern:
    """``text`` is what the rule says. ``whole`` compares it as it stands (``eq``). ``fixed`` are
    the levels where there is no placeholder, else None, and ``parts`` are the levels with them.
    ``prefix`` are the first levels, as far as nothing but text stands there."""

    text: str
    whole: bool
    fixed: Levels | None
    parts: tuple[str | Template, ...]
    prefix: Levels

    def fits(self, asked: Asked, *, allow: bool) -> bool:
        """Whether a rule about this topic speaks about what is asked.

        One that allows must cover all of an asked filter; one that denies need only touch it.
        Then nothing that is denied as a topic is received through a wider filter.
        """
        levels = self.fixed if self.fixed is not None else self._rendered(asked.request, allow)
        if levels is None:
            return False
        if self.whole:
            return levels == asked.raw
        if allow or not asked.wildcard:
            return covers(levels, asked.levels)
        return overlaps(levels, asked.levels)

    def _rendered(self, request: AccessRequest, allow: bool) -> Levels | None:
        """The levels for one client; None where a value is absent or would widen the rule.

        A rule that denies must not be dodged by such a value: it then denies everything from
        that level on.
        """
        levels: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                levels.append(part)
                continue
            texts = [each if isinstance(each, str) else each(request) for each in part.parts]
            if not all(texts):  # absent, or empty
                return None
            level = "".join(texts)  # type: ignore[arg-type]
            outside = not levels and level[0] == "$" and not isinstance(part.parts[0], str)
            if (safe_in_topic(level) or self.whole) and not allow:
                levels += level.split("/")  # more than one only where text is compared
                continue
            if allow and safe_in_topic(level) and not outside:
                levels.append(level)
                continue
            if allow:
                return None
            if outside:
                levels.append(level.partition("/")[0])
            return unrolled((*levels, "#"))
        return tuple(levels) if self.whole else unrolled(tuple(levels))


def parse_topic(text: str) -> TopicPattern:
    """One topic of a rule. Raises BadTemplate with what is wrong and the cure."""
    whole = text.startswith(EQ)
    topic = text.removeprefix(EQ).strip(" ") if whole else text
    if "\0" in topic:
        raise BadTemplate("holds U+0000")
    try:
        check_topic_filter(topic, LONGEST_STRING)
        if len(topic.encode()) > LONGEST_STRING:
            raise BadTemplate(f"has more than {LONGEST_STRING} bytes")
    except TopicFilterInvalid as problem:
        cure = 'write a Topic Filter such as "a/+/b" or "a/#"'
        raise BadTemplate(str(problem), cure) from None
    except UnicodeEncodeError:
        raise BadTemplate("is no text") from None
    parts = tuple(_level(level) for level in topic.split("/"))
    plain = tuple(part for part in parts if isinstance(part, str))
    if len(plain) == len(parts):
        fixed = plain if whole else unrolled(plain)
        return TopicPattern(text, whole, fixed, parts, _prefix(parts, whole))
    return TopicPattern(text, whole, None, parts, _prefix(parts, whole))


def _level(text: str) -> str | Template:
    template = parse_template(text, RULE)
    literal = template.literal
    return template if literal is None else literal


def _prefix(parts: tuple[str | Template, ...], whole: bool) -> Levels:
    prefix: list[str] = []
    for part in parts:
        if not isinstance(part, str) or (not whole and part in ("+", "#")):
            break
        prefix.append(part)
    return tuple(prefix)


def at_most(pattern: TopicPattern) -> Levels:
    """A filter that covers everything the pattern can become."""
    return unrolled(tuple(part if isinstance(part, str) else "+" for part in pattern.parts))


def everything(text: str) -> tuple[TopicPattern, ...]:
    """Patterns that together fit each topic, also those that begin with ``$``; ``text`` is what
    the rule says."""
    outside = Template(("$", lambda request: request.topic.partition("/")[0][1:] or None))
    wide = ("+", "#")
    return (
        TopicPattern(text, False, wide, wide, ()),
        TopicPattern(text, False, None, (outside, "#"), ()),
    )

"""The ``mountpoint`` of a listener: its placeholders, and the forms that are not safe."""

from __future__ import annotations

from mqttd.config.errors import InvalidValue
from mqttd.config.types import parse_text, shown

PLACEHOLDERS = ("username", "clientid")
_CURE = "write plain text, ${username} and ${clientid}, with a / behind each placeholder"


def parse_mountpoint(value: object) -> str:
    """A prefix for topics, which keeps the clients it separates apart.

    Refused: a placeholder that no ``/`` follows (with ``dev/${clientid}``, client ``1`` publishing
    ``2/x`` is in the space of client ``12``), and two of them in one level (``ab`` and ``c`` give
    what ``a`` and ``bc`` give); wildcards; a ``$`` in front, where ``$SYS`` and ``$share`` live.
    """
    template = parse_text(value)
    literals = [literal for literal, _ in split_mountpoint(template)]
    if any(mark in literal for literal in literals for mark in "+#\0"):
        raise InvalidValue("cannot hold the wildcards + and #, or U+0000", _CURE)
    if literals[0].startswith("$"):
        raise InvalidValue("cannot begin with $", _CURE)
    if any("/" not in literal for literal in literals[1:]):
        raise InvalidValue("no / follows a placeholder, so clients could reach each other", _CURE)
    return template


def split_mountpoint(template: str) -> tuple[tuple[str, str], ...]:
    """Pairs of text and the placeholder behind it; the last one has none, which is ""."""
    pieces = []
    position = 0
    while (start := template.find("${", position)) >= 0:
        end = template.find("}", start)
        name = template[start + 2 : end]
        if end < 0:
            raise InvalidValue("a placeholder is not closed: } is missing", _CURE)
        if name not in PLACEHOLDERS:
            raise InvalidValue(f"placeholder {shown('${' + name + '}')} is not supported", _CURE)
        pieces.append((template[position:start], name))
        position = end + 1
    return (*pieces, (template[position:], ""))

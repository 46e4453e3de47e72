"""Fills in the ``mountpoint`` of a listener: the prefix before every topic of a client."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})
_ATTRIBUTE = "client_attrs."
_PLAIN = frozenset({"username", "clientid", "zone"})
_FORBIDDEN = frozenset("+#/\0")
_MAX_LENGTH = 65_535


def check_mountpoint(template: str) -> str | None:
    """Return what is wrong with a template, or None. To be called when the configuration is read.

    Placeholders: ``${username}``, ``${clientid}``, ``${zone}``, ``${client_attrs.NAME}``.
    Refused is also what would let one client's prefix be reached from another's: a placeholder
    that no ``/`` follows (``dev/${clientid}``: client 1 publishing ``2/x`` is in the space of
    client 12), and two placeholders in one level (``${username}${clientid}/``: ``ab`` and ``c``
    give what ``a`` and ``bc`` give).
    """
    try:
        _parse(template)
    except ValueError as error:
        return str(error)
    return None


def render_mountpoint(
    template: str,
    username: str | None,
    client_id: str,
    *,
    attributes: Mapping[str, str] = _NO_ATTRIBUTES,
    zone: str = "default",
) -> str:
    """Return the prefix for one client.

    Raises ValueError when a placeholder has no value for this client, or a value that would move
    or widen the prefix (``+``, ``#``, ``/``, NUL): the connection is to be refused then, since
    any replacement could collide with another client's name. Also raised for a bad template and
    for a prefix longer than a topic name may be, or beginning with ``$``, where ``$SYS`` and
    ``$share`` live. The text names the placeholder, never its value.
    """
    parts: list[str] = []
    for literal, placeholder in _parse(template):
        parts.append(literal)
        if placeholder:
            values = {"username": username, "clientid": client_id, "zone": zone}
            parts.append(_value(placeholder, values, attributes))
    prefix = "".join(parts)
    if prefix.startswith("$"):
        raise ValueError("the mountpoint of this client begins with $")
    if len(prefix.encode("utf-8")) > _MAX_LENGTH:
        raise ValueError(f"the mountpoint of this client is over {_MAX_LENGTH} octets")
    return prefix


def _value(
    placeholder: str, values: Mapping[str, str | None], attributes: Mapping[str, str]
) -> str:
    if placeholder in _PLAIN:
        value = values[placeholder]
    else:
        value = attributes.get(placeholder.removeprefix(_ATTRIBUTE))
    if not value:
        raise ValueError(f"the mountpoint needs ${{{placeholder}}}, which this client has not")
    if not _FORBIDDEN.isdisjoint(value):
        raise ValueError(f"${{{placeholder}}} of this client holds one of + # / or NUL")
    return value


@lru_cache(maxsize=256)
def _parse(template: str) -> tuple[tuple[str, str], ...]:
    """Return pairs (literal text, placeholder behind it or ""). Raises ValueError."""
    pieces: list[tuple[str, str]] = []
    position = 0
    while (start := template.find("${", position)) >= 0:
        end = template.find("}", start)
        if end < 0:
            raise ValueError("a placeholder is not closed: } is missing")
        name = template[start + 2 : end]
        if name not in _PLAIN and not _is_attribute(name):
            raise ValueError(
                f"unknown placeholder ${{{name}}}: known are ${{username}}, ${{clientid}},"
                " ${zone} and ${client_attrs.NAME}"
            )
        pieces.append((template[position:start], name))
        position = end + 1
    pieces.append((template[position:], ""))
    _check_literals([literal for literal, _ in pieces])
    return tuple(pieces)


def _is_attribute(name: str) -> bool:
    bare = name.removeprefix(_ATTRIBUTE)
    return bare != name and bare.replace("_", "").replace("-", "").isalnum() and bare.isascii()


def _check_literals(literals: list[str]) -> None:
    if any(not _FORBIDDEN.isdisjoint(literal.replace("/", "")) for literal in literals):
        raise ValueError("a mountpoint cannot hold + # or NUL")
    if literals[0].startswith("$"):
        raise ValueError("a mountpoint cannot begin with $")
    for literal in literals[1:-1]:
        if "/" not in literal:
            raise ValueError("two placeholders stand in one topic level: put a / between them")
    if len(literals) > 1 and "/" not in literals[-1]:
        raise ValueError("no / follows the last placeholder: put one at the end")

"""Fills in the ``mountpoint`` of a listener: the prefix before every topic of a client."""

from __future__ import annotations

from functools import lru_cache

from mqttd.config.mountpoint import split_mountpoint
from mqttd.packets.primitives import LONGEST_STRING

_FORBIDDEN = frozenset("+#/\0")

_split = lru_cache(maxsize=256)(split_mountpoint)


def render_mountpoint(template: str, username: str | None, client_id: str) -> str:
    """Return the prefix for one client; the template is one parse_mountpoint() accepted.

    Raises ValueError when a placeholder has no value for this client, or a value that would move
    or widen the prefix (``+``, ``#``, ``/``, NUL): the connection is to be refused then, since
    any replacement could collide with another client's name. Also raised for a prefix longer
    than a topic name may be, or beginning with ``$``, where ``$SYS`` and ``$share`` live. The
    text names the placeholder, never its value.
    """
    values = {"username": username, "clientid": client_id}
    parts: list[str] = []
    for literal, placeholder in _split(template):
        parts.append(literal)
        if placeholder:
            parts.append(_checked(placeholder, values[placeholder]))
    prefix = "".join(parts)
    if prefix.startswith("$"):
        raise ValueError("the mountpoint of this client begins with $")
    if len(prefix.encode("utf-8")) > LONGEST_STRING:
        raise ValueError(f"the mountpoint of this client is over {LONGEST_STRING} octets")
    return prefix


def _checked(placeholder: str, value: str | None) -> str:
    if not value:
        raise ValueError(f"the mountpoint needs ${{{placeholder}}}, which this client has not")
    if not _FORBIDDEN.isdisjoint(value):
        raise ValueError(f"${{{placeholder}}} of this client holds one of + # / or NUL")
    return value

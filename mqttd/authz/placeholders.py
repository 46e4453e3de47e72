"""Placeholders of rules: what is known of the client, and what it wants to do."""

from __future__ import annotations

from typing import Final

from mqttd.placeholders import CLIENT, Placeholders, Read

ASKED: Final[dict[str, Read]] = {
    "action": lambda request: request.action,
    "topic": lambda request: request.topic,
    "qos": lambda request: str(request.qos),
    "retain": lambda request: "true" if request.retain else "false",
}
"""What the client wants to do, by placeholder; not for topics of rules."""

RULE: Final = Placeholders(CLIENT, lambda request: request.identity.attributes)
"""Those that topics of rules may have."""


def safe_in_topic(value: str) -> bool:
    """Whether the value is at most one level and holds no wildcard: it can only be itself."""
    return not any(mark in value for mark in "+#/\0")

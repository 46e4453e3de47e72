"""What of an event stands in the audit log."""

from __future__ import annotations

import datetime
from typing import Any, Final

import attrs

from mqttd.events import Event

LONGEST_TEXT: Final = 4096
"""Characters of one text. What clients choose must not make a line of any length."""
MOST_ITEMS: Final = 16
"""Texts of one list."""


def fields_of(event: Event) -> dict[str, Any]:
    """The event as JSON values: its time, its name, then what is known of it."""
    fields: dict[str, Any] = {"time": time_text(event.time), "event": event.name}
    for field in attrs.fields(type(event)):
        value = getattr(event, field.name)
        if field.name == "peer":
            host, port = value
            value = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if value is not None and field.name != "time":
            fields[field.name] = _bounded(value)
    return fields


def time_text(seconds: float) -> str:
    """Epoch seconds as UTC, with microseconds (RFC 3339)."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _bounded(value: Any) -> Any:
    """As it is, or cut, with how much there was."""
    if isinstance(value, str):
        if len(value) <= LONGEST_TEXT:
            return value
        return f"{value[:LONGEST_TEXT]}... ({len(value)} characters)"
    if isinstance(value, tuple):
        items = [_bounded(each) for each in value[:MOST_ITEMS]]
        more = len(value) - len(items)
        return [*items, f"... and {more} more"] if more else items
    if isinstance(value, int | float):
        return value
    return str(value)[:LONGEST_TEXT]

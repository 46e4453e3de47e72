"""What of an event stands in the audit log."""

from __future__ import annotations

import datetime
from typing import Any

import attrs

from mqttd.events import Event


def fields_of(event: Event) -> dict[str, Any]:
    """The event as JSON values: its time, its name, then what is known of it."""
    fields: dict[str, Any] = {"time": time_text(event.time), "event": event.name}
    for field in attrs.fields(type(event)):
        value = getattr(event, field.name)
        if field.name == "peer":
            host, port = value
            value = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if value is not None and field.name != "time":
            fields[field.name] = value
    return fields


def time_text(seconds: float) -> str:
    """Epoch seconds as UTC, with microseconds (RFC 3339)."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

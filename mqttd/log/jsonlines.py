"""Log events as JSON, one object a line, for machines."""

from __future__ import annotations

import json
import math

from mqttd.log.names import level_name
from mqttd.log.text import LogEvent, clip, message_of, timestamp, traceback_of

_SECRETS = frozenset(("password", "secret", "psk", "authentication_data", "payload"))
_NOT_FIELDS = frozenset(("ts", "level", "event", "message", "time", "system", "isError", "format"))


def format_json(event: LogEvent) -> str:
    """``ts``, ``level``, ``event``, ``message`` and the event's own fields with exact values.

    ``event`` is the stable name the event was given (``client_connected``), else the name of the
    part of the program that speaks. Non-ASCII characters are escaped.
    """
    message = message_of(event)
    traceback = traceback_of(event)
    if not message and not traceback:
        return ""
    namespace = str(event.get("log_namespace", "-"))
    line: dict[str, object] = {
        "ts": timestamp(event),
        "level": level_name(event),
        "event": _value(event.get("event", namespace)),
        "message": message,
    }
    if "log_legacy" not in event:
        for name, value in event.items():
            if name.startswith("log_") or name in _NOT_FIELDS or value is None:
                continue
            line[name] = "******" if name in _SECRETS else _value(value)
    if traceback:
        line["traceback"] = traceback
    return json.dumps(line) + "\n"


def _value(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    return clip(value if isinstance(value, str) else _text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # a field must never lose the line
        return f"<{type(value).__name__}>"

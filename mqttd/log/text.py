"""Log events as lines for people: on a console, in a file, in the systemd journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import LogLevel, formatEvent

from mqttd.log.names import level_name

LogEvent = Mapping[str, Any]
Formatter = Callable[[LogEvent], str]
"""Gives the text to write for an event, with its newline; empty text is not written."""

LONGEST = 4096
"""Characters shown of one field: a Client Identifier may have 65535."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PRIORITIES = {
    LogLevel.critical: 2,
    LogLevel.error: 3,
    LogLevel.warn: 4,
    LogLevel.info: 6,
    LogLevel.debug: 7,
}
"""Levels as syslog's priorities, which the journal takes from a ``<n>`` before the line."""


def escape(text: str) -> str:
    r"""The text with everything that is no visible character or blank written as ``\xNN``.

    Newlines and terminal controls chosen by a client must not forge lines or move a cursor. Doing
    it twice changes nothing more.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def escape_word(text: str) -> str:
    """As ``escape``, and without blanks and brackets.

    A Client Identifier ``x [192.0.2.1:1] disconnected`` must not pass for the words around it:
    filters that ban addresses read them.
    """
    return escape(text).replace(" ", "\\x20").replace("[", "\\x5b").replace("]", "\\x5d")


def clip(text: str) -> str:
    """The text, cut where it is longer than a log line should carry."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def format_text(event: LogEvent) -> str:
    """``2026-11-21T05:00:00+0000 [info] message``; a traceback follows, indented."""
    return _lines(event, f"{timestamp(event)} [{level_name(event)}] ")


def format_journal(event: LogEvent) -> str:
    """``<6>message``: systemd's journal has a time of its own and takes the priority from us."""
    priority = f"<{_PRIORITIES.get(event.get('log_level'), 6)}>"
    return _lines(event, priority).replace("\n    ", f"\n{priority}    ")


def message_of(event: LogEvent) -> str:
    """The event in words, always one line."""
    fields = dict(event)
    for name, value in event.items():
        if isinstance(value, str) and not name.startswith("log_"):
            fields[name] = (escape_word if name == "client_id" else escape)(clip(value))
    return escape(formatEvent(fields))


def traceback_of(event: LogEvent) -> str:
    """The traceback of a failure that was logged, or empty text."""
    failure = event.get("log_failure")
    return "" if failure is None else str(failure.getTraceback()).rstrip()


def timestamp(event: LogEvent) -> str:
    """The event's time as RFC 3339, in the system's zone, to the second."""
    return _stamp(int(event.get("log_time") or time.time()))


_last_stamp = (0, "")


def _stamp(second: int) -> str:
    # A busy broker writes many lines in a second.
    global _last_stamp  # noqa: PLW0603
    if _last_stamp[0] != second:
        _last_stamp = (second, time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(second)))
    return _last_stamp[1]


def _lines(event: LogEvent, head: str) -> str:
    message = message_of(event)
    traceback = traceback_of(event)
    if not message and not traceback:
        return ""
    # Indented, no line of an exception's text can pass for the beginning of an event.
    below = "".join(f"\n    {escape(line)}" for line in traceback.splitlines())
    return f"{head}{message}{below}\n"


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

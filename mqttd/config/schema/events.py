"""Who is told what happens: ``event_sinks`` and ``audit``."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any

import attrs

from mqttd.config.errors import InvalidValue
from mqttd.config.option import BOOLEAN, PATH, TEXT, Kind, choice, integer, option, size
from mqttd.config.types import parse_text_list, shown
from mqttd.events import EVENTS, MESSAGES


def _parse_events(value: object) -> list[str]:
    names = parse_text_list(value)
    for name in names:
        if name not in EVENTS:
            raise InvalidValue(f"{shown(name)} is no event", f"known: {', '.join(EVENTS)}")
    return names


def _parse_decisions(value: object) -> list[str]:
    names = _parse_events(value)
    for name in names:
        if name in MESSAGES:
            raise InvalidValue(f"{name} is not for the audit log", "use an event sink")
    return names


def _show(value: list[str]) -> str:
    return "[" + ", ".join(value) + "]"


@attrs.frozen(kw_only=True)
class EventSinkOptions:
    """What every event sink can be told: one of ``event_sinks``. Sinks are plugins; their other
    options are their own."""

    type: str = option(TEXT, "", "The name of the plugin.")
    enable: bool = option(BOOLEAN, True, "``false`` keeps the sink in the file without using it.")
    events: list[str] = option(
        Kind("list of events", _parse_events, _show),
        [],
        """The events it is told of, as in :ref:`event-names`; none named: all but those of each
        message (``message_published``, ``message_delivered``, ``message_dropped``).""",
    )


@attrs.frozen
class EventSink:
    """One sink of the configuration; ``options`` is a mapping of what its section holds beside
    what all have in common. ``events`` holds every name it is told of."""

    name: str
    path: str = attrs.field(eq=False)
    enable: bool
    events: frozenset[str]
    options: Any = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class AuditOptions:
    """The audit log: ``audit``. One line for each decision, chained so that a change or a cut is
    seen: see :doc:`/operate/audit`. A change takes effect at the next start."""

    enable: bool = option(BOOLEAN, False, "Write it.")
    file: str = option(PATH, "log/audit.log", "Where; made with mode 0600.")
    format: str = option(choice("json"), "json", "How a line is written.")
    events: list[str] = option(
        Kind("list of events", _parse_decisions, _show),
        [],
        "What is written, as in :ref:`event-names`; none named: all that is not of one message.",
    )
    key_file: str | None = option(
        PATH,
        None,
        """A file with a key of 16 bytes or more. With it the hashes are HMACs: who can write the
        log and does not know the key cannot make a chain of his own.""",
    )
    rotation_size: int | None = option(
        size(1, infinity=True),
        None,
        "From this size on a new file is begun, and the old one becomes ``FILE.1``.",
        shown_default="infinity",
    )
    rotation_count: int = option(integer(1), 10, "How many old files are kept.")
    on_failure: str = option(
        choice("refuse", "continue"),
        "refuse",
        """While the log cannot be written: ``refuse`` lets no further client in (``0x88``; who is
        in stays), ``continue`` does, and records that do not fit into memory are lost.""",
    )
    sync: bool = option(
        BOOLEAN, False, "Each write is on the disk before the next; a crash then loses nothing."
    )

"""The ``log`` section: where the log goes, how much of it, and in which form."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

import attrs

from mqttd.config.option import BOOLEAN, PATH, TEXT, choice, integer, option, section, size

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
"""Level names as the schema gives them, lowest first."""

_ALIASES = {"notice": "info", "warn": "warning", "alert": "critical", "emergency": "critical"}
_LEVEL = choice(*LOG_LEVELS, aliases=_ALIASES)
_LEVEL_TEXT = (
    "Lowest level written: ``debug`` (one line per packet), ``info``, ``warning``, ``error``, "
    "``critical``."
)
_FORMATTER = choice("text", "json")


@attrs.frozen(kw_only=True)
class ConsoleLog:
    """The log on standard output: ``log.console``."""

    enable: bool = option(BOOLEAN, True, "Write the log to standard output.")
    level: str = option(_LEVEL, "info", _LEVEL_TEXT)
    formatter: str = option(_FORMATTER, "text", "``text`` for people, ``json`` for machines.")
    time_offset: str = option(
        TEXT, "system", "Time zone of the time stamps.", ignored="times are those of the system"
    )


@attrs.frozen(kw_only=True)
class FileLog:
    """The log in a file: ``log.file``."""

    enable: bool = option(BOOLEAN, False, "Write the log to a file.")
    path: str = option(PATH, "log/mqttd.log", "The file.")
    level: str = option(_LEVEL, "info", _LEVEL_TEXT)
    formatter: str = option(_FORMATTER, "text", "``text`` for people, ``json`` for machines.")
    rotation_size: int | None = option(
        size(1024, infinity=True),
        50 * 1024 * 1024,
        "Size at which a new file is begun; ``infinity``: never.",
    )
    rotation_count: int = option(
        integer(1, 128), 10, "How many old files are kept beside the new one."
    )
    time_offset: str = option(
        TEXT, "system", "Time zone of the time stamps.", ignored="times are those of the system"
    )


@attrs.frozen(kw_only=True)
class LogOptions:
    """Where the log goes: ``log``."""

    console: ConsoleLog = section(ConsoleLog, "Standard output.")
    file: FileLog = section(FileLog, "A file.")

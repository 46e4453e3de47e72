"""Level names, as the configuration has them, and Twisted's levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.logger import LogLevel

LEVELS: Final[Mapping[str, Any]] = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warning": LogLevel.warn,
    "error": LogLevel.error,
    "critical": LogLevel.critical,
}
"""Twisted's level for each name ``log.console.level`` may have."""

_NAMES = {level: name for name, level in LEVELS.items()}


def level_name(event: Mapping[str, Any]) -> str:
    """The name of the event's level; ``info`` when it has none."""
    return _NAMES.get(event.get("log_level"), "info")

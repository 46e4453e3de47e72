"""What is different between two configurations, and what of it cannot change while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from mqttd.config.option import documentation_of
from mqttd.config.schema import Configuration
from mqttd.config.schema.listeners import LISTENER_TYPES, Listeners
from mqttd.engine.options import EngineOptions

_AT_START = (
    "audit",
    "control",
    "data_dir",
    "log.console.enable",
    "log.console.formatter",
    "log.file.enable",
    "log.file.path",
    "log.file.formatter",
    "log.file.rotation_size",
    "log.file.rotation_count",
    *(f"mqtt.{field.name}" for field in attrs.fields(EngineOptions)),
)
_AT_OPEN = frozenset(("backlog", "recbuf", "sndbuf", "reuseaddr"))
"""``tcp_options`` of the port itself."""


def differences(old: Configuration, new: Configuration) -> list[str]:
    """Paths of the options that differ; an added or removed section is named as a whole.

    Options without effect are left out.
    """
    return list(_differences(old, new, ""))


def needs_restart(path: str) -> bool:
    """Whether a changed option takes effect only at the next start, or, of a port, when its
    listener is opened anew."""
    section, _, name = path.rpartition(".")
    if section.endswith(".tcp_options") and name in _AT_OPEN:
        return True
    return any(path == each or path.startswith(f"{each}.") for each in _AT_START)


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)):
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}".lstrip("."))
    elif attrs.has(type(old)) and type(old) is type(new) and not _is_value(old):
        for field in attrs.fields(type(old)):
            documentation = documentation_of(field)
            if documentation is not None and documentation.ignored:
                continue
            if documentation is None and not _is_kind_of_listener(old, field.name):
                continue
            one, other = getattr(old, field.name), getattr(new, field.name)
            yield from _differences(one, other, f"{path}.{field.name}".lstrip("."))
    else:
        yield path


def _is_value(section: Any) -> bool:
    """Whether an attrs class is the value of one option, such as a bind, and not a section."""
    if isinstance(section, Listeners):
        return False
    return not any(documentation_of(field) for field in attrs.fields(type(section)))


def _is_kind_of_listener(section: Any, name: str) -> bool:
    return isinstance(section, Listeners) and name in LISTENER_TYPES

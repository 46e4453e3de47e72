"""``event_sinks`` made into options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from mqttd.config.errors import Finding, error
from mqttd.config.schema.events import EventSink, EventSinkOptions
from mqttd.config.structure import structure
from mqttd.events import EVENTS, MESSAGES

_COMMON: Final = frozenset(field.name for field in attrs.fields(EventSinkOptions))
_USUAL: Final = frozenset(EVENTS) - MESSAGES


def structure_event_sinks(
    sections: Sequence[Any], base_dir: Path, path: str
) -> tuple[list[EventSink], list[Finding]]:
    """The sinks of the list, and every error found; what is wrong is left out."""
    made: list[EventSink] = []
    findings: list[Finding] = []
    for number, values in enumerate(sections):
        place = path if len(sections) == 1 else f"{path}[{number}]"
        if values or len(sections) > 1:
            findings += _one(values, base_dir, place, made)
    return made, findings


def _one(
    values: Mapping[str, Any], base_dir: Path, path: str, made: list[EventSink]
) -> list[Finding]:
    common = {name: value for name, value in values.items() if name in _COMMON}
    rest = {name: value for name, value in values.items() if name not in _COMMON}
    head, findings = structure(common, EventSinkOptions, base_dir, path)
    if not head.type and not any(finding.severity == "error" for finding in findings):
        cure = "write the name of a plugin: mqttd plugins list"
        findings.append(error(f"{path}.type", "is not set", cure))
    if not any(finding.severity == "error" for finding in findings):
        events = frozenset(head.events) or _USUAL
        made.append(EventSink(head.type, path, head.enable, events, rest))
    return findings

"""``event_sinks`` made into options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mqttd.config.errors import Finding, error
from mqttd.config.kinds import each_section, split_section
from mqttd.config.schema.events import EventSink, EventSinkOptions
from mqttd.events import EVENTS, MESSAGES

_USUAL: Final = frozenset(EVENTS) - MESSAGES


def structure_event_sinks(
    sections: Sequence[Any], base_dir: Path, path: str
) -> tuple[list[EventSink], list[Finding]]:
    """The sinks of the list, and every error found; what is wrong is left out."""
    made: list[EventSink] = []
    findings: list[Finding] = []
    for values, place in each_section(sections, path):
        findings += _one(values, base_dir, place, made)
    return made, findings


def _one(
    values: Mapping[str, Any], base_dir: Path, path: str, made: list[EventSink]
) -> list[Finding]:
    head, rest, findings = split_section(values, EventSinkOptions, base_dir, path)
    if not head.type and not any(finding.severity == "error" for finding in findings):
        cure = "write the name of a plugin: mqttd plugins list"
        findings.append(error(f"{path}.type", "is not set", cure))
    if not any(finding.severity == "error" for finding in findings):
        events = frozenset(head.events) or _USUAL
        made.append(EventSink(head.type, path, head.enable, events, rest))
    return findings

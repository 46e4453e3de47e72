"""``authorization.sources`` made into options, each kind of source with its own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from mqttd.config.errors import Finding, error
from mqttd.config.option import key_of
from mqttd.config.schema.authorization import KINDS, Source, SourceOptions
from mqttd.config.structure import structure

_COMMON: Final = frozenset(field.name for field in attrs.fields(SourceOptions))
_NOT_HERE: Final = frozenset(
    ["built_in_database", "mysql", "postgresql", "mongodb", "redis", "ldap", "client_info", "jwt"]
)
"""Sources of EMQX's that this version does not have."""


def structure_sources(
    sections: Sequence[Any], base_dir: Path, path: str
) -> tuple[list[Source], list[Finding]]:
    """The sources of the section ``path``, and every error and warning found.

    What is wrong is left out, as :func:`structure` does.
    """
    made: list[Source] = []
    findings: list[Finding] = []
    for number, values in enumerate(sections):
        place = path if len(sections) == 1 else f"{path}[{number}]"
        if not values and len(sections) == 1:
            break  # sources {}
        one, found = _one(values, base_dir, place)
        findings += found
        if one is not None:
            made.append(one)
    return made, findings


def _one(
    values: Mapping[str, Any], base_dir: Path, path: str
) -> tuple[Source | None, list[Finding]]:
    common = {name: value for name, value in values.items() if name in _COMMON}
    rest = {name: value for name, value in values.items() if name not in _COMMON}
    head, findings = structure(common, SourceOptions, base_dir, path)
    name = head.type.strip()
    if not findings:
        findings += _about_type(name, path)
    if findings:
        return None, findings
    options: Any = rest
    cls = KINDS.get(name)
    if cls is not None:
        findings += _misspelled(rest, cls, path)
        given = {
            key: value
            for key, value in rest.items()
            if not any(finding.path == f"{path}.{key}" for finding in findings)
        }
        options, found = structure(given, cls, base_dir, path)
        findings += found
    return Source(name, path, head.enable, options), findings


def _about_type(name: str, path: str) -> list[Finding]:
    cure = f"write one of {', '.join(KINDS)}"
    if not name:
        return [error(f"{path}.type", "is not set", cure)]
    if name in _NOT_HERE:
        message = f"{name} is a source of EMQX's that this version does not support"
        return [error(f"{path}.type", message, cure)]
    return []


def _misspelled(rest: Mapping[str, Any], cls: type, path: str) -> list[Finding]:
    """Options that this kind does not have but that look like one that all have."""
    known = [key_of(field) for field in attrs.fields(cls)]
    findings = []
    for key in rest:
        if key in known or difflib.get_close_matches(key.lower(), known, n=1):
            continue
        near = difflib.get_close_matches(key.lower(), sorted(_COMMON), n=1)
        if near:
            findings.append(error(f"{path}.{key}", "unknown option", f"did you mean {near[0]}?"))
    return findings

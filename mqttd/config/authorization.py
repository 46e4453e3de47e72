"""``authorization.sources`` made into options, each kind of source with its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mqttd.config.errors import Finding, error
from mqttd.config.kinds import each_section, own_options, split_section
from mqttd.config.schema.authorization import KINDS, Source, SourceOptions

_NOT_HERE: Final = frozenset(
    ["built_in_database", "mysql", "postgresql", "mongodb", "redis", "ldap", "client_info", "jwt"]
)
"""Sources of EMQX's that this version does not have."""


def structure_sources(
    sections: Sequence[Any], base_dir: Path, path: str
) -> tuple[list[Source], list[Finding]]:
    """The sources of the section ``path``, and every error and warning found.

    What is wrong is left out, as :func:`~mqttd.config.structure.structure` does.
    """
    made: list[Source] = []
    findings: list[Finding] = []
    for values, place in each_section(sections, path):
        one, found = _one(values, base_dir, place)
        findings += found
        if one is not None:
            made.append(one)
    return made, findings


def _one(
    values: Mapping[str, Any], base_dir: Path, path: str
) -> tuple[Source | None, list[Finding]]:
    head, rest, findings = split_section(values, SourceOptions, base_dir, path)
    name = head.type.strip()
    if not findings:
        findings += _about_type(name, path)
    if findings:
        return None, findings
    options, found = own_options(rest, KINDS.get(name), SourceOptions, base_dir, path)
    return Source(name, path, head.enable, options), found


def _about_type(name: str, path: str) -> list[Finding]:
    cure = f"write one of {', '.join(KINDS)}"
    if not name:
        return [error(f"{path}.type", "is not set", cure)]
    if name in _NOT_HERE:
        message = f"{name} is a source of EMQX's that this version does not support"
        return [error(f"{path}.type", message, cure)]
    return []

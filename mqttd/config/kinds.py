"""Lists of sections of several kinds: what all have in common, and what each has of its own."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs

from mqttd.config.errors import Finding, error
from mqttd.config.option import key_of
from mqttd.config.structure import structure

_Common = TypeVar("_Common")


def each_section(sections: Sequence[Any], path: str) -> Iterator[tuple[Any, str]]:
    """Each section and where the file has it; a single empty one, ``NAME {}``, is none."""
    if len(sections) == 1:
        if sections[0]:
            yield sections[0], path
        return
    for number, values in enumerate(sections):
        yield values, f"{path}[{number}]"


def split_section(
    values: Mapping[str, Any], common: type[_Common], base_dir: Path, path: str
) -> tuple[_Common, dict[str, Any], list[Finding]]:
    """What all kinds have, as ``common``; everything else as it stands; and what is wrong."""
    names = _names_of(common)
    head = {name: value for name, value in values.items() if name in names}
    rest = {name: value for name, value in values.items() if name not in names}
    made, findings = structure(head, common, base_dir, path)
    return made, rest, findings


def own_options(
    rest: Mapping[str, Any], cls: type | None, common: type, base_dir: Path, path: str
) -> tuple[Any, list[Finding]]:
    """What one kind has, as ``cls``, and what is wrong; without ``cls``, which is for plugins of
    others, everything as it stands."""
    if cls is None:
        return rest, []
    findings = list(_misspelled(rest, cls, common, path))
    wrong = {finding.path for finding in findings}
    given = {key: value for key, value in rest.items() if f"{path}.{key}" not in wrong}
    options: Any
    options, found = structure(given, cls, base_dir, path)
    return options, [*findings, *found]


def _misspelled(rest: Mapping[str, Any], cls: type, common: type, path: str) -> Iterator[Finding]:
    """Options that the kind does not have but that look like one that all have."""
    known = [key_of(field) for field in attrs.fields(cls)]
    for key in rest:
        if key in known or difflib.get_close_matches(key.lower(), known, n=1):
            continue
        near = difflib.get_close_matches(key.lower(), sorted(_names_of(common)), n=1)
        if near:
            yield error(f"{path}.{key}", "unknown option", f"did you mean {near[0]}?")


def _names_of(common: type) -> set[str]:
    return {field.name for field in attrs.fields(common)}

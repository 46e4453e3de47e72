"""Environment variables that override the file: ``MQTTD_LISTENERS__SSL__DEFAULT__BIND``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mqttd.config.errors import Finding
from mqttd.config.hocon import read_value

PREFIX = "MQTTD_"
SEPARATOR = "__"


def apply_environment(
    environ: Mapping[str, str], values: dict[str, Any], origins: dict[str, str]
) -> list[Finding]:
    """Set in ``values`` what the variables say; ``origins`` learns their names.

    Only names with ``__`` in them are overrides, since no option stands at the top of the file. A
    value is read as HOCON. Whether the option exists is found with the rest of the file.
    """
    findings = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or SEPARATOR not in name:
            continue
        words = name.removeprefix(PREFIX).split(SEPARATOR)
        if not all(words):
            message = "names no option"
            cure = f"write {PREFIX} and the option's path with {SEPARATOR} for each dot"
            findings.append(Finding("error", "", message, cure, _origin(name)))
            continue
        node: Any = values
        path: list[str] = []
        for word in words[:-1]:
            key = _key(node, word)
            path.append(key)
            if not isinstance(node.get(key), dict):
                node[key] = {}
            node = node[key]
        key = _key(node, words[-1])
        text = environ[name]
        node[key] = read_value(text) if text.strip() else text
        origins[".".join((*path, key))] = _origin(name)
    return findings


def _origin(name: str) -> str:
    return f"environment variable {name}"


def _key(node: Mapping[str, Any], word: str) -> str:
    """The key meant by a word: as the file spells it, else in lower case."""
    lower = word.lower()
    for key in node:
        if key.lower() == lower or key.lower().replace("-", "_") == lower:
            return key
    return lower

"""The ``authentication`` section made into options, each kind of authenticator with its own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from mqttd.config.errors import Finding, error
from mqttd.config.option import key_of
from mqttd.config.schema.authentication import KINDS, Authenticator, AuthenticatorOptions
from mqttd.config.structure import structure

_COMMON: Final = frozenset(field.name for field in attrs.fields(AuthenticatorOptions))
_NOT_HERE: Final = frozenset(
    {
        "scram:http",
        "gssapi:kerberos",
        "gssapi",
        "cinfo",
        "password_based:mysql",
        "password_based:postgresql",
        "password_based:mongodb",
        "password_based:redis",
        "password_based:ldap",
        "ldap",
    }
)
"""Authenticators of EMQX's that this version does not have."""


def structure_authentication(
    sections: Sequence[Any], base_dir: Path, path: str
) -> tuple[list[Authenticator], list[Finding]]:
    """The authenticators of one section or list, and every error and warning found.

    What is wrong is left out, as :func:`structure` does.
    """
    made: list[Authenticator] = []
    findings: list[Finding] = []
    for number, values in enumerate(sections):
        place = path if len(sections) == 1 else f"{path}[{number}]"
        if not values and len(sections) == 1:
            break  # authentication {}
        one, found = _one(values, base_dir, place)
        findings += found
        if one is None:
            continue
        before = next((each for each in made if each.name == one.name), None)
        if before is not None:
            message = f"is a second {one.name}, beside {before.path}"
            findings.append(error(place, message, "keep one of the two"))
        else:
            made.append(one)
    return made, findings


def _one(
    values: Mapping[str, Any], base_dir: Path, path: str
) -> tuple[Authenticator | None, list[Finding]]:
    common = {name: value for name, value in values.items() if name in _COMMON}
    rest = {name: value for name, value in values.items() if name not in _COMMON}
    head, findings = structure(common, AuthenticatorOptions, base_dir, path)
    name, found = _name(head, path)
    findings += found
    if findings or name is None:
        return None, findings
    options: Any = rest
    cls = KINDS.get(name)
    if cls is not None:
        findings += _misspelled(rest, cls, path)
        given = {key: value for key, value in rest.items() if not _about(findings, path, key)}
        options, found = structure(given, cls, base_dir, path)
        findings += found
    return Authenticator(name, path, head.enable, head.on_error, options), findings


def _name(head: AuthenticatorOptions, path: str) -> tuple[str | None, list[Finding]]:
    """What the plugin is called."""
    mechanism, backend = head.mechanism.strip(), head.backend
    name = mechanism if backend is None else f"{mechanism}:{backend.strip()}"
    if name == "scram":
        name = "scram:built_in_database"
    if name in _NOT_HERE:
        where = f"{path}.{'mechanism' if backend is None else 'backend'}"
        message = f"{name} is an authenticator of EMQX's that this version does not support"
        return None, [error(where, message, f"write one of {', '.join(KINDS)}")]
    if name == "password_based":
        cure = 'write backend = "http" or backend = "built_in_database"'
        return None, [error(f"{path}.backend", "is not set", cure)]
    return name, []


def _misspelled(rest: Mapping[str, Any], cls: type, path: str) -> list[Finding]:
    """Options that no kind has, as far as what is common to all can tell."""
    findings = []
    known = [key_of(field) for field in attrs.fields(cls)]
    for key in rest:
        if key == "precondition":
            message = "is an option of EMQX's that this version does not support"
            findings.append(error(f"{path}.{key}", message, "remove it"))
        elif key not in known and not difflib.get_close_matches(key.lower(), known, n=1):
            near = difflib.get_close_matches(key.lower(), sorted(_COMMON), n=1)
            if near:
                message, cure = "unknown option", f"did you mean {near[0]}?"
                findings.append(error(f"{path}.{key}", message, cure))
    return findings


def _about(findings: Sequence[Finding], path: str, key: str) -> bool:
    return any(finding.path == f"{path}.{key}" for finding in findings)

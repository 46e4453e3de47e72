"""The ``authentication`` section made into options, each kind of authenticator with its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mqttd.config.errors import Finding, error
from mqttd.config.kinds import each_section, own_options, split_section
from mqttd.config.schema.authentication import KINDS, Authenticator, AuthenticatorOptions

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

    What is wrong is left out, as :func:`~mqttd.config.structure.structure` does.
    """
    made: list[Authenticator] = []
    findings: list[Finding] = []
    for values, place in each_section(sections, path):
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
    head, rest, findings = split_section(values, AuthenticatorOptions, base_dir, path)
    name, found = _name(head, path)
    findings += found
    if findings or name is None:
        return None, findings
    cls = KINDS.get(name)
    if cls is not None and "precondition" in rest:
        del rest["precondition"]
        message = "is an option of EMQX's that this version does not support"
        findings.append(error(f"{path}.precondition", message, "remove it"))
    options, found = own_options(rest, cls, AuthenticatorOptions, base_dir, path)
    return Authenticator(name, path, head.enable, head.on_error, options), [*findings, *found]


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

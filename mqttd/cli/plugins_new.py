"""``mqttd plugins new``: writes a small package with a plugin, its tests, and how to go on."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final

import attrs

from mqttd._version import __version__

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*", re.ASCII)
_LONGEST: Final = 50


@attrs.frozen
class Template:
    """What differs between the kinds beside the code itself."""

    declaration: str
    description: str
    configuration: str


TEMPLATES: Final[Mapping[str, Template]] = MappingProxyType(
    {
        "authenticator": Template(
            "AuthenticatorPlugin",
            "An authenticator for mqttd.",
            'authentication { mechanism = "@NAME@", username = "ann", password = "secret" }',
        ),
        "enhanced-authenticator": Template(
            "AuthenticatorPlugin",
            "An MQTT 5 authentication method for mqttd.",
            'authentication { mechanism = "@NAME@", secret = "a long secret" }',
        ),
        "authorizer": Template(
            "AuthorizerPlugin",
            "A source of rules for mqttd.",
            'authorization { sources = [{ type = "@NAME@", prefix = "home" }] }',
        ),
        "revocation-checker": Template(
            "RevocationCheckerPlugin",
            "A revocation checker for mqttd.",
            'ssl_options { verify = verify_peer, cacertfile = "clients-ca.pem", '
            'revocation_checkers = ["@NAME@"] }',
        ),
        "psk-store": Template(
            "PSKStorePlugin",
            "A store of pre-shared keys for mqttd.",
            'psk_authentication { enable = true, store = "@NAME@", '
            'store_options { secret_file = "secret", prefix = "acme-" } }',
        ),
        "event-sink": Template(
            "EventSinkPlugin",
            "An event sink for mqttd.",
            'event_sinks = [{ type = "@NAME@", file = "clients.txt" }]',
        ),
    }
)
"""By kind; the code is in ``templates``."""


def name_problem(name: str) -> str | None:
    """Why a plugin cannot be called so, or None."""
    if len(name) > _LONGEST:
        return f"the name is longer than {_LONGEST} characters"
    if not _NAME.fullmatch(name):
        return (
            "a name is lower-case letters, digits and single hyphens between them, and begins "
            "with a letter: acme-login"
        )
    module = module_of(name)
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        return f"{module} is a word of Python's own"
    try:
        taken = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        taken = True
    if taken:
        return f"there is a Python module {module} already, which it would hide: take another"
    return None


def module_of(name: str) -> str:
    """The name of the Python module."""
    return name.replace("-", "_")


def package_files(name: str, kind: str) -> Iterator[tuple[Path, str]]:
    """Every file of the new package, relative to its folder, and its text."""
    template = TEMPLATES[kind]
    module = module_of(name)
    configuration = "\n".join(f"   {line}" for line in template.configuration.splitlines())
    values = {
        "@CONFIGURATION@": configuration,
        "@DECLARATION@": template.declaration,
        "@DESCRIPTION@": template.description,
        "@UNDERLINE@": "=" * max(3, len(name)),
        "@MODULE@": module,
        "@METHOD@": name.upper(),
        "@CLASS@": "".join(part.capitalize() for part in module.split("_")),
        "@VERSION@": __version__,
        "@NAME@": name,  # last: others hold it
    }
    for path, source in (
        ("pyproject.toml", "pyproject.toml"),
        ("setup.cfg", "setup.cfg"),
        ("README.rst", "README.rst"),
        (f"{module}.py", f"{kind}.py"),
        (f"twisted/plugins/{module}_plugin.py", "plugin.py"),
        (f"tests/test_{module}.py", f"{kind}.test"),
    ):
        text = (files("mqttd.cli") / "templates" / f"{source}.txt").read_text("utf-8")
        for mark, value in values.items():
            text = text.replace(mark, value)
        yield Path(path), text


def write_package(folder: Path, name: str, kind: str) -> list[Path]:
    """Write the package into a new or empty folder; the files written.

    Raises FileExistsError when there is anything else, OSError when it cannot be written.
    """
    written = []
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(folder)
    for path, text in package_files(name, kind):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("x", encoding="utf-8") as file:
            file.write(text)
        written.append(place)
    return written

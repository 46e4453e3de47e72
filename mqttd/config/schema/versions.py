"""TLS version names and the rules for a list of them."""

from __future__ import annotations

from collections.abc import Sequence

from mqttd.config.errors import InvalidValue
from mqttd.config.types import nearest_text, parse_text_list

TLS_VERSIONS = ("tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1")
"""Every version name there is, newest first."""

DEFAULT_VERSIONS = ["tlsv1.3", "tlsv1.2"]


def parse_versions(value: object) -> list[str]:
    """TLS versions newest first; unknown names and gaps are refused.

    A gap cannot be negotiated: a client of a newer version falls back to the next lower one it
    knows, and has to find it there.
    """
    names = [name.lower() for name in parse_text_list(value)]
    names = ["tlsv1" if name == "tlsv1.0" else name for name in names]
    known = f"known are {nearest_text(TLS_VERSIONS)}"
    if not names:
        raise InvalidValue("lists no TLS version", known)
    unknown = [name for name in names if name not in TLS_VERSIONS]
    if unknown:
        raise InvalidValue(f"unknown TLS version: {', '.join(unknown)[:200]}", known)
    positions = sorted({TLS_VERSIONS.index(name) for name in names})
    inside = range(positions[0], positions[-1] + 1)
    missing = [TLS_VERSIONS[position] for position in inside if position not in positions]
    if missing:
        raise InvalidValue(
            f"leaves a gap: {', '.join(missing)} is missing between "
            f"{TLS_VERSIONS[positions[0]]} and {TLS_VERSIONS[positions[-1]]}",
            f"add {', '.join(missing)}, or drop the older versions",
        )
    return [TLS_VERSIONS[position] for position in positions]


def show_versions(value: Sequence[str]) -> str:
    """The list as the file would write it."""
    return "[" + ", ".join(f'"{item}"' for item in value) + "]"

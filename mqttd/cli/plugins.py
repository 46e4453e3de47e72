"""``mqttd plugins``: what is installed, and the beginning of a new one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mqttd.cli.plugins_new import TEMPLATES, name_problem, write_package
from mqttd.cli.plugins_survey import Found, survey


def add_command(commands: Any) -> None:
    """Add ``plugins`` and its actions to the command line."""
    parser = commands.add_parser(
        "plugins",
        help="list plugins, begin a new one",
        description="Plugins decide who comes in and what clients may do. They are found by "
        "Twisted's plugin system, wherever they are installed.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listed = actions.add_parser(
        "list",
        help="every plugin that is installed",
        description="List every plugin with its kind, where it comes from and what it is; those "
        "that cannot be used are listed with the reason.",
        epilog="Exit status 0: all can be used; 1: something is broken; 2: wrong use.",
    )
    listed.add_argument("--json", action="store_true", help="print JSON")
    listed.set_defaults(run=_list)
    new = actions.add_parser(
        "new",
        help="write a small package to begin with",
        description="Write a package with a plugin that works, tests that pass, and what is "
        "needed to build and install it. Nothing that exists is overwritten.",
        epilog="Exit status 0: written; 1: not written; 2: wrong use.",
    )
    new.add_argument("name", metavar="NAME", help="what the configuration calls it: acme-login")
    new.add_argument(
        "--kind",
        choices=tuple(TEMPLATES),
        default="authenticator",
        help="what it is (default: authenticator)",
    )
    new.add_argument(
        "--directory",
        metavar="DIR",
        type=Path,
        help="the folder to make (default: NAME, here)",
    )
    new.set_defaults(run=_new)


def _list(options: argparse.Namespace) -> int:
    found = survey()
    if options.json:
        print(json.dumps([_as_json(each) for each in found], indent=2))
    else:
        print("\n".join(_lines(found)))
    return 1 if any(each.error for each in found) else 0


def _as_json(found: Found) -> dict[str, str | None]:
    return {
        "name": found.name or None,
        "kind": found.kind or None,
        "description": found.description,
        "distribution": found.distribution or None,
        "version": found.version or None,
        "file": str(found.file),
        "error": found.error or None,
    }


def _lines(found: Sequence[Found]) -> list[str]:
    rows = [("NAME", "KIND", "FROM", "DESCRIPTION")]
    rows += [(each.name, each.kind, _source(each), each.description) for each in found]
    usable = [rows[0]] + [row for row, each in zip(rows[1:], found, strict=True) if not each.error]
    widths = [max(len(row[column]) for row in usable) for column in range(3)]
    lines = []
    for row in usable:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[3]]).rstrip())
    for each in found:
        if each.error:
            what = f"{each.kind} {each.name}".strip() or "plugins"
            lines.append(f"broken: {what} of {_source(each)} ({each.file}): {each.error}")
    return lines


def _source(found: Found) -> str:
    return (
        f"{found.distribution} {found.version}" if found.distribution else str(found.file.parent)
    )


def _new(options: argparse.Namespace) -> int:
    problem = name_problem(options.name)
    if problem is not None:
        print(f"mqttd plugins new: {options.name!r}: {problem}", file=sys.stderr)
        return 2
    folder = options.directory or Path(options.name)
    try:
        written = write_package(folder, options.name, options.kind)
    except FileExistsError:
        print(
            f"mqttd plugins new: {folder} exists and is no empty folder; nothing was written",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        print(f"mqttd plugins new: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    for file in written:
        print(file)
    print(f"Next: cd {folder}; pip install -e .; pytest; mqttd plugins list")
    return 0

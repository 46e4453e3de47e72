"""``mqttd certs``: a small certificate authority, and checks of certificate files."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable
from typing import Any

from mqttd.certs.errors import CertsProblem
from mqttd.cli import certs_check, certs_issue

EXIT_FAILED = 1

Run = Callable[[argparse.Namespace], int]


def add_command(commands: Any) -> None:
    """Add ``certs`` to the subparsers of ``mqttd``."""
    parser = commands.add_parser(
        "certs",
        help="make, look at and check certificates",
        description="A small certificate authority in a folder, and checks of certificate files.",
        epilog="Exit status 0: done, or nothing found; 1: it failed, or something is wrong; "
        "2: wrong use.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for module in (certs_issue, certs_check):
        for action, run in module.add_actions(actions):
            action.set_defaults(run=functools.partial(_run, run))


def _run(run: Run, options: argparse.Namespace) -> int:
    try:
        return run(options)
    except CertsProblem as problem:
        print(f"mqttd certs: {problem.message}", file=sys.stderr)
        if problem.cure:
            print(f"cure: {problem.cure}", file=sys.stderr)
        return EXIT_FAILED

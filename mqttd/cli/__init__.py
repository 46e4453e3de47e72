"""The ``mqttd`` command: a family of subcommands around the broker."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from mqttd.versions import version_text

EXIT_USAGE = 2
"""Exit status of a command line that makes no sense, as argparse has it."""

COMMANDS = ("check", "certs", "psk", "passwd", "acl", "audit", "plugins", "ctl", "explain")
"""Each is a module of its own here, which adds its subcommand with ``add_command``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit status: its own, or 2 for wrong use."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="mqttd",
        description="Tools around the mqttd broker. The broker itself runs as: twistd mqttd",
        epilog="mqttd COMMAND --help says more on a command.",
    )
    parser.add_argument("--version", action="store_true", help="print the versions and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    # What one command needs is imported, not what all of them need: that takes a second.
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        import_module(f"mqttd.cli.{name}").add_command(commands)
    options = parser.parse_args(words)
    if options.version:
        print(version_text())
        return 0
    if "run" not in options:
        parser.print_help()
        return EXIT_USAGE
    status: int = options.run(options)
    return status

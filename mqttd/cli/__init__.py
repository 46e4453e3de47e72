"""The ``mqttd`` command: a family of subcommands around the broker."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mqttd.cli import acl, audit, certs, check, ctl, explain, passwd, plugins, psk
from mqttd.versions import version_text

EXIT_USAGE = 2
"""Exit status of a command line that makes no sense, as argparse has it."""

COMMANDS = (check, certs, psk, passwd, acl, audit, plugins, ctl, explain)
"""Each module adds its subcommand with ``add_command``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit status: its own, or 2 for wrong use."""
    parser = argparse.ArgumentParser(
        prog="mqttd",
        description="Tools around the mqttd broker. The broker itself runs as: twistd mqttd",
        epilog="mqttd COMMAND --help says more on a command.",
    )
    parser.add_argument("--version", action="store_true", help="print the versions and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add_command(commands)
    options = parser.parse_args(arguments)
    if options.version:
        print(version_text())
        return 0
    if "run" not in options:
        parser.print_help()
        return EXIT_USAGE
    status: int = options.run(options)
    return status

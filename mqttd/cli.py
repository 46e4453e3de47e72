"""The ``mqttd`` command: a family of subcommands around the broker."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import attrs
from twisted.python import usage

from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.load import load_configuration
from mqttd.startup import check_everything
from mqttd.tap import CONFIG_FILES, config_path, version_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit status: 0 good, 1 found wrong, 2 used wrongly."""
    parser = argparse.ArgumentParser(
        prog="mqttd",
        description="Tools around the mqttd broker. The broker itself runs as: twistd mqttd",
    )
    parser.add_argument("--version", action="store_true", help="print the versions and exit")
    commands = parser.add_subparsers(metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="check the configuration and the certificates",
        description="Finds errors, and weak or risky settings, before they hurt. "
        "Exit status 0: may start (warnings allowed), 1: errors, 2: wrong use.",
    )
    check.add_argument(
        "--config", "-c", metavar="FILE", help=f"default: {' or '.join(CONFIG_FILES)}"
    )
    check.add_argument("--json", action="store_true", help="findings as JSON")
    check.set_defaults(run=_check)
    options = parser.parse_args(arguments)
    if options.version:
        print(version_text())
        return 0
    if not hasattr(options, "run"):
        parser.print_help()
        return 2
    status: int = options.run(options)
    return status


def _check(options: argparse.Namespace) -> int:
    try:
        path = config_path(options.config)
    except usage.UsageError as error:
        print(f"mqttd check: {error}", file=sys.stderr)
        return 2
    try:
        findings = check_everything(load_configuration(path))
    except ConfigurationErrors as errors:
        findings = list(errors.findings)
    count = {
        severity: sum(finding.severity == severity for finding in findings)
        for severity in ("error", "warning", "notice")
    }
    if options.json:
        report = {"config": path, "findings": [attrs.asdict(each) for each in findings]}
        print(json.dumps(report | {"ok": not count["error"]}, indent=2))
    else:
        for finding in findings:
            print(_text(finding))
        said = ", ".join(f"{number} {severity}s" for severity, number in count.items() if number)
        print(f"{path}: {said or 'nothing found'}")
    return 1 if count["error"] else 0


def _text(finding: Finding) -> str:
    """A finding over several lines, for people."""
    place = f"\n    at {finding.origin}" if finding.origin else ""
    cure = f"\n    cure: {finding.cure}" if finding.cure else ""
    return f"{finding.severity}: {finding.path}\n    {finding.message}{cure}{place}\n"

"""``mqttd check``: the configuration and its certificates looked over before they hurt."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import attrs

from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.places import CONFIG_FILES, default_configuration
from mqttd.startup import check_everything, load


def add_command(commands: Any) -> None:
    """Add ``check`` to the subparsers of ``mqttd``."""
    parser = commands.add_parser(
        "check",
        help="check the configuration and the certificates",
        description="Finds errors, and weak or risky settings, in the configuration and in the "
        "files it names. Opens no port and changes nothing.",
        epilog="Exit status 0: the broker can start (there may be warnings); 1: it cannot; "
        "2: wrong use.",
    )
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help=f"the configuration; default: {' or else '.join(CONFIG_FILES)}",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=_run)


def check(path: str, *, as_json: bool = False) -> int:
    """Print what is wrong, weak or risky in the file at ``path``.

    Returns 0 when the broker can start with it, else 1.
    """
    try:
        findings = check_everything(load(path))
    except ConfigurationErrors as errors:
        findings = errors.findings
    usable = not any(finding.severity == "error" for finding in findings)
    if as_json:
        listed = [attrs.asdict(finding) for finding in findings]
        print(json.dumps({"config": path, "ok": usable, "findings": listed}, indent=2))
    else:
        print(report(path, findings))
    return 0 if usable else 1


def report(path: str, findings: Sequence[Finding]) -> str:
    """The findings for people: severity, option and place, problem, cure; then a count."""
    blocks = [_block(finding) for finding in findings]
    return "\n".join([*blocks, f"{path}: {_count(findings)}"])


def _block(finding: Finding) -> str:
    place = f" ({finding.origin})" if finding.origin else ""
    subject = f"{finding.path}{place}".lstrip()
    lines = [f"{finding.severity}: {subject}", f"    {finding.message}"]
    if finding.cure:
        lines.append(f"    cure: {finding.cure}")
    return "\n".join(lines) + "\n"


def _count(findings: Sequence[Finding]) -> str:
    counts = []
    for severity in ("error", "warning", "notice"):
        number = sum(finding.severity == severity for finding in findings)
        if number:
            counts.append(f"{number} {severity}{'s' if number > 1 else ''}")
    return ", ".join(counts) or "nothing to mend"


def _run(options: argparse.Namespace) -> int:
    path = options.config or default_configuration()
    if path is None:
        print(f"mqttd check: there is no {' and no '.join(CONFIG_FILES)}", file=sys.stderr)
        print("Name the configuration with --config FILE.", file=sys.stderr)
        return 2
    return check(path, as_json=options.json)

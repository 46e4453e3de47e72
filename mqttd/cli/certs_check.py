"""The actions of ``mqttd certs`` that look at files: show, verify, check, split."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mqttd.certs.material import read_material
from mqttd.certs.rules import CLOUD, Outcome, check_material
from mqttd.certs.show import describe_file
from mqttd.certs.split import split_bundle
from mqttd.certs.verify import PURPOSES, verify_file
from mqttd.log.text import escape

Action = tuple[argparse.ArgumentParser, Callable[[argparse.Namespace], int]]

_LISTED = 10


def add_actions(actions: Any) -> Iterator[Action]:
    """Add the actions; yields each parser with the function that runs it."""
    show = actions.add_parser("show", help="say what is in a certificate, bundle or CRL")
    show.add_argument("file", metavar="FILE")
    show.add_argument("--json", action="store_true", help="print JSON")
    yield show, _show

    verify = actions.add_parser(
        "verify", help="say whether a certificate is trusted and good for its purpose"
    )
    verify.add_argument("certificate", metavar="CERT", help="it, and its intermediates behind it")
    verify.add_argument("--ca", required=True, metavar="FILE", help="what is trusted")
    verify.add_argument("--purpose", choices=list(PURPOSES), help="what it is to be used for")
    verify.add_argument("--host", metavar="NAME", help="name or address a client connects to")
    verify.add_argument("--crl", metavar="FILE", help="revocation list to look it up in")
    yield verify, _verify

    check = actions.add_parser(
        "check",
        help="check the files of a server by the rules of imports",
        description="Checks certificate, key and chain of a server, rule by rule.",
    )
    check.add_argument("certificate", metavar="CERT", help="the server's certificate")
    check.add_argument("--key", metavar="FILE", help="its private key")
    check.add_argument("--chain", metavar="FILE", help="its issuers")
    check.add_argument("--client-ca", metavar="FILE", help="the CA of client certificates")
    check.add_argument(
        "--profile", choices=[CLOUD], help="cloud: what EMQX Cloud refuses is an error"
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    yield check, _check

    split = actions.add_parser(
        "split", help="take a bundle apart into user, intermediate and root certificates"
    )
    split.add_argument("bundle", metavar="BUNDLE")
    split.add_argument("--out-dir", required=True, type=Path, metavar="DIR")
    split.add_argument("--force", action="store_true", help="overwrite what is there")
    yield split, _split


def _show(options: argparse.Namespace) -> int:
    described = describe_file(options.file)
    if options.json:
        print(json.dumps(described, indent=2))
    else:
        print("\n\n".join(map(_block, described)))
    return 0


def _block(fields: dict[str, Any]) -> str:
    return "\n".join(
        f"{name.replace('_', ' ')}: {escape(_text(value))}" for name, value in fields.items()
    )


def _text(value: object) -> str:
    if isinstance(value, list):
        more = [f"and {len(value) - _LISTED} more"] if len(value) > _LISTED else []
        return ", ".join([*value[:_LISTED], *more])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _verify(options: argparse.Namespace) -> int:
    problems = verify_file(
        options.certificate,
        ca=options.ca,
        purpose=options.purpose,
        host=options.host,
        crl=options.crl,
    )
    if not problems:
        print(f"{options.certificate}: OK")
    for problem in problems:
        print(f"{options.certificate}: {escape(problem)}")
    return 1 if problems else 0


def _check(options: argparse.Namespace) -> int:
    material = read_material(options.certificate, options.key, options.chain, options.client_ca)
    outcomes = check_material(material, cloud=options.profile == CLOUD)
    usable = not any(
        finding.severity == "error" for outcome in outcomes for finding in outcome.findings
    )
    if options.json:
        print(json.dumps({"ok": usable, "rules": [_as_dict(each) for each in outcomes]}, indent=2))
    else:
        print(_report(outcomes))
        print("usable" if usable else "not usable")
    return 0 if usable else 1


def _as_dict(outcome: Outcome) -> dict[str, object]:
    return {
        "rule": outcome.rule,
        "title": outcome.title,
        "checked": outcome.checked,
        "ok": outcome.ok,
        "findings": [
            {
                "severity": finding.severity,
                "message": escape(finding.message),
                "cure": escape(finding.cure),
            }
            for finding in outcome.findings
        ],
    }


def _report(outcomes: Sequence[Outcome]) -> str:
    lines = []
    for outcome in outcomes:
        if not outcome.checked:
            lines.append(f"not checked: {outcome.title}")
        elif outcome.ok:
            lines.append(f"ok: {outcome.title}")
        for finding in outcome.findings:
            lines.append(f"{finding.severity}: {outcome.rule}: {escape(finding.message)}")
            if finding.cure:
                lines.append(f"    cure: {escape(finding.cure)}")
    return "\n".join(lines)


def _split(options: argparse.Namespace) -> int:
    written = split_bundle(options.bundle, options.out_dir, force=options.force)
    for file, count in written.items():
        print(f"made {file}: {count} certificate{'s' if count > 1 else ''}")
    return 0

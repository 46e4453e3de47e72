"""``mqttd audit``: is an audit log what was written?"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import attrs

from mqttd.audit.records import Head
from mqttd.audit.verify import Verdict, verify
from mqttd.tls.files import FileProblem, read_file


def add_command(commands: Any) -> None:
    """Add ``audit`` and its actions to the command line."""
    parser = commands.add_parser(
        "audit",
        help="check audit logs",
        description="Check audit logs, as the section audit makes them.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser(
        "verify",
        help="say whether a log is what was written",
        description="Check that no record of the files was changed, removed, added or moved. "
        "Give the files of one log oldest first: audit.log.2 audit.log.1 audit.log.",
        epilog="Exit status 0: every record is what was written; 1: it is not, or a file cannot "
        "be read; 2: wrong use. Records cut off at the very end are missed only against --expect: "
        "the broker's log names number and hash at each start and stop.",
    )
    check.add_argument("files", metavar="FILE", type=Path, nargs="+")
    check.add_argument(
        "--expect",
        metavar="NUMBER:HASH",
        type=_head,
        help="a record that must be there, with its hash",
    )
    check.add_argument(
        "--key-file", metavar="FILE", type=Path, help="the key, where audit.key_file is set"
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=_verify)


def _head(text: str) -> Head:
    number, _, seal = text.partition(":")
    if not (number.isascii() and number.isdecimal()) or len(seal) != 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not NUMBER:HASH")
    return Head(int(number), seal.lower())


def _verify(options: argparse.Namespace) -> int:
    try:
        key = b"" if options.key_file is None else read_file(options.key_file)[0].strip()
        verdict = verify(options.files, key=key, expected=options.expect)
    except FileProblem as problem:
        print(f"error: {problem.message}", file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"error: {problem.filename} cannot be read: {problem.strerror}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"ok": not verdict.problem, **attrs.asdict(verdict)}, indent=2))
    else:
        _tell(verdict)
        if verdict.problem and not verdict.records:
            # Nothing fits from the first line on: more often a key than a forger.
            what = "another key" if key else "a key: --key-file, as audit.key_file has it"
            print(f"the log may have been made with {what}")
    return 1 if verdict.problem else 0


def _tell(verdict: Verdict) -> None:
    if verdict.problem:
        place = f"{verdict.file} line {verdict.line}: " if verdict.file else ""
        print(f"{place}{verdict.problem}")
    if not verdict.records:
        print("no record" + (" before it is good" if verdict.problem else " is there"))
        return
    print(
        f"{verdict.records} records are what was written, "
        f"{verdict.first} to {verdict.head.seq}:{verdict.head.hash}"
    )
    if verdict.torn:
        print(f"{verdict.torn} lines were cut off by a crash, and are accounted for")
    if verdict.unfinished:
        print("the last line has no end: it is being written, or a crash cut it off; left out")
    if verdict.first > 1 and not verdict.problem:
        print(f"records before {verdict.first} are in older files, which were not given")

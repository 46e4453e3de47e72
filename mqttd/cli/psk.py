"""``mqttd psk``: new pre-shared keys, and a look at a file of them."""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import attrs

from mqttd.psk.check import LARGEST, about_lines, look_at
from mqttd.psk.psk_file import parse_psk_file
from mqttd.tls.files import FileProblem, read_file

_KEY_BYTES = 32


def add_command(commands: Any) -> None:
    """Add ``psk`` and its actions to the command line."""
    parser = commands.add_parser(
        "psk",
        help="make and check pre-shared keys",
        description="Make and check pre-shared keys, as psk_authentication.init_file holds them.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    new = actions.add_parser(
        "new",
        help="make a key for an identity",
        description="Make a key of 32 random bytes and print the line for the file. The client "
        "needs the same identity and key; mosquitto and openssl take the key in hexadecimal.",
        epilog="Keys in base64 need psk_authentication.encoding = base64.",
    )
    new.add_argument("identity", metavar="ID", help="what the client will call itself")
    new.add_argument(
        "--encoding",
        choices=("hex", "base64"),
        default="hex",
        help="how the key is written (default: hex)",
    )
    _add_separator(new)
    new.add_argument(
        "--append",
        metavar="FILE",
        type=Path,
        help="add the line to FILE, made with mode 0600 if it does not exist",
    )
    new.set_defaults(run=_new)
    check = actions.add_parser(
        "check",
        help="look at a file of keys",
        description="Name every bad line of a file, without the keys, and say how the keys are "
        "written. The broker takes a file whole or not at all.",
        epilog="Exit status 0: the broker would take the file (there may be warnings); 1: it "
        "would not; 2: wrong use.",
    )
    check.add_argument("file", metavar="FILE", type=Path)
    check.add_argument(
        "--encoding",
        choices=("auto", "hex", "base64", "text"),
        default="auto",
        help="how keys are written (default: auto)",
    )
    _add_separator(check)
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=_check)


def _add_separator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--separator", default=":", help="what stands between identity and key (default: ':')"
    )


def _new(options: argparse.Namespace) -> int:
    if options.separator and options.separator in options.identity:
        print(
            f"error: the identity holds the separator {options.separator!r}; choose another one, "
            "or another --separator, which is to be psk_authentication.separator",
            file=sys.stderr,
        )
        return 1
    key = secrets.token_bytes(_KEY_BYTES)
    text = key.hex() if options.encoding == "hex" else base64.b64encode(key).decode()
    line = f"{options.identity}{options.separator}{text}"
    read = parse_psk_file(
        os.fsencode(line), separator=options.separator, encoding=options.encoding
    )
    if not options.separator or read.bad or os.fsencode(options.identity) not in read.keys:
        problem = read.bad[0].problem if read.bad else "the identity cannot stand in such a line"
        print(f"error: {problem}", file=sys.stderr)
        return 1
    if options.append is not None and not _append(options, os.fsencode(line)):
        return 1
    print(line)
    return 0


def _append(options: argparse.Namespace, line: bytes) -> bool:
    """Add the line unless the identity is there, or the file is not as the broker wants it."""
    file: Path = options.append
    data = b""
    if file.exists():
        try:
            data, _ = read_file(file, LARGEST)
        except FileProblem as problem:
            print(f"error: {problem.message}", file=sys.stderr)
            return False
    before = parse_psk_file(data, separator=options.separator)
    encoding = "auto" if options.encoding == "hex" else options.encoding
    if before.keys and (before.encoding == "hex") != (options.encoding == "hex"):
        # The broker would read the keys that stand there as others.
        held = "hex" if before.encoding == "hex" else "text or base64"
        if held == "hex" or encoding == "auto":
            print(f"error: {file} holds keys of {held}, not {options.encoding}", file=sys.stderr)
            return False
    new_line = b"\n" if data and not data.endswith(b"\n") else b""
    added = new_line + line + b"\n"
    after = parse_psk_file(data + added, separator=options.separator, encoding=encoding)
    if after.bad:
        for finding in about_lines(after, str(file), ""):
            print(f"error: {finding.message}", file=sys.stderr)
        return False
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, flags, 0o600)
        with open(descriptor, "ab") as output:
            output.write(added)
    except OSError as problem:
        print(f"error: {file} cannot be written: {problem.strerror}", file=sys.stderr)
        return False
    return True


def _check(options: argparse.Namespace) -> int:
    if not options.separator:
        print("error: the separator is empty", file=sys.stderr)
        return 2
    read, findings = look_at(
        options.file, separator=options.separator, encoding=options.encoding, path=""
    )
    usable = read is not None and not read.bad
    if options.json:
        told = {
            "ok": usable,
            "count": 0 if read is None else len(read.keys),
            "encoding": None if read is None else read.encoding,
            "bad_count": 0 if read is None else read.bad_count,
            "bad_lines": [] if read is None else list(map(attrs.asdict, read.bad)),
            "findings": [
                {"severity": each.severity, "message": each.message, "cure": each.cure}
                for each in findings
            ],
        }
        print(json.dumps(told, indent=2))
        return 0 if usable else 1
    for each in findings:
        print(each)
    if read is None or read.bad:
        print("the broker would refuse the whole file")
        return 1
    count = len(read.keys)
    noun = "identity" if count == 1 else "identities"
    print(f"{count} {noun}, keys written as {read.encoding}")
    return 0

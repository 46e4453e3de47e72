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

from mqttd.psk.check import about_lines
from mqttd.psk.psk_file import parse_psk_file, show_identity
from mqttd.tls.files import FileProblem, read_file

_KEY_BYTES = 32
_LARGEST = 64 << 20


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
        description="Name every bad line of a file. Ends with status 1 when there is one: the "
        "broker takes the file whole or not at all.",
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
            data, _ = read_file(file, _LARGEST)
        except FileProblem as problem:
            print(f"error: {problem.message}", file=sys.stderr)
            return False
    before = parse_psk_file(data, separator=options.separator)
    encoding = "auto" if options.encoding == "hex" else options.encoding
    if before.keys and encoding == "auto" and before.encoding == "text":
        print(f"error: {file} holds keys written as text, not hex", file=sys.stderr)
        return False
    new_line = b"\n" if data and not data.endswith(b"\n") else b""
    added = new_line + line + b"\n"
    after = parse_psk_file(data + added, separator=options.separator, encoding=encoding)
    if after.bad:
        for each in after.bad:
            print(f"error: {file} line {each.number}: {each.problem}", file=sys.stderr)
        return False
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags, 0o600)
        with open(descriptor, "ab") as output:
            output.write(added)
    except OSError as problem:
        print(f"error: {file} cannot be written: {problem.strerror}", file=sys.stderr)
        return False
    return True


def _check(options: argparse.Namespace) -> int:
    try:
        data, _ = read_file(options.file, _LARGEST)
    except FileProblem as problem:
        print(f"error: {problem.message}", file=sys.stderr)
        return 1
    if not options.separator:
        print("error: the separator is empty", file=sys.stderr)
        return 2
    read = parse_psk_file(data, separator=options.separator, encoding=options.encoding)
    if options.json:
        print(
            json.dumps(
                {
                    "identities": [show_identity(each) for each in read.keys],
                    "encoding": read.encoding,
                    "bad_lines": [attrs_of(each) for each in read.bad],
                },
                indent=2,
            )
        )
        return int(bool(read.bad))
    for finding in about_lines(read, str(options.file), "init_file"):
        print(f"error: {finding.message}")
    if read.bad:
        print(f"{len(read.bad)} bad lines: the broker would refuse the whole file")
        return 1
    print(f"{len(read.keys)} identities, keys written as {read.encoding}")
    return 0


def attrs_of(line: Any) -> dict[str, object]:
    """A bad line for JSON."""
    return {"line": line.number, "problem": line.problem}

"""``mqttd passwd``: users and their passwords in a file, for password and SCRAM authentication."""

from __future__ import annotations

import argparse
import getpass
import json
import secrets
import sys
from pathlib import Path
from typing import Any

from mqttd.auth.password_hash import LONGEST_PASSWORD, check_hash, hash_password
from mqttd.auth.saslprep import saslprep
from mqttd.auth.scram import ScramCredential
from mqttd.auth.user_edit import changing, check_name, with_user, without_user
from mqttd.auth.user_file import LARGEST, parse_users
from mqttd.tls.files import FileProblem, read_file

_GENERATED_BYTES = 18
_SCRAM = {"sha256": "SCRAM-SHA-256", "sha512": "SCRAM-SHA-512"}
_NAMED = 20


class _Problem(Exception):  # noqa: N818 - told to the user, not raised further
    """Why nothing was changed."""


def add_command(commands: Any) -> None:
    """Add ``passwd`` to the command line."""
    parser = commands.add_parser(
        "passwd",
        help="set, delete and check passwords of users",
        description="Users and their passwords in a file, for password and SCRAM authentication. "
        "The broker reads a changed file within reload_interval, or at once by mqttd ctl reload.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    new = actions.add_parser(
        "set",
        help="add a user, or change the password",
        description="Set the password of USER in FILE, which is made with mode 0600 if it does "
        "not exist. The password is asked for; it is kept as an Argon2id hash, with --scram as a "
        "SCRAM credential.",
    )
    new.add_argument("file", metavar="FILE", type=Path)
    new.add_argument("user", metavar="USER", nargs="?", help="the user's name")
    source = new.add_mutually_exclusive_group()
    source.add_argument(
        "--stdin", action="store_true", help="read the password from the first line of stdin"
    )
    source.add_argument(
        "--generate", action="store_true", help="make a password of 144 random bits and print it"
    )
    source.add_argument(
        "--batch", action="store_true", help="read a line NAME:PASSWORD for each user from stdin"
    )
    new.add_argument(
        "--scram",
        choices=tuple(_SCRAM),
        help="write a credential for mechanism = scram with this algorithm",
    )
    new.set_defaults(run=_run, delete=False)
    delete = actions.add_parser("delete", help="delete a user", description="Delete USER.")
    delete.add_argument("file", metavar="FILE", type=Path)
    delete.add_argument("user", metavar="USER", help="the user's name")
    delete.set_defaults(run=_run, delete=True, scram=None, batch=False)
    check = actions.add_parser(
        "check",
        help="look at a file of users",
        description="Name every bad line of FILE, without the hashes. The broker takes a file "
        "whole or not at all.",
        epilog="Exit status 0: the broker would take the file; 1: it would not; 2: wrong use.",
    )
    check.add_argument("file", metavar="FILE", type=Path)
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=_check)


def _run(options: argparse.Namespace) -> int:
    try:
        return _change(options)
    except _Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
    except OSError as problem:
        print(f"error: {options.file} cannot be written: {problem.strerror}", file=sys.stderr)
    return 1


def _change(options: argparse.Namespace) -> int:
    file: Path = options.file
    if (options.user is None) != options.batch:
        raise _Problem("give either USER or --batch")
    users: dict[str, str] = {}
    if options.delete:
        users[_name(options.user, options.scram)] = ""
    else:
        _sound(file, _bytes_of(file), options.scram)  # before the user types a password
        users = _batch(options) if options.batch else _one(options)
    with changing(file) as write:
        data = _bytes_of(file)
        if options.delete:
            data = _without(file, data, *users)
        else:
            _sound(file, data, options.scram)
            for name, secret in users.items():
                data = with_user(data, name, secret)
        write(data)
    done = "deleted" if options.delete else "set"
    print(f"{file}: {_named(users)} {done}", file=sys.stderr)
    return 0


def _without(file: Path, data: bytes, name: str) -> bytes:
    after = without_user(data, name)
    if after is None:
        raise _Problem(f"{file} has no user {name}")
    return after


def _named(users: dict[str, str]) -> str:
    return next(iter(users)) if len(users) == 1 else f"{len(users)} users"


def _name(name: str, scram: str | None) -> str:
    """The name as it is looked up."""
    try:
        check_name(name)
        if scram:
            name = saslprep(name)
            check_name(name)
    except ValueError as problem:
        raise _Problem(problem) from None
    return name


def _one(options: argparse.Namespace) -> dict[str, str]:
    name = _name(options.user, options.scram)
    return {name: _secret(_password(options), options)}


def _batch(options: argparse.Namespace) -> dict[str, str]:
    """Everybody on standard input: all of them, or nobody."""
    users: dict[str, str] = {}
    for number, line in enumerate(sys.stdin, 1):
        text = line.rstrip("\n").removesuffix("\r")
        if not text:
            continue
        name, mark, password = text.partition(":")
        try:
            if not mark:
                raise _Problem("is not NAME:PASSWORD")
            name = _name(name, options.scram)
            if name in users:
                raise _Problem("names a user a second time")
            users[name] = _secret(password, options)
        except _Problem as problem:
            raise _Problem(f"stdin line {number}: {problem}") from None
    if not users:
        raise _Problem("stdin names nobody")
    return users


def _bytes_of(file: Path) -> bytes:
    if not file.exists():
        return b""
    try:
        return read_file(file, LARGEST)[0]
    except FileProblem as problem:
        raise _Problem(problem.message) from None


def _sound(file: Path, data: bytes, scram: str | None) -> None:
    """The file is what the broker would take, and of the kind that is to be written."""
    users, bad = parse_users(data, str)
    for number, problem in bad[:1]:
        raise _Problem(f"{file} line {number} {problem}: mend it first")
    kinds = {"scram" if each.startswith("SCRAM-") else "password" for each in users.values()}
    wanted = "scram" if scram else "password"
    if kinds - {wanted}:
        held = "SCRAM credentials" if wanted == "password" else "password hashes"
        raise _Problem(f"{file} holds {held}: give another file, or --scram as they were made")


def _password(options: argparse.Namespace) -> str:
    if options.generate:
        return secrets.token_urlsafe(_GENERATED_BYTES)
    if options.stdin:
        return sys.stdin.readline().rstrip("\n").removesuffix("\r")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise _Problem("the two passwords differ")
    return password


def _secret(password: str, options: argparse.Namespace) -> str:
    """What is written behind the name."""
    if not password:
        raise _Problem("the password is empty")
    if len(password.encode("utf-8", "surrogateescape")) > LONGEST_PASSWORD:
        raise _Problem(f"the password is longer than {LONGEST_PASSWORD} bytes")
    try:
        if options.scram:
            secret = ScramCredential.new(_SCRAM[options.scram], password).text()
        else:
            secret = hash_password(password.encode())
    except UnicodeEncodeError:
        raise _Problem("the password is not UTF-8") from None
    except ValueError as problem:
        raise _Problem(f"the password {problem}") from None
    if options.generate:
        print(password)
    return secret


def _check(options: argparse.Namespace) -> int:
    try:
        data = _bytes_of(options.file)
        if not options.file.exists():
            raise _Problem(f"{options.file} does not exist")
    except _Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    users, bad = parse_users(data, _known)
    kinds = sorted(set(users.values()))
    if "SCRAM" in kinds and len(kinds) > 1:
        bad.append((0, "password hashes and SCRAM credentials are mixed: no broker takes both"))
    if options.json:
        told = {
            "ok": not bad,
            "users": len(users),
            "kinds": {kind: list(users.values()).count(kind) for kind in kinds},
            "bad_lines": [{"number": number, "problem": wrong} for number, wrong in bad],
        }
        print(json.dumps(told, indent=2))
        return 1 if bad else 0
    for number, wrong in bad[:_NAMED]:
        print(f"line {number}: {wrong}" if number else wrong)
    if bad:
        if len(bad) > _NAMED:
            print(f"and {len(bad) - _NAMED} more")
        print("the broker would refuse the whole file")
        return 1
    print(f"{len(users)} {'user' if len(users) == 1 else 'users'} ({', '.join(kinds) or 'none'})")
    return 0


def _known(secret: str) -> str:
    """The kind of a hash. Raises ValueError for one that the broker would not take."""
    if secret.startswith("SCRAM-"):
        ScramCredential.parse(secret)
        return "SCRAM"
    check_hash(secret)
    kind = secret.split("$")[1]
    return {"argon2id": "Argon2id", "6": "mosquitto $6$", "7": "mosquitto $7$"}.get(kind, "bcrypt")

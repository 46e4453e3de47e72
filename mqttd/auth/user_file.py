"""Files with one ``NAME:SECRET`` a line, read whole or not at all: passwords and SCRAM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from mqttd.config.errors import ConfigurationErrors, Finding, error, warning
from mqttd.tls.files import FileProblem, read_file, resolve

LARGEST: Final = 64 << 20
"""Bytes of a file."""
_NAMED: Final = 100

_Kept = TypeVar("_Kept")


def parse_users(
    data: bytes, read: Callable[[str], _Kept]
) -> tuple[dict[str, _Kept], list[tuple[int, str]]]:
    """Users and, by line, what is wrong; ``read`` makes of a secret what is kept, or raises
    ValueError. Blank lines and lines that begin with ``#`` are skipped."""
    users: dict[str, _Kept] = {}
    bad: list[tuple[int, str]] = []
    for number, raw in enumerate(data.split(b"\n"), 1):
        try:
            line = raw.decode().rstrip("\r")
        except UnicodeDecodeError:
            bad.append((number, "is not UTF-8"))
            continue
        if not line.strip() or line.startswith("#"):
            continue
        name, mark, secret = line.partition(":")
        if not mark or not name or not secret:
            bad.append((number, "is not NAME:HASH"))
        elif name in users:
            bad.append((number, "names a user that stands there already"))
        else:
            try:
                users[name] = read(secret)
            except ValueError as problem:
                bad.append((number, f"the hash {problem}"))
    return users, bad


def load_users(
    file: str, base_dir: Path, read: Callable[[str], _Kept], path: str
) -> tuple[dict[str, _Kept], list[Finding]]:
    """The users of a file and what is to be said of it, errors or warnings; ``path`` is the
    option's."""
    place = resolve(file, base_dir)
    try:
        data, mode = read_file(place, LARGEST)
    except FileProblem as problem:
        return {}, [error(path, problem.message, problem.cure)]
    users, bad = parse_users(data, read)
    findings = [
        error(path, f"{place} line {number}: {problem}", "make the line with mqttd passwd set")
        for number, problem in bad[:_NAMED]
    ]
    if len(bad) > _NAMED:
        findings.append(error(path, f"{place}: {len(bad) - _NAMED} more bad lines"))
    if mode & 0o007:
        findings.append(
            warning(path, f"{place} can be read by everybody ({mode:04o})", f"chmod 600 {place}")
        )
    return users, findings


def checked_users(
    file: str, base_dir: Path, read: Callable[[str], _Kept], path: str
) -> dict[str, _Kept]:
    """As :func:`load_users`. Raises ConfigurationErrors when there are errors."""
    users, findings = load_users(file, base_dir, read, path)
    if any(finding.severity == "error" for finding in findings):
        raise ConfigurationErrors(findings)
    return users

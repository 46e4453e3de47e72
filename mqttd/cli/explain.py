"""``mqttd explain``: why connections failed, from a log or from what a client printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from mqttd.explain.causes import CAUSES
from mqttd.explain.reader import LONGEST, Found, Reader

_SHOWN_PEERS = 5


def add_command(commands: Any) -> None:
    """Add ``explain`` to the subparsers of ``mqttd``."""
    parser = commands.add_parser(
        "explain",
        help="say why connections failed, and what to do",
        description="Reads a log of mqttd (text or JSON), or what openssl s_client, mosquitto_pub "
        "or gnutls-cli, a Python, Java, Go or Node client, or EMQX printed, and says of each "
        "kind of failure in it: the cause and the cure.",
        epilog="Exit status 0: something was recognised; 1: nothing was; 2: the file cannot be "
        "read.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "file", metavar="FILE", nargs="?", help="the log or transcript; - is standard input"
    )
    what.add_argument("--list", action="store_true", help="print every cause that is known")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def explain(stream: TextIO, *, as_json: bool = False) -> int:
    """Print what is found in ``stream``. Returns 0, or 1 when nothing is recognised."""
    reader = Reader()
    reader.read(_lines(stream))
    found = list(reader.found.values())
    if as_json:
        print(json.dumps([_as_dict(each) for each in found], indent=2))
    elif found:
        print("\n\n".join(map(_as_text, found)))
    else:
        print("nothing is recognised; the broker's own log says why it refuses a connection")
    return 0 if found else 1


def _lines(stream: TextIO) -> Iterator[str]:
    while line := stream.readline(LONGEST):
        yield line


def _as_text(found: Found) -> str:
    cause = found.cause
    times = "once" if found.count == 1 else f"{found.count} times"
    lines = [
        f"{cause.kind} ({times}, first in line {found.first_line}{_from(found)})",
        f"    cause: {cause.words}",
        f"    cure: {cause.cure}",
        f"    seen: {''.join(c if c.isprintable() else '?' for c in found.example)}",
    ]
    return "\n".join(lines)


def _from(found: Found) -> str:
    peers = sorted(found.peers)
    if not peers:
        return ""
    more = f" and {len(peers) - _SHOWN_PEERS} more" if len(peers) > _SHOWN_PEERS else ""
    return f"; from {', '.join(peers[:_SHOWN_PEERS])}{more}"


def _as_dict(found: Found) -> dict[str, object]:
    return {
        "kind": found.cause.kind,
        "cause": found.cause.words,
        "cure": found.cause.cure,
        "count": found.count,
        "first_line": found.first_line,
        "peers": sorted(found.peers),
        "example": found.example,
    }


def _list(*, as_json: bool) -> None:
    causes = sorted(CAUSES.values(), key=lambda cause: cause.kind)
    if as_json:
        listed = [{"kind": c.kind, "cause": c.words, "cure": c.cure} for c in causes]
        print(json.dumps(listed, indent=2))
    else:
        print("\n".join(f"{c.kind}\n    cause: {c.words}\n    cure: {c.cure}" for c in causes))


def _run(options: argparse.Namespace) -> int:
    if options.list:
        _list(as_json=options.json)
        return 0
    file = sys.stdin.fileno() if options.file == "-" else options.file
    try:
        with open(file, encoding="utf-8", errors="replace", closefd=options.file != "-") as stream:
            return explain(stream, as_json=options.json)
    except OSError as problem:
        print(f"mqttd explain: {options.file}: {problem.strerror}", file=sys.stderr)
        return 2

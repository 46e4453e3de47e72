"""``mqttd ctl banned``: who may not come in, until when and why."""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any, Final

from mqttd.abuse.banned import KINDS
from mqttd.cli import ctl_text
from mqttd.cli.ctl_answer import Answer, Misuse
from mqttd.cli.ctl_client import ControlClient, Refusal
from mqttd.config.errors import InvalidValue
from mqttd.config.types import parse_duration

EXIT_FAILED: Final = 1
_PAGE: Final = 500
_WANTS = "banned {} needs AS and WHO, such as: banned {} peerhost 192.0.2.7"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "action", nargs="?", choices=("list", "add", "remove", "clear"), default="list"
    )
    parser.add_argument("kind", nargs="?", metavar="AS", help=f"one of {', '.join(KINDS)}")
    parser.add_argument("who", nargs="?", metavar="WHO", help="the name, address or network")
    parser.add_argument("--for", dest="time", metavar="TIME", help="how long, such as 2h or 30d")
    parser.add_argument("--until", metavar="TIME", help="until when, such as 2030-01-31T12:00:00Z")
    parser.add_argument("--reason", metavar="TEXT", help="why; the log and the list show it")


def banned(client: ControlClient, options: argparse.Namespace) -> Answer:
    """Run it."""
    match options.action:
        case "add":
            return _add(client, options)
        case "remove":
            return _remove(client, options)
        case "clear":
            client.delete("banned")
            return Answer({}, "Nobody is banned any more.")
    rows = _all(client)
    return Answer(rows, _text(rows))


def _add(client: ControlClient, options: argparse.Namespace) -> Answer:
    row: dict[str, Any] = {"as": options.kind, "who": _who(options)}
    if getattr(options, "time", None) is not None:
        if getattr(options, "until", None) is not None:
            raise Misuse("--for and --until say the same: use one")
        try:
            seconds = parse_duration(options.time)
        except InvalidValue as problem:
            raise Misuse(f"--for {problem.problem}") from None
        row["until"] = "infinity" if seconds == math.inf else time.time() + seconds
    elif getattr(options, "until", None) is not None:
        row["until"] = options.until
    if getattr(options, "reason", None) is not None:
        row["reason"] = options.reason
    kept = client.ask("POST", ("banned",), body=json.dumps(row))
    kind, who = ctl_text.plain(kept["as"]), ctl_text.plain(kept["who"])
    until = ctl_text.plain(kept["until"])
    end = "until it is removed" if until == "infinity" else f"until {until}"
    return Answer(kept, f"{kind} {who} is banned {end}.")


def _remove(client: ControlClient, options: argparse.Namespace) -> Answer:
    who = _who(options)
    try:
        client.delete("banned", options.kind, who)
    except Refusal as problem:
        if problem.status != 404:
            raise
        said = {"code": problem.code, "message": str(problem)}
        return Answer(said, "Not Found.", EXIT_FAILED)
    return Answer({"as": options.kind, "who": who}, "ok")


def _who(options: argparse.Namespace) -> str:
    if options.kind is None or options.who is None:
        raise Misuse(_WANTS.format(options.action, options.action))
    who: str = options.who
    return who


def _all(client: ControlClient) -> list[ctl_text.Row]:
    rows: dict[tuple[str, str], ctl_text.Row] = {}
    page = 1
    while True:
        answer = client.get("banned", page=page, limit=_PAGE)
        rows |= {(row["as"], row["who"]): row for row in answer["data"]}
        if not answer["meta"]["hasnext"]:
            return list(rows.values())
        page += 1


def _text(rows: list[ctl_text.Row]) -> str:
    if not rows:
        return "Nobody is banned."
    names = ("as", "who", "until", "by", "reason")
    return ctl_text.table(names, ([row[name] for name in names] for row in rows))

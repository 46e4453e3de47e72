"""``mqttd ctl``: looks into the running broker and controls it, over its control socket."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from mqttd.cli import ctl_acl, ctl_banned, ctl_text
from mqttd.cli.ctl_answer import Answer, Misuse
from mqttd.cli.ctl_client import ControlClient, NoAnswer, Refusal, find_socket

EXIT_FAILED = 1
"""Exit status when the broker cannot be asked, or refuses."""

PAGE = 500
"""Clients asked for at a time, so that the broker has others to serve in between."""

_DONE = {"start": "Started {} listener successfully.", "stop": "Stop {} listener successfully.",
         "restart": "Restarted {} listener successfully."}  # fmt: skip


def add_command(commands: Any) -> None:
    """Add ``ctl`` to the subparsers of ``mqttd``."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--socket", metavar="PATH", help="the control socket")
    shared.add_argument(
        "-c", "--config", metavar="FILE", help="the configuration that names the socket"
    )
    shared.add_argument("--json", action="store_true", help="print JSON")
    parser = commands.add_parser(
        "ctl",
        parents=[shared],
        help="look into the running broker and control it",
        description="Asks the running broker over its control socket, which only the broker's "
        "own user and root can open.",
        epilog="Exit status 0: done; 1: the broker cannot be asked, or refuses; 2: wrong use.",
    )
    parser.set_defaults(run=lambda _options: _usage(parser))
    below = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, text: str, ask: _Command) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = below.add_parser(
            name, parents=[shared], help=text, description=f"{text[0].upper()}{text[1:]}."
        )
        made.set_defaults(run=lambda options: run(options, ask))
        return made

    add("status", "version, clients, counters and refused connections", _status)
    listeners = add("listeners", "show, start, stop or restart listeners", _listeners)
    listeners.add_argument("action", nargs="?", choices=("start", "stop", "restart"))
    listeners.add_argument("id", nargs="?", metavar="ID", help="such as ssl:default")
    log = add("log", "show or set the lowest level that is logged", _log)
    log.add_argument("action", choices=("level", "set-level"))
    log.add_argument("level", nargs="?", metavar="LEVEL")
    clients = add("clients", "show or disconnect clients", _clients)
    clients.add_argument("action", nargs="?", choices=("list", "show", "kick"), default="list")
    clients.add_argument("id", nargs="?", metavar="ID", help="a client identifier")
    clients.add_argument(
        "--expiring", metavar="TIME", help="only those whose certificate ends within, such as 30d"
    )
    add("certs", "certificates that are loaded, where from, until when", _certs)
    psk = add("psk", "identities that have a pre-shared key", _psk)
    psk.add_argument("action", nargs="?", choices=("list",), default="list")
    for name, text, ask in (
        ("crl", "certificate revocation lists", _crl),
        ("ocsp", "OCSP responses that are stapled", _ocsp),
    ):
        made = add(name, text, ask)
        made.add_argument("action", nargs="?", choices=("list", "refresh"), default="list")
    ctl_acl.add_arguments(add("acl", "which rule decides about a connected client", ctl_acl.acl))
    ctl_banned.add_arguments(
        add("banned", "show, add or remove who may not come in", ctl_banned.banned)
    )
    add("plugins", "plugins that are installed", _plugins)
    add("reload", "read configuration and files again", _reload)


_Command = Callable[[ControlClient, argparse.Namespace], Answer]


def run(options: argparse.Namespace, ask: _Command) -> int:
    """Ask, print, and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        path = find_socket(getattr(options, "socket", None), getattr(options, "config", None))
        answer = ask(ControlClient(path), options)
    except Misuse as problem:
        print(f"mqttd ctl: {problem}", file=sys.stderr)
        return 2
    except (NoAnswer, Refusal) as problem:
        print(f"mqttd ctl: {ctl_text.plain(problem)}", file=sys.stderr)
        return EXIT_FAILED
    text = json.dumps(answer.value, indent=2) if getattr(options, "json", False) else answer.text
    try:
        print(text, flush=True)
    except BrokenPipeError:  # such as head, which has enough; nothing more is written at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return answer.status


def _usage(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 2


def _status(client: ControlClient, _options: argparse.Namespace) -> Answer:
    status = client.get("status")
    return Answer(status, ctl_text.status_text(status))


def _listeners(client: ControlClient, options: argparse.Namespace) -> Answer:
    if options.action is None:
        rows = client.get("listeners")
        return Answer(rows, ctl_text.listeners_text(rows))
    if options.id is None:
        raise Misuse(f"listeners {options.action} needs the ID of a listener")
    name = ctl_text.plain(options.id)
    try:
        row = client.post("listeners", options.id, options.action)
    except Refusal as problem:
        raise Refusal(
            problem.status, problem.code, f"Failed to {options.action} {name} listener: {problem}"
        ) from None
    return Answer(row, _DONE[options.action].format(name))


def _log(client: ControlClient, options: argparse.Namespace) -> Answer:
    if options.action == "level":
        levels = client.get("log", "level")
        return Answer(levels, levels["level"])
    if options.level is None:
        raise Misuse("log set-level needs a LEVEL")
    try:
        levels = client.put({"level": options.level}, "log", "level")
    except Refusal as problem:
        if problem.status != 400:
            raise
        text = f"[error] {ctl_text.plain(problem)}"
        return Answer({"code": problem.code, "message": str(problem)}, text, EXIT_FAILED)
    return Answer(levels, levels["level"])


def _clients(client: ControlClient, options: argparse.Namespace) -> Answer:
    if options.action == "list":
        rows = _all_clients(client, options.expiring)
        return Answer(rows, ctl_text.clients_text(rows))
    if options.id is None:
        raise Misuse(f"clients {options.action} needs the ID of a client")
    try:
        if options.action == "show":
            row = client.get("clients", options.id)
            return Answer(row, ctl_text.listing(row))
        client.delete("clients", options.id)
    except Refusal as problem:
        if problem.code != "CLIENTID_NOT_FOUND":
            raise
        said = {"code": problem.code, "message": str(problem)}
        return Answer(said, "Not Found.", EXIT_FAILED)
    return Answer({"clientid": options.id}, "ok")


def _all_clients(client: ControlClient, expiring: str | None) -> list[ctl_text.Row]:
    """Every client, once, while others come and go."""
    rows: dict[str, ctl_text.Row] = {}
    page = 1
    while True:
        answer = client.get("clients", page=page, limit=PAGE, expiring=expiring)
        rows |= {row["clientid"]: row for row in answer["data"]}
        if not answer["meta"]["hasnext"]:
            return list(rows.values())
        page += 1


def _certs(client: ControlClient, _options: argparse.Namespace) -> Answer:
    rows = client.get("certs")
    return Answer(rows, ctl_text.certificates_text(rows))


def _psk(client: ControlClient, _options: argparse.Namespace) -> Answer:
    rows = client.get("psk")
    return Answer(rows, ctl_text.psk_text(rows))


def _crl(client: ControlClient, options: argparse.Namespace) -> Answer:
    refresh = options.action == "refresh"
    rows = client.post("crl", "refresh") if refresh else client.get("crl")
    failed = refresh and any(row["error"] for row in rows)
    return Answer(rows, ctl_text.crl_text(rows), EXIT_FAILED if failed else 0)


def _ocsp(client: ControlClient, options: argparse.Namespace) -> Answer:
    refresh = options.action == "refresh"
    rows = client.post("ocsp", "refresh") if refresh else client.get("ocsp")
    failed = refresh and any(row["last_error"] for row in rows)
    return Answer(rows, ctl_text.ocsp_text(rows), EXIT_FAILED if failed else 0)


def _plugins(client: ControlClient, _options: argparse.Namespace) -> Answer:
    rows = client.get("plugins")
    names = ("kind", "name", "description")
    return Answer(rows, ctl_text.table(names, ([row[name] for name in names] for row in rows)))


def _reload(client: ControlClient, _options: argparse.Namespace) -> Answer:
    report = client.post("reload")
    return Answer(report, ctl_text.reload_text(report), 0 if report["ok"] else EXIT_FAILED)

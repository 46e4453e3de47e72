"""``mqttd ctl acl``: what a connected client may do, and which rule says so."""

from __future__ import annotations

import argparse
from typing import Any

from mqttd.authz.explain import Explanation, Step, words_of
from mqttd.cli.ctl_answer import Answer
from mqttd.cli.ctl_client import ControlClient
from mqttd.cli.ctl_text import plain
from mqttd.identity import PUBLISH, SUBSCRIBE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.epilog = "Exit status 0: it may; 1: it may not, or cannot be asked about; 2: wrong use."
    parser.add_argument("action", choices=("explain",))
    parser.add_argument("id", metavar="ID", help="a client identifier")
    parser.add_argument("what", choices=(PUBLISH, SUBSCRIBE))
    parser.add_argument("topic", metavar="TOPIC", help="a Topic Name or, to subscribe, a filter")
    parser.add_argument("--qos", type=int, choices=(0, 1, 2), default=0)
    parser.add_argument("--retain", action="store_true", help="of a PUBLISH")


def acl(client: ControlClient, options: argparse.Namespace) -> Answer:
    """Run it."""
    row = client.get(
        *("clients", options.id, "acl"),
        action=options.what,
        topic=options.topic,
        qos=options.qos,
        retain="true" if options.retain else "false",
    )
    return Answer(row, _text(row), int(row["allow"] is not True))


def _text(row: dict[str, Any]) -> str:
    steps = [Step(**step) for step in row["steps"]]
    said = words_of(Explanation(row["allow"], steps))
    return "\n".join(plain(line) for line in said.splitlines())

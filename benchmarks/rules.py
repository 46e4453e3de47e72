"""What rules cost: a file of them read, and one question that is not remembered yet."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from timing import microseconds, row

from mqttd.authz.mosquitto_acl import load_acl
from mqttd.authz.rule_file import load_rules
from mqttd.authz.rules import Rule, RuleSet
from mqttd.config.schema.authorization_sources import MosquittoAclOptions, RuleFileOptions
from mqttd.identity import AccessRequest, Identity, PeerInfo

PEER = PeerInfo("tcp:default", ("10.1.2.3", 50000))


def own(rule: Callable[[int], str], count: int, folder: Path) -> list[Rule]:
    """Rules of our own format."""
    file = folder / "acl.conf"
    file.write_text("rules = [\n" + "\n".join(rule(number) for number in range(count)) + "\n]\n")
    return load_rules(RuleFileOptions(path=str(file)), folder)[0]


def mosquitto(count: int, folder: Path) -> list[Rule]:
    """A user and a topic each."""
    file = folder / "acl"
    file.write_text(
        "".join(f"user user{n}\ntopic readwrite devices/{n}/#\n" for n in range(count))
    )
    return load_acl(MosquittoAclOptions(path=str(file)), folder)[0]


def by_user(number: int) -> str:
    """A rule for one user."""
    return (
        f'{{ permission = allow, who {{ username = "user{number}" }}, '
        f'topics = ["devices/{number}/#"] }}'
    )


def by_topic(number: int) -> str:
    """A rule for everybody in one network."""
    who = 'who { ipaddr = "10.0.0.0/8" }'
    return f'{{ permission = allow, {who}, topics = ["devices/{number}/#"] }}'


def denied(number: int) -> str:
    """A rule that denies everybody something."""
    return f'{{ permission = deny, topics = ["devices/{number}/keys"] }}'


def by_pattern(number: int) -> str:
    """A rule that nothing but a look at it can rule out."""
    return f'{{ permission = allow, who {{ username = "x{number}-*" }}, topics = ["+/{number}"] }}'


def asked(rules: RuleSet, action: str, topic: str, username: str) -> float:
    """Microseconds of one question."""
    request = AccessRequest(action, topic, 0, False, username, "client", Identity(), PEER)
    return microseconds(lambda: rules.decide(request))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 10_000])
    options = parser.parse_args()
    makers: dict[str, Callable[[int, Path], list[Rule]]] = {
        "one for each user": partial(own, by_user),
        "one for each topic": partial(own, by_topic),
        "that deny": partial(own, denied),
        "a pattern each": partial(own, by_pattern),
        "mosquitto's, by user": mosquitto,
    }
    with tempfile.TemporaryDirectory() as name:
        for count in options.counts:
            for what, make in makers.items():
                started = time.perf_counter()
                rules = RuleSet(make(count, Path(name)))
                took = time.perf_counter() - started
                assert len(rules) == count
                last = f"devices/{count - 1}"
                user = f"user{count - 1}"
                row(f"{count:,} rules, {what}: read", took * 1000, "ms")
                row("  publish", asked(rules, "publish", f"{last}/up", user))
                row("  subscribe", asked(rules, "subscribe", f"{last}/#", user))


if __name__ == "__main__":
    main()

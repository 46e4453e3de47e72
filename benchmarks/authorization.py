"""What authorization costs: an answer that is remembered, one that is not, changed rules, and the
whole broker with and without it.

Ends with status 1 when a remembered answer costs more than a microsecond or allocates memory, or
when looking at live sessions keeps the reactor from others for longer than --most.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import load
import peers
from route import Sink
from timing import microseconds, row
from twisted.internet.task import Clock

from mqttd.authz.authorization import ClientAuthorization, Rules
from mqttd.authz.chain import Link, SourceChain
from mqttd.authz.rule_file import make
from mqttd.broker.authorization import PUBLISH_BITS, Permissions
from mqttd.config.schema.authorization_sources import RuleFileOptions
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, plugin_context

RULES = [
    {"permission": "allow", "who": {"username": "nobody"}, "topics": ["#"]},
    {"permission": "allow", "action": "publish", "topics": ["bench/+"]},
    {"permission": "allow", "action": "subscribe", "topics": ["bench/#", "s/+/t"]},
]
CONFIGURED = """
authorization { sources = [{ type = "file", rules = [
  { permission = allow, who = { username = nobody }, topics = ["#"] }
  { permission = allow, topics = ["${clientid}/#"] }
  { permission = allow, topics = ["#"] }
] }] }
"""
WINDOW = 20


class Judged:
    """A broker in memory whose clients are asked about. ``cache`` 0: each time."""

    def __init__(self, cache: int = 32) -> None:
        self.broker = MemoryBroker()
        self.authorization = ClientAuthorization(self.broker.clock)
        self.authorization.attach(self.broker.core)
        self.use(RULES, cache)

    def use(self, rules: list[Any], cache: int = 32) -> None:
        """Other rules."""
        source = make(RuleFileOptions(rules=rules), plugin_context(Path.cwd()))
        chain = SourceChain([Link("file", source)], Clock(), denies=True)
        self.authorization.use(Rules(chain, remembered=cache))


def remembered() -> tuple[float, int]:
    """Microseconds of the look at a remembered answer, and blocks allocated by 100,000 of them."""
    judged = Judged()
    client = judged.broker.connected("c")
    for number in range(30):
        client.publish(f"bench/{number}")
    permissions: Permissions | None = client.connection.permissions
    assert permissions is not None
    topics = [f"bench/{number}".encode() for number in range(30)] * 10

    def look() -> None:
        for topic in topics:
            permissions.knows(topic, PUBLISH_BITS[0][False])

    def nothing() -> None:
        for _topic in topics:
            pass

    cost = microseconds(look, len(topics), 1.0) - microseconds(nothing, len(topics), 0.2)
    gc.collect()
    gc.disable()
    counts = range(333)
    before = sys.getallocatedblocks()
    for _ in counts:
        look()
    blocks = sys.getallocatedblocks() - before
    gc.enable()
    assert permissions.knows(topics[0], PUBLISH_BITS[0][False])
    return cost, blocks


def publish(broker: MemoryBroker, qos: int) -> tuple[Any, Any]:
    """A call that lets a client publish WINDOW messages to one receiver."""
    receiver = broker.connected("sub")
    receiver.subscribe("bench/#")
    assert receiver.connection.session is not None
    receiver.connection.session._outlet = Sink()
    publisher = broker.connected("publisher")
    publisher.connection.outlet = Sink()
    data = encode(Publish(b"bench/1", bytes(64), qos, packet_id=1 if qos else 0), 5) * WINDOW

    def turn() -> None:
        publisher.connection.receive(data, broker.now)
        broker.core.commit(broker.now)

    return turn, broker


def in_memory(seconds: float) -> None:
    """A message in and out again, by turns without rules, with remembered and with asked ones."""
    for qos in (0, 1):
        ways = {
            "without rules": publish(MemoryBroker(), qos)[0],
            "remembered": publish(Judged().broker, qos)[0],
            "asked each time, 3 rules": publish(Judged(0).broker, qos)[0],
        }
        figures: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(7):
            for name, turn in ways.items():
                figures[name].append(microseconds(turn, WINDOW, seconds / 5))
        for name, each in figures.items():
            row(f"publish QoS {qos} to one, {name}", min(each))


def changed(clients: int, filters: int) -> float:
    """Rules change under live sessions, every second of which may not keep one subscription.

    Returns the seconds of the longest turn.
    """
    judged = Judged()
    broker, clock = judged.broker, judged.broker.clock
    judged.use([{"permission": "allow", "topics": ["#"]}])
    wanted = [f"s/{number}/t" for number in range(filters)]
    for number in range(clients):
        client = broker.client()
        client.connect(client_id=f"c{number}")
        client.subscribe(*wanted, "u" if number % 2 else "s/x/t")
        client.outlet.send = lambda *_: None  # type: ignore[method-assign]
    turns = []
    gc.collect()
    gc.freeze()
    started = time.perf_counter()
    judged.use(RULES)
    turns.append(time.perf_counter() - started)
    first = turns[0]
    while clock.calls:
        call = clock.calls.pop(0)
        call.called = 1
        begun = time.perf_counter()
        call.func()
        broker.core.commit(broker.now)
        turns.append(time.perf_counter() - begun)
    seconds = time.perf_counter() - started
    gc.unfreeze()
    what = f"{clients:,} sessions of {filters + 1}"
    row(f"{what}: forget what is remembered", first * 1e3, "ms")
    row(f"{what}: looked at again", seconds * 1e3, "ms")
    row(f"{what}: the longest turn", max(turns) * 1e3, "ms")
    return max(turns)


def whole_broker(seconds: float, rounds: int) -> None:
    """CPU of the broker's process for each delivery, by turns without and with authorization."""
    with contextlib.ExitStack() as stack:
        ways = {
            name: stack.enter_context(peers.mqttd(stack.enter_context(peers.workplace()), extra))
            for name, extra in (("without", ""), ("with", CONFIGURED))
        }
        for window in (10, 1):
            figures: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, peer in ways.items():
                    _, cpu = load.messages(
                        peer.tcp_port,
                        peer.pid,
                        seconds=seconds,
                        context=None,
                        publishers=20,
                        subscribers=20,
                        fan_out=False,
                        window=window,
                    )
                    figures[name].append(cpu)
            for name, each in figures.items():
                label = f"tcp pairs, window {window}, {name} authorization"
                row(f"{label}: CPU", statistics.median(each))


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each figure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--most", type=float, default=0.05, help="seconds of the longest turn")
    options = parser.parse_args()
    cost, blocks = remembered()
    row("a remembered answer", cost)
    row("... memory blocks after 100,000 of them", blocks, "blocks")
    in_memory(options.seconds)
    stall = changed(options.clients, 4)
    whole_broker(options.seconds, options.rounds)
    if cost > 1 or blocks > 50 or stall > options.most:
        sys.exit(1)


if __name__ == "__main__":
    main()

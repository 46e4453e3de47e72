"""What event sinks and the audit log cost: a message nobody is told of, one that a sink is told
of, and a record.

Ends with status 1 when a message costs more than --most percent more because nobody is told.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from route import WINDOW, Sink
from timing import microseconds, row
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock

from mqttd.audit.fields import fields_of, time_text
from mqttd.audit.writer import AuditLog
from mqttd.events import ClientConnected, MessageDelivered, MessagePublished
from mqttd.net.event_hub import EventHub, SinkLink
from mqttd.net.events import LoggedEvents
from mqttd.net.reported_events import ReportedEvents, ReportedMessages
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker

ROUNDS = 7


class Quiet:
    """A sink that does nothing."""

    def handle(self, event: object) -> None:
        """Nothing."""


def publishing(wanted: frozenset[str] | None) -> Any:
    """A call that lets a client publish WINDOW messages to one receiver; ``wanted`` is told of
    them, None: the broker knows of no hub."""
    broker, clock = MemoryBroker(), Clock()
    if wanted is not None:
        hub = EventHub(clock)
        sink: Any = Quiet()
        hub.use([SinkLink("bench", sink, wanted)])
        broker.core.events = ReportedEvents(LoggedEvents(), hub)
        if wanted:
            broker.core.messages = ReportedMessages(hub)
    receiver = broker.connected("sub")
    receiver.subscribe("bench/#")
    assert receiver.connection.session is not None
    receiver.connection.session._outlet = Sink()
    publisher = broker.connected("publisher")
    publisher.connection.outlet = Sink()
    data = encode(Publish(b"bench/1", bytes(64)), 5) * WINDOW

    def turn() -> None:
        publisher.connection.receive(data, broker.now)
        broker.core.commit(broker.now)
        clock.advance(0)

    return turn


def record() -> float:
    """Microseconds of a record of the audit log, with its seal and its share of a write."""
    event = ClientConnected(
        time=1_700_000_000.0,
        listener="ssl:default",
        peer=("192.0.2.1", 50_000),
        client_id="device-7",
        username="ann",
        level=5,
        clean_start=True,
        tls_version="TLSv1.3",
        certificate="CN=device-7",
        serial="4f",
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.log"
        log = AuditLog(file, clock=Clock(), in_thread=maybeDeferred)
        log.open(time_text(event.time))

        def some() -> None:
            log._writing = True  # so that they wait for each other, as they do in a busy broker
            for _ in range(200):
                log.add(fields_of(event))
            log._write()

        return microseconds(some, 200, 0.5)


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each figure")
    parser.add_argument("--most", type=float, default=3.0, help="percent")
    options = parser.parse_args()
    published = frozenset({MessagePublished.name})
    ways = {
        "no hub": publishing(None),
        "a hub, nobody wants messages": publishing(frozenset()),
        "a sink of message_published": publishing(published),
        "a sink of both": publishing(published | {MessageDelivered.name}),
    }
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, turn in ways.items():
            figures[name].append(microseconds(turn, WINDOW, options.seconds / 5))
    for name, each in figures.items():
        row(f"publish QoS 0 to one, {name}", min(each))
    row("a record of the audit log", record())
    without, with_hub = (min(figures[name]) for name in list(ways)[:2])
    if with_hub > without * (1 + options.most / 100):
        sys.exit(1)


if __name__ == "__main__":
    main()

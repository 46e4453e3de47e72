"""What routing costs: from decoded bytes in to encoded bytes out, without sockets."""

from __future__ import annotations

import argparse
import random
import resource
import time

from timing import microseconds, row

from mqttd.broker.topic_tree import TopicTree
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient

WINDOW = 20


class Sink:
    """In a client's place: takes bytes as the network does, and forgets them."""

    writable = True

    def send(self, *parts: bytes) -> None:
        """Nothing."""

    def close(self, *, linger: bool) -> None:
        """Nothing."""

    def pause(self) -> None:
        """Nothing."""

    def resume(self) -> None:
        """Nothing."""


def listeners(broker: MemoryBroker, count: int, qos: int, level: int) -> list[MemoryClient]:
    """Subscribed clients whose bytes go nowhere."""
    clients = []
    for number in range(count):
        client = broker.connected(f"sub{number}", level)
        client.subscribe("bench/#", qos=qos)
        session = client.connection.session
        assert session is not None
        session._outlet = Sink()
        clients.append(client)
    return clients


def fan_out(count: int, qos: int, level: int, seconds: float) -> float:
    """Microseconds for each delivery of a message with ``count`` receivers."""
    broker = MemoryBroker()
    receivers = listeners(broker, count, qos, level)
    publisher = broker.connected("publisher", level)
    publisher.connection.outlet = Sink()
    data = encode(Publish(b"bench/1", bytes(64), qos, packet_id=1 if qos else 0), level) * WINDOW

    def turn() -> None:
        publisher.connection.receive(data, broker.now)
        broker.core.commit(broker.now)
        for client in receivers if qos else ():
            session = client.connection.session
            assert session is not None
            for flight in list(session.state.flight.values()):
                session.acknowledged(flight)

    return microseconds(turn, WINDOW * count, seconds)


def tree(count: int, seconds: float) -> None:
    """A tree of many filters: what it costs to fill, to keep and to ask."""
    rng = random.Random(1)
    filters = [
        f"site/{number % 100}/{rng.choice('abcdefgh+')}/{number // 100}/{rng.choice('xyz#')}"
        for number in range(count)
    ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    topics: TopicTree[int] = TopicTree()
    started = time.process_time()
    for number, topic_filter in enumerate(filters):
        topics.add(topic_filter, number, number)
    row(f"tree of {count:,} filters, add one", (time.process_time() - started) * 1e6 / count)
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    row("... memory for each", kib * 1024 / count, "bytes")
    names = [
        f"site/{rng.randrange(100)}/{rng.choice('abc')}/{rng.randrange(count // 100)}/x"
        for _ in range(1_000)
    ]
    row(
        "... match a topic",
        microseconds(lambda: [topics.match(each) for each in names], 1_000, seconds),
    )
    started = time.process_time()
    for number, topic_filter in enumerate(filters):
        topics.remove(topic_filter, number)
    row("... remove one", (time.process_time() - started) * 1e6 / count)


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each figure")
    options = parser.parse_args()
    for level in (4, 5):
        for qos in (0, 1):
            for count in (1, 100):
                figure = fan_out(count, qos, level, options.seconds)
                version = "3.1.1" if level == 4 else "5"
                row(f"publish QoS {qos} to {count}, {version}: a delivery", figure)
    tree(100_000, options.seconds)


if __name__ == "__main__":
    main()

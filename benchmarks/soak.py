"""Connects, disconnects and traffic of every QoS over tcp, ssl and ws: does memory stay flat?

The broker's resident memory is sampled each second. Fails when the median of the last samples is
more than a tenth above that of the first, or when a client met an error.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import ssl
import statistics
import sys
import threading
import time

import load
import peers
from wires import Wire

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.types import PacketType

KINDS = ("tcp", "ssl", "ws")
MESSAGES = 20


class Worker(threading.Thread):
    """One client after the other: connects, talks to itself, goes in one of several ways."""

    def __init__(self, number: int, peer: peers.Peer, context: ssl.SSLContext) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.sessions = 0
        self.messages = 0
        self.doing = ""
        self.errors: list[str] = []
        self.ended = threading.Event()
        self._peer = peer
        self._context = context
        self._rng = random.Random(number)

    def run(self) -> None:
        while not self.ended.is_set():
            kind = KINDS[(self.number + self.sessions) % 3]
            level = self._rng.choice((4, 5))
            try:
                self._session(kind, level)
            except (OSError, RuntimeError) as error:
                self.errors.append(f"{kind}, level {level}, {self.doing}: {error!r}")
                return
            self.sessions += 1

    def _session(self, kind: str, level: int) -> None:
        rng = self._rng
        wire = Wire(self._peer, kind, level, self._context)
        with contextlib.closing(wire):
            # A few identifiers come back, so that sessions are resumed and taken over too.
            client_id = f"soak{self.number}-{self.sessions % 50}"
            properties = Properties(session_expiry_interval=2) if level == 5 else None
            will = ConnectWill(b"soak/will", b"gone") if rng.random() < 0.3 else None
            clean = rng.random() < 0.7 or level == 4
            wire.send(
                Connect(client_id, level, clean_start=clean, properties=properties, will=will)
            )
            wire.take(PacketType.CONNACK)
            name = f"soak/{self.number}"
            wire.send(
                Subscribe(
                    1,
                    [SubscribeTopic(f"{name}/+", 2), SubscribeTopic(f"soak/{self.number % 4}/#")],
                )
            )
            self._await(wire, Suback)
            for number in range(MESSAGES):
                self._exchange(wire, name, number)
            if rng.random() < 0.7:
                wire.send(Disconnect())

    def _exchange(self, wire: Wire, name: str, number: int) -> None:
        """Publish one message to ourselves and see it through."""
        rng = self._rng
        qos = number % 3
        properties = None
        if wire.level == 5 and rng.random() < 0.3:
            properties = Properties(
                user_properties=(("n", str(rng.random())),), message_expiry_interval=5
            )
        body = rng.randbytes(rng.choice((10, 200, 5_000)))
        retain = rng.random() < 0.05
        # Few are retained: behind a watermark's worth of those, QoS 0 would rightly be dropped.
        topic = f"{name}/{rng.randrange(20 if retain else 1_000)}".encode()
        wire.send(
            Publish(topic, body, qos, retain, packet_id=100 if qos else 0, properties=properties)
        )
        arrived = False
        done = qos == 0
        while not (arrived and done):
            self.doing = f"QoS {qos}, {arrived=}, {done=}, {properties=}, session {self.sessions}"
            packet = wire.take()
            if isinstance(packet, Publish):
                arrived = arrived or packet.payload == body
                self.messages += 1
            elif (isinstance(packet, Puback) and qos == 1) or isinstance(packet, Pubcomp):
                done = True
            self._answer(wire, packet)

    def _answer(self, wire: Wire, packet: Packet) -> None:
        if isinstance(packet, Publish) and packet.qos:
            answer = Puback if packet.qos == 1 else Pubrec
            wire.send(answer(packet.packet_id))
        elif isinstance(packet, Pubrec):
            wire.send(Pubrel(packet.packet_id))
        elif isinstance(packet, Pubrel):
            wire.send(Pubcomp(packet.packet_id))

    def _await(self, wire: Wire, kind: type[Packet]) -> None:
        while not isinstance(packet := wire.take(), kind):
            self._answer(wire, packet)


def main() -> None:
    """Run, print, and end with status 1 when a bound is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument(
        "--warm-up", type=int, default=10, help="seconds before the first sample counts"
    )
    options = parser.parse_args()
    samples: list[int] = []
    with peers.workplace() as folder, contextlib.ExitStack() as stack:
        context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        peer = stack.enter_context(peers.mqttd(folder))
        workers = [Worker(number, peer, context) for number in range(options.workers)]
        for worker in workers:
            worker.start()
        time.sleep(options.warm_up)
        for _ in range(options.seconds):
            samples.append(load.resident_kib(peer.pid))
            time.sleep(1)
        for worker in workers:
            worker.ended.set()
        for worker in workers:
            worker.join(20)
    span = max(1, min(10, options.seconds // 3))
    first = statistics.median(samples[:span])
    last = statistics.median(samples[-span:])
    errors = [error for worker in workers for error in worker.errors]
    print(
        f"{sum(worker.sessions for worker in workers):,} connections,"
        f" {sum(worker.messages for worker in workers):,} messages received,"
        f" {len(errors)} errors"
    )
    print(
        f"resident memory, medians of {span} s: {first:,.0f} KiB first,"
        f" {last:,.0f} KiB last ({last / first - 1:+.1%})"
    )
    if errors:
        sys.exit("\n".join(errors))
    if last > first * 1.1:
        sys.exit("memory is not flat")


if __name__ == "__main__":
    main()

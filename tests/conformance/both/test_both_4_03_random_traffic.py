"""4.3 to 4.6 under random traffic: clients that keep the rules, and a network that fails."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.decode import Packet
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.testing import MemoryBroker, MemoryClient

RECEIVE_MAXIMUM = 4
WINDOW = 5


class Peer:
    """A client with a session of its own, that sends, acknowledges and resends by the rules."""

    def __init__(self, name: str, level: int, random: Random) -> None:
        self.name = name
        self.level = level
        self.random = random
        self.client: MemoryClient | None = None
        self.to_send: list[tuple[bytes, bytes, int]] = []
        self.unacknowledged: dict[int, Publish | Pubrel] = {}
        self.taken: set[int] = set()
        self.arrived: list[tuple[bytes, bytes, int]] = []
        self.owed: list[Packet] = []
        self.packet_id = 0

    def connect(self, broker: MemoryBroker) -> None:
        fields: dict[str, Any] = {"clean_start": False}
        if self.level == 5:
            fields["properties"] = Properties(
                session_expiry_interval=3600,
                receive_maximum=RECEIVE_MAXIMUM,
                topic_alias_maximum=self.random.choice((0, 2)),
            )
        self.client = broker.connected(self.name, self.level, **fields)
        self.aliases: dict[int, bytes] = {}
        self.owed.clear()
        for packet in self.unacknowledged.values():
            if isinstance(packet, Publish):
                packet.dup = True
            self.client.send(packet)

    def drop(self) -> None:
        assert self.client is not None
        self.read(answer=False)
        self.client.drop()
        self.client = None

    def take_over(self, broker: MemoryBroker) -> None:
        assert self.client is not None
        self.read(answer=False)
        self.connect(broker)

    def publish(self) -> None:
        assert self.client is not None
        if self.to_send and len(self.unacknowledged) < WINDOW:
            topic, payload, qos = self.to_send.pop(0)
            self.packet_id = self.packet_id % 65_535 + 1
            packet = Publish(topic, payload, qos, packet_id=self.packet_id)
            self.unacknowledged[self.packet_id] = packet
            self.client.send(packet)

    def read(self, *, answer: bool = True) -> None:
        """Take in what came; what is to be answered is answered now or later."""
        assert self.client is not None
        assert not self.client.closed
        for packet in self.client.take():
            self.take(packet)
        outstanding = self.taken | {
            packet.packet_id for packet in self.owed if isinstance(packet, Puback)
        }
        assert self.level < 5 or len(outstanding) <= RECEIVE_MAXIMUM
        while answer and self.owed and self.random.random() < 0.7:
            reply = self.owed.pop(0)
            if isinstance(reply, Pubcomp):
                self.taken.discard(reply.packet_id)
            self.client.send(reply)

    def take(self, packet: Packet) -> None:
        if isinstance(packet, Publish):
            self.take_publish(packet)
        elif isinstance(packet, Pubrel):
            self.owed.append(Pubcomp(packet.packet_id))
        elif isinstance(packet, Puback | Pubcomp):
            del self.unacknowledged[packet.packet_id]
        elif isinstance(packet, Pubrec):
            self.unacknowledged.pop(packet.packet_id)
            self.unacknowledged[packet.packet_id] = Pubrel(packet.packet_id)
            self.owed.append(Pubrel(packet.packet_id))
        else:
            raise AssertionError(f"unexpected {packet!r}")

    def take_publish(self, packet: Publish) -> None:
        topic = packet.topic
        alias = (packet.properties or Properties()).topic_alias
        if alias is not None:
            topic = topic or self.aliases[alias]
            self.aliases[alias] = topic
        assert topic
        if packet.qos == 2:
            self.owed.append(Pubrec(packet.packet_id))
            if packet.packet_id in self.taken:
                assert packet.dup
                return
            self.taken.add(packet.packet_id)
        else:
            self.owed.append(Puback(packet.packet_id))
        self.arrived.append((topic, packet.payload, packet.qos))


@pytest.mark.statements(
    "v3:MQTT-4.3.2-1", "v3:MQTT-4.3.3-1", "v3:MQTT-4.3.3-2", "v3:MQTT-4.4.0-1",
    "v5:MQTT-4.3.3-10", "v5:MQTT-4.4.0-1", "v5:MQTT-4.6.0-5", "v5:MQTT-3.3.4-9",
    "v5:MQTT-2.2.1-4",
)  # fmt: skip
@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_doubled_or_reordered(seed: int) -> None:
    random = Random(seed)
    broker = MemoryBroker(max_mqueue_len=None, max_inflight=WINDOW)
    peers = [Peer(f"peer{number}", 4 + number % 2, random) for number in range(4)]
    for peer in peers:
        peer.connect(broker)
        assert peer.client is not None
        assert isinstance(peer.client.subscribe("t/#", qos=2), Suback)
    sent: list[tuple[bytes, bytes, int]] = []
    for number in range(120):
        peer = random.choice(peers)
        qos = random.choice((1, 2))
        topic = random.choice((b"t/a", b"t/b"))
        message = (topic, f"{peer.name} {number}".encode(), qos)
        peer.to_send.append(message)
        sent.append(message)
    for _ in range(100_000):
        peer = random.choice(peers)
        if peer.client is None:
            peer.connect(broker)
        elif random.random() < 0.03:
            peer.drop()
        elif random.random() < 0.03:
            peer.take_over(broker)
        elif random.random() < 0.05:
            peer.client.writable = not peer.client.writable
        elif random.random() < 0.3:
            peer.publish()
        else:
            peer.read()
        if random.random() < 0.01:
            broker.advance(1)
        if all(len(set(each.arrived)) == len(sent) and not each.to_send for each in peers):
            break
    settle(broker, peers)
    for peer in peers:
        check(peer, sent)
    assert all(not session.flight for session in sessions(broker))
    assert all(not session.inbound for session in sessions(broker))


def settle(broker: MemoryBroker, peers: list[Peer]) -> None:
    """Let every exchange come to its end."""
    for peer in peers * 60:
        if peer.client is None:
            peer.connect(broker)
        assert peer.client is not None
        peer.client.writable = True
        peer.read()
    assert not any(peer.owed or peer.taken or peer.unacknowledged for peer in peers)


def sessions(broker: MemoryBroker) -> list[Any]:
    return [
        connection.session.state
        for connection in broker.core.connections
        if connection.session is not None
    ]


def check(peer: Peer, sent: list[tuple[bytes, bytes, int]]) -> None:
    counts = Counter(peer.arrived)
    assert set(counts) == set(sent)
    assert all(count == 1 for (_, _, qos), count in counts.items() if qos == 2)
    first_time = list(dict.fromkeys(peer.arrived))
    for topic in (b"t/a", b"t/b"):
        for qos in (1, 2):
            for number in range(4):
                sender = f"peer{number} ".encode()
                kind = [
                    (name, payload, level)
                    for name, payload, level in sent
                    if (name, level) == (topic, qos) and payload.startswith(sender)
                ]
                assert [message for message in first_time if message in kind] == kind

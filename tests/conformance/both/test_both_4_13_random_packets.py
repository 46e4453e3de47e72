"""4.8 and 4.13 Handling errors: whatever clients send, the others and the broker go on."""

from __future__ import annotations

from random import Random

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.unsubscribe import Unsubscribe
from mqttd.testing import MemoryBroker, MemoryClient

TOPICS = ("a", "a/b", "a/b/c", "b", "$x/y", "a//", "é")
FILTERS = (
    "a", "a/#", "+/b", "#", "+/+/+", "b", "$x/#", "é",
    "$share/g/a", "$share/g/a/#", "$share/h/#", "$share/g/+",
)  # fmt: skip


class Chaos:
    """Makes packets that are often valid, and at times make no sense."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def packet_id(self) -> int:
        return self.random.randint(1, 8)

    def connect(self, level: int) -> Connect:
        random = self.random
        properties = will = None
        if level == 5:
            properties = Properties()
            if random.random() < 0.7:
                properties.session_expiry_interval = random.choice((0, 5, 50, 0xFFFF_FFFF))
            if random.random() < 0.5:
                properties.receive_maximum = random.choice((1, 2, 65_535))
            if random.random() < 0.3:
                properties.maximum_packet_size = random.choice((60, 100, 1000))
            if random.random() < 0.5:
                properties.topic_alias_maximum = random.choice((0, 1, 10))
        if random.random() < 0.5:
            will = ConnectWill(b"a/b", b"will", random.randint(0, 2), random.random() < 0.3)
            if level == 5 and random.random() < 0.5:
                will.properties = Properties(will_delay_interval=random.randint(0, 20))
        name = random.choice(("c1", "c2", "c3", "c4"))
        return Connect(
            name,
            level,
            clean_start=random.random() < 0.3,
            keep_alive=random.choice((0, 5, 60)),
            will=will,
            properties=properties,
        )

    def publish(self, level: int) -> Publish:
        random = self.random
        qos = random.randint(0, 2)
        packet = Publish(
            random.choice(TOPICS).encode(),
            random.choice((b"", b"x", b"\xff", b"y" * 90)),
            qos,
            retain=random.random() < 0.3,
            packet_id=self.packet_id() if qos else 0,
        )
        if level == 5 and random.random() < 0.5:
            packet.properties = Properties()
            if random.random() < 0.3:
                packet.properties.topic_alias = random.randint(1, 3)
                packet.topic = random.choice((packet.topic, b""))
            if random.random() < 0.3:
                packet.properties.message_expiry_interval = random.randint(0, 10)
            if random.random() < 0.3:
                packet.properties.payload_format_indicator = 1
        return packet

    def subscribe(self, level: int) -> Subscribe:
        random = self.random
        topics = []
        for _ in range(random.randint(1, 3)):
            topic = SubscribeTopic(random.choice(FILTERS), random.randint(0, 2))
            if level == 5:
                topic.no_local = random.random() < 0.2 and not topic.topic_filter.startswith("$s")
                topic.retain_as_published = random.random() < 0.3
                topic.retain_handling = random.randint(0, 2)
            topics.append(topic)
        packet = Subscribe(self.packet_id(), topics)
        if level == 5 and random.random() < 0.5:
            packet.properties = Properties(subscription_identifiers=(random.randint(1, 5),))
        return packet

    def packet(self, level: int) -> Packet:
        kind = self.random.randint(0, 11)
        packets: dict[int, Packet] = {
            0: Puback(self.packet_id()),
            1: Pubrec(self.packet_id(), 0x80 if level == 5 and kind == 1 else 0),
            2: Pubrec(self.packet_id()),
            3: Pubrel(self.packet_id()),
            4: Pubcomp(self.packet_id()),
            5: Unsubscribe(self.packet_id(), [self.random.choice(FILTERS)]),
            6: Pingreq(),
            7: self.subscribe(level),
            8: self.subscribe(level),
        }
        return packets.get(kind) or self.publish(level)

    def act(self, broker: MemoryBroker, clients: list[MemoryClient]) -> None:
        random = self.random
        client = random.choice(clients)
        level = client.level
        deed = random.random()
        if deed < 0.02:
            client.drop()
        elif deed < 0.03:
            client.send(Disconnect(random.choice((0, 4)) if level == 5 else 0))
        elif deed < 0.04:
            client.send_bytes(random.randbytes(random.randint(1, 20)))
        elif deed < 0.05:
            data = bytearray(encode(self.packet(level), level))
            data[random.randrange(len(data))] = random.randrange(256)
            client.send_bytes(bytes(data))
        elif deed < 0.08:
            client.writable = not client.writable
        elif deed < 0.12:
            broker.advance(random.choice((1, 1, 3, 20)))
        else:
            client.send(*[self.packet(level) for _ in range(random.randint(1, 4))])


@pytest.mark.statements("v3:MQTT-4.8.0-1", "v5:MQTT-4.13.1-1", "v5:MQTT-4.13.2-1")
@pytest.mark.parametrize("seed", range(20))
def test_the_broker_outlives_its_clients(seed: int) -> None:
    chaos = Chaos(seed)
    broker = MemoryBroker(max_inflight=4, max_mqueue_len=5, max_awaiting_rel=3)
    calm = broker.connected("calm", 5)
    calm.subscribe("calm")
    for _ in range(400):
        while len(broker.clients) < 5:
            client = broker.client(chaos.random.choice((3, 4, 5)))
            client.send(chaos.connect(client.level))
        others = [client for client in broker.clients if client is not calm]
        chaos.act(broker, others)
        for client in others:
            # Everything the broker sends can be read.
            client.take()
    calm.publish("calm", b"here")
    calm.send(Pingreq())
    assert [type(packet) for packet in calm.take()] == [Publish, Pingresp]
    check_nothing_is_left(broker, calm)


def check_nothing_is_left(broker: MemoryBroker, calm: MemoryClient) -> None:
    """When every session is over, nothing of it is left in the broker."""
    for client in list(broker.clients):
        if client is not calm:
            client.drop()
    for name in ("c1", "c2", "c3", "c4"):
        broker.connected(name, clean_start=True).disconnect()
    broker.advance(100)
    statistics = broker.engine.statistics()
    assert (statistics.sessions, statistics.connected) == (1, 1)
    assert (statistics.subscriptions, statistics.shared_subscriptions) == (1, 0)
    assert broker.core.connections == {calm.connection}
    assert not broker.core.starved

"""3.2 CONNACK, and what the limits it announces mean afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.decode import Packet
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.testing import MemoryBroker, MemoryClient


class Waiting:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.answers: list[Callable[[Identity | Refused], None]] = []

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        self.answers.append(done)


def announced(broker: MemoryBroker) -> Properties:
    """The properties of a CONNACK."""
    return broker.client().connect().properties or Properties()


@pytest.mark.statements("v5:MQTT-3.2.0-1", "v5:MQTT-3.1.4-5", "v5:MQTT-3.14.0-1")
def test_nothing_is_sent_before_connack() -> None:
    waiting = Waiting()
    broker = MemoryBroker(admission=waiting)
    client = broker.client()
    client.send(Connect("c", 5), Subscribe(1, [SubscribeTopic("t")]), Pingreq())
    assert client.take() == []
    waiting.answers[0](Identity())
    broker.turn()
    names = [type(packet).__name__ for packet in client.take()]
    assert names[0] == "Connack"
    assert sorted(names[1:]) == ["Pingresp", "Suback"]


@pytest.mark.statements("v5:MQTT-3.14.0-1", "v5:MQTT-3.1.4-6")
def test_no_disconnect_before_connack() -> None:
    waiting = Waiting()
    broker = MemoryBroker(admission=waiting, idle_timeout=15)
    client = broker.client()
    client.send(Connect("c", 5))
    broker.advance(3600)
    assert all(isinstance(packet, Connack) for packet in client.take())
    other = broker.client()
    other.send(Connect("d", 5))
    waiting.answers[1](Refused(0x87, "no"))
    broker.turn()
    assert other.take_one(Connack).reason_code == 0x87


def test_a_client_that_leaves_before_it_is_admitted() -> None:
    waiting = Waiting()
    broker = MemoryBroker(admission=waiting)
    client = broker.client()
    client.send(Connect("c", 5))
    client.drop()
    waiting.answers[0](Identity())
    broker.turn()
    assert client.take() == []


@pytest.mark.statements("v5:MQTT-3.2.2-1")
@pytest.mark.parametrize("present", [False, True])
def test_the_acknowledge_flags_are_zero_but_for_session_present(
    broker: MemoryBroker, present: bool
) -> None:
    keep = Properties(session_expiry_interval=10)
    if present:
        broker.connected("c", properties=keep).drop()
    client = broker.client()
    client.send(Connect("c", 5, clean_start=False, properties=keep))
    data = client.take_bytes()
    assert data[0] == 0x20
    assert data[2:4] == bytes((present, 0))


@pytest.mark.statements("v5:MQTT-3.2.2-9")
def test_what_is_announced_by_default(broker: MemoryBroker) -> None:
    properties = announced(broker)
    # Absent means 2, and these mean available.
    assert properties.maximum_qos is None
    assert properties.retain_available in (None, 1)
    assert properties.wildcard_subscription_available in (None, 1)
    assert properties.subscription_identifier_available in (None, 1)
    assert properties.shared_subscription_available in (None, 1)
    assert properties.topic_alias_maximum == 65_535
    assert properties.maximum_packet_size == 1_048_576
    assert properties.session_expiry_interval is None


@pytest.mark.statements("v5:MQTT-3.2.2-9")
@pytest.mark.parametrize("maximum", [0, 1])
def test_the_maximum_qos_is_announced(maximum: int) -> None:
    assert announced(MemoryBroker(max_qos_allowed=maximum)).maximum_qos == maximum


@pytest.mark.statements("v5:MQTT-3.2.2-10", "v5:MQTT-3.8.4-7")
@pytest.mark.parametrize("maximum", [0, 1, 2])
def test_every_requested_qos_is_accepted(maximum: int) -> None:
    client = MemoryBroker(max_qos_allowed=maximum).connected("c")
    for qos in (0, 1, 2):
        granted = client.subscribe("t", qos=qos).reason_codes
        assert granted == [min(qos, maximum)]


@pytest.mark.statements("v5:MQTT-3.2.2-11")
@pytest.mark.parametrize(("maximum", "qos"), [(0, 1), (0, 2), (1, 2)])
def test_a_qos_above_the_maximum(
    maximum: int, qos: int, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = MemoryBroker(max_qos_allowed=maximum).connected("c")
    client.publish("t", qos=qos)
    ended(client, 0x9B)


@pytest.mark.statements("v5:MQTT-3.2.2-14")
def test_retain_where_it_is_not_available(ended: Callable[[MemoryClient, int], None]) -> None:
    broker = MemoryBroker(retain_available=False)
    assert announced(broker).retain_available == 0
    client = broker.connected("c")
    client.publish("t", b"x", retain=True)
    ended(client, 0x9A)


@pytest.mark.parametrize(
    ("option", "attribute"),
    [
        ("wildcard_subscription", "wildcard_subscription_available"),
        ("shared_subscription", "shared_subscription_available"),
    ],
)
def test_what_is_switched_off_is_announced(option: str, attribute: str) -> None:
    options: dict[str, Any] = {option: False}
    assert getattr(announced(MemoryBroker(**options)), attribute) == 0


@pytest.mark.statements("v5:MQTT-3.2.2-15")
@pytest.mark.parametrize("size", [100, 101, 5000])
def test_the_maximum_packet_size_counts_the_whole_packet(
    size: int, ended: Callable[[MemoryClient, int], None]
) -> None:
    broker = MemoryBroker(max_packet_size=100)
    assert announced(broker).maximum_packet_size == 100
    client = broker.connected("c")
    empty = len(encode(Publish(b"t", b""), 5))
    header = 1 if size > 129 else 0
    client.publish("t", b"x" * (size - empty - header))
    if size == 100:
        assert not client.closed
    else:
        ended(client, 0x95)


@pytest.mark.statements("v5:MQTT-3.2.2-15")
def test_a_large_packet_is_refused_by_its_header(
    ended: Callable[[MemoryClient, int], None],
) -> None:
    client = MemoryBroker(max_packet_size=1000).connected("c")
    client.send_bytes(b"\x30\xff\xff\xff\x7f")
    ended(client, 0x95)


@pytest.mark.statements("v5:MQTT-3.2.2-17", "v5:MQTT-3.2.2-18", "v5:MQTT-3.3.2-9")
@pytest.mark.parametrize(("maximum", "alias"), [(0, 1), (10, 11), (10, 65_535)])
def test_a_topic_alias_above_the_maximum(
    maximum: int, alias: int, ended: Callable[[MemoryClient, int], None]
) -> None:
    broker = MemoryBroker(max_topic_alias=maximum)
    assert (announced(broker).topic_alias_maximum or 0) == maximum
    client = broker.connected("c")
    client.publish("t", properties=Properties(topic_alias=alias))
    ended(client, 0x94)


@pytest.mark.statements("v5:MQTT-3.2.2-19", "v5:MQTT-3.2.2-20", "v5:MQTT-3.1.2-24")
@pytest.mark.parametrize("size", range(5, 120))
def test_connack_keeps_within_the_clients_maximum_packet_size(size: int) -> None:
    class Refusing:
        def admit(
            self, request: ConnectRequest, done: Callable[[Identity | Refused], None]
        ) -> None:
            done(Refused(0x87, "a reason of some length that may not fit into the packet"))

    client = MemoryBroker(admission=Refusing()).client()
    client.send(Connect("c", 5, properties=Properties(maximum_packet_size=size)))
    data = client.take_bytes()
    assert len(data) <= size
    assert client.closed
    if data:
        assert data[3] == 0x87


@pytest.mark.statements("v5:MQTT-3.1.2-24")
@pytest.mark.parametrize("size", range(4, 60, 3))
def test_a_successful_connack_within_the_clients_maximum_packet_size(
    broker: MemoryBroker, size: int
) -> None:
    client = broker.client()
    client.send(Connect("", 5, properties=Properties(maximum_packet_size=size)))
    assert len(client.take_bytes()) <= size


@pytest.mark.statements("v5:MQTT-3.2.0-2")
def test_one_connack_whatever_follows(broker: MemoryBroker) -> None:
    client = broker.client()
    packets: list[Packet] = [Connect("c", 5), Pingreq(), Pingreq(), Connect("c", 5)]
    client.send(*packets)
    assert [type(packet).__name__ for packet in client.take()].count("Connack") == 1

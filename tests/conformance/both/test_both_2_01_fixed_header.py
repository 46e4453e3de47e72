"""2.1 to 2.3 Packet format: flags of the fixed header and Packet Identifiers, in all versions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.connect import Connect
from mqttd.packets.decode import Packet
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe
from mqttd.testing import MemoryBroker, MemoryClient

RESERVED_FLAGS: list[tuple[Packet, int]] = [
    (Puback(1), 0),
    (Pubrec(1), 0),
    (Pubrel(1), 2),
    (Pubcomp(1), 0),
    (Subscribe(1, [SubscribeTopic("t")]), 2),
    (Unsubscribe(1, ["t"]), 2),
    (Pingreq(), 0),
    (Disconnect(), 0),
]


@pytest.mark.statements(
    "v5:MQTT-2.1.3-1", "v3:MQTT-2.2.2-1", "v3:MQTT-2.2.2-2",
    "v5:MQTT-3.6.1-1", "v3:MQTT-3.6.1-1", "v5:MQTT-3.8.1-1", "v3:MQTT-3.8.1-1",
    "v5:MQTT-3.10.1-1", "v3:MQTT-3.10.1-1", "v5:MQTT-3.14.1-1", "v3:MQTT-3.14.1-1",
)  # fmt: skip
@pytest.mark.parametrize(
    ("packet", "right"),
    RESERVED_FLAGS,
    ids=[type(packet).__name__ for packet, _ in RESERVED_FLAGS],
)
def test_reserved_flags_must_have_the_value_listed(
    broker: MemoryBroker,
    level: int,
    packet: Packet,
    right: int,
    ended: Callable[[MemoryClient, int], None],
) -> None:
    if level == 3:
        pytest.skip("MQTT 3.1 gives these bits other meanings, or none")
    data = bytearray(encode(packet, level))
    for flags in set(range(16)) - {right}:
        client = broker.connected("c", level)
        data[0] = data[0] & 0xF0 | flags
        client.send_bytes(bytes(data))
        ended(client, 0x81)


@pytest.mark.statements("v5:MQTT-2.1.3-1", "v3:MQTT-2.2.2-2")
@pytest.mark.parametrize("flags", range(1, 16))
def test_reserved_flags_of_connect(broker: MemoryBroker, level: int, flags: int) -> None:
    client = broker.client(level)
    data = bytearray(encode(Connect("c", level), level))
    data[0] |= flags
    client.send_bytes(bytes(data))
    assert client.closed
    assert [getattr(packet, "reason_code", 0) for packet in client.take()] in ([], [0x81])


@pytest.mark.statements("v3:MQTT-4.8.0-1", "v5:MQTT-4.13.1-1")
@pytest.mark.parametrize("first", [0x00, 0x0F, 0xF1])
def test_a_packet_of_a_reserved_type(
    broker: MemoryBroker,
    level: int,
    first: int,
    ended: Callable[[MemoryClient, int], None],
) -> None:
    client = broker.connected("c", level)
    client.send_bytes(bytes((first, 0)))
    ended(client, 0x81)


@pytest.mark.statements("v3:MQTT-4.8.0-1", "v5:MQTT-4.13.1-1")
@pytest.mark.parametrize("first", [0x20, 0x90, 0xB0, 0xD0])
def test_a_packet_only_a_server_sends(broker: MemoryBroker, level: int, first: int) -> None:
    client = broker.connected("c", level)
    bodies = {0x20: b"\x00\x00", 0x90: b"\x00\x01\x00", 0xB0: b"\x00\x01", 0xD0: b""}
    body = bodies[first]
    if level == 5:
        body = {0x20: b"\x00\x00\x00", 0x90: b"\x00\x01\x00\x00", 0xB0: b"\x00\x01\x00\x00"}.get(
            first, body
        )
    client.send_bytes(bytes((first, len(body))) + body)
    assert client.closed
    if level == 5:
        assert client.take_one(Disconnect).reason_code == 0x82


@pytest.mark.statements("v3:MQTT-2.3.1-1", "v3:MQTT-2.3.1-2", "v5:MQTT-2.2.1-3")
@pytest.mark.parametrize(
    "packet",
    [
        Publish(b"t", b"", 1, packet_id=0x5858),
        Publish(b"t", b"", 2, packet_id=0x5858),
        Subscribe(0x5858, [SubscribeTopic("t")]),
        Unsubscribe(0x5858, ["t"]),
    ],
    ids=["PUBLISH QoS 1", "PUBLISH QoS 2", "SUBSCRIBE", "UNSUBSCRIBE"],
)
def test_packet_identifier_zero(broker: MemoryBroker, level: int, packet: Packet) -> None:
    client = broker.connected("c", level)
    client.send_bytes(encode(packet, level).replace(b"XX", b"\x00\x00"))
    assert client.closed
    if level == 5:
        assert client.take_one(Disconnect).reason_code in (0x81, 0x82)
    else:
        assert client.take() == []


@pytest.mark.statements("v3:MQTT-2.3.1-5", "v5:MQTT-2.2.1-2")
def test_a_qos_0_publish_has_no_packet_identifier(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.subscribe("t")
    # Were there an identifier, these two bytes would not be payload.
    properties = b"\x00" if level == 5 else b""
    body = b"\x00\x01t" + properties + b"\x12\x34"
    client.send_bytes(bytes((0x30, len(body))) + body)
    assert client.take_bytes() == bytes((0x30, len(body))) + body


@pytest.mark.statements("v3:MQTT-2.3.1-4", "v5:MQTT-2.2.1-4", "v5:MQTT-4.3.2-1", "v5:MQTT-4.3.3-1")
def test_the_broker_uses_non_zero_identifiers_that_are_not_in_use(
    broker: MemoryBroker, level: int
) -> None:
    subscriber, publisher = broker.connected("s", level), broker.connected("p", level)
    subscriber.subscribe("t", qos=2)
    for number in range(20):
        publisher.publish("t", b"", qos=1 + number % 2)
    in_use = [packet.packet_id for packet in subscriber.take_all(Publish)]
    assert len(in_use) == len(set(in_use)) == 20
    assert 0 not in in_use
    subscriber.send(Puback(in_use[0]))
    publisher.publish("t", b"", qos=1)
    packet_id = subscriber.take_one(Publish).packet_id
    assert packet_id not in in_use[1:]
    assert packet_id != 0


@pytest.mark.statements("v5:MQTT-2.2.1-4", "v3:MQTT-2.3.1-4")
def test_identifiers_wrap_around_without_zero_and_without_one_in_use(
    broker: MemoryBroker,
) -> None:
    subscriber, publisher = broker.connected("s", 4), broker.connected("p", 4)
    subscriber.subscribe("t", qos=2)
    publisher.publish("t", b"held", qos=2)
    held = subscriber.take_one(Publish).packet_id
    seen: set[int] = set()
    for _ in range(656):
        publisher.send(*[Publish(b"t", b"", 1, packet_id=number) for number in range(1, 101)])
        while arrived := [packet for packet in subscriber.take() if isinstance(packet, Publish)]:
            seen.update(packet.packet_id for packet in arrived)
            subscriber.send(*[Puback(packet.packet_id) for packet in arrived])
        publisher.take()
    assert len(seen) == 65_534
    assert held not in seen
    assert 0 not in seen


@pytest.mark.statements(
    "v3:MQTT-2.3.1-6", "v5:MQTT-2.2.1-5", "v3:MQTT-2.3.1-7", "v5:MQTT-2.2.1-6",
    "v3:MQTT-3.8.4-2", "v5:MQTT-3.8.4-2", "v3:MQTT-3.10.4-4",
)  # fmt: skip
@pytest.mark.parametrize("packet_id", [1, 255, 256, 65_535])
def test_an_acknowledgement_has_the_identifier_of_what_it_acknowledges(
    broker: MemoryBroker, level: int, packet_id: int
) -> None:
    client = broker.connected("c", level)
    client.send(Publish(b"t", b"", 1, packet_id=packet_id))
    assert client.take_one(Puback).packet_id == packet_id
    client.send(Publish(b"t", b"", 2, packet_id=packet_id))
    assert client.take_one(Pubrec).packet_id == packet_id
    client.send(Pubrel(packet_id))
    assert client.take_one(Pubcomp).packet_id == packet_id
    client.send(Subscribe(packet_id, [SubscribeTopic("t", 2)]))
    assert client.take_one(Suback).packet_id == packet_id
    client.send(Unsubscribe(packet_id, ["t"]))
    assert client.take_one(Unsuback).packet_id == packet_id


@pytest.mark.statements("v3:MQTT-2.3.1-3")
def test_a_resent_publish_keeps_its_identifier_and_is_one_message(
    broker: MemoryBroker, level: int
) -> None:
    subscriber, publisher = broker.connected("s", level), broker.connected("p", level)
    subscriber.subscribe("t")
    publisher.send(Publish(b"t", b"", 2, packet_id=7))
    publisher.send(Publish(b"t", b"", 2, dup=True, packet_id=7))
    assert [packet.packet_id for packet in publisher.take_all(Pubrec)] == [7, 7]
    assert len(subscriber.take_all(Publish)) == 1


def test_the_two_directions_have_identifiers_of_their_own(
    broker: MemoryBroker, level: int
) -> None:
    client = broker.connected("c", level)
    client.subscribe("t", qos=1)
    client.send(Publish(b"t", b"one", 1, packet_id=1))
    mine, theirs = sorted(client.take(), key=lambda packet: isinstance(packet, Publish))
    assert isinstance(mine, Puback)
    assert isinstance(theirs, Publish)
    client.send(Publish(b"t", b"two", 1, packet_id=theirs.packet_id))
    assert {type(packet) for packet in client.take()} == {Puback, Publish}
    assert not client.closed


@pytest.mark.statements("v3:MQTT-7.0.0-2")
def test_bytes_may_come_in_any_pieces(broker: MemoryBroker, level: int) -> None:
    client = broker.client(level)
    for packet in (
        Connect("c", level),
        Subscribe(1, [SubscribeTopic("t", 1)]),
        Publish(b"t", b"payload", 1, packet_id=2),
    ):
        for byte in encode(packet, level):
            client.send_bytes(bytes((byte,)))
    assert [type(packet).__name__ for packet in client.take()][:2] == ["Connack", "Suback"]
    client.take()
    client.send_bytes(encode(Pingreq(), level) * 3)
    assert client.take_bytes() == b"\xd0\x00" * 3

"""3.4 to 3.7 PUBACK, PUBREC, PUBREL and PUBCOMP: reason codes and properties."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.connect import Connect
from mqttd.packets.decode import Packet
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient

PUBLISH_CODES = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
PUBREL_CODES = {0x00, 0x92}


@pytest.mark.statements("v5:MQTT-3.4.2-1", "v5:MQTT-3.5.2-1", "v5:MQTT-3.7.2-1")
def test_the_reason_codes_of_the_receiver(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.publish("t", qos=1)
    assert client.take_one(Puback).reason_code in PUBLISH_CODES
    packet_id = client.publish("t", qos=2)
    assert client.take_one(Pubrec).reason_code in PUBLISH_CODES
    client.send(Pubrel(packet_id))
    assert client.take_one(Pubcomp).reason_code == 0
    client.send(Pubrel(packet_id))
    assert client.take_one(Pubcomp).reason_code == 0x92


@pytest.mark.statements("v5:MQTT-3.6.2-1")
def test_the_reason_codes_of_the_sender(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.subscribe("t", qos=2)
    broker.connected("p").publish("t", qos=2)
    packet_id = client.take_one(Publish).packet_id
    client.send(Pubrec(packet_id))
    released = client.take_one(Pubrel)
    assert (released.packet_id, released.reason_code) == (packet_id, 0)
    client.send(Pubcomp(packet_id))
    client.send(Pubrec(packet_id))
    released = client.take_one(Pubrel)
    assert (released.packet_id, released.reason_code) == (packet_id, 0x92)


@pytest.mark.parametrize("ack", [Puback(77), Pubcomp(77)], ids=["PUBACK", "PUBCOMP"])
def test_an_acknowledgement_of_nothing_is_ignored(broker: MemoryBroker, ack: Packet) -> None:
    client = broker.connected("c")
    client.send(ack)
    assert client.take() == []
    assert not client.closed


@pytest.mark.statements(
    "v5:MQTT-3.4.2-2", "v5:MQTT-3.4.2-3", "v5:MQTT-3.5.2-2", "v5:MQTT-3.5.2-3",
    "v5:MQTT-3.6.2-2", "v5:MQTT-3.6.2-3", "v5:MQTT-3.7.2-2", "v5:MQTT-3.7.2-3",
    "v5:MQTT-3.1.2-24",
)  # fmt: skip
@pytest.mark.parametrize("size", [5, 6, 7, 8, 10, 20, 30, 50, 100])
def test_acknowledgements_keep_within_the_maximum_packet_size(
    broker: MemoryBroker, size: int
) -> None:
    client = broker.client()
    client.send(Connect("c", 5, properties=Properties(maximum_packet_size=size)))
    assert len(client.take_bytes()) <= size
    invalid = Properties(payload_format_indicator=1)
    for packet in (
        Publish(b"t", b"", 1, packet_id=1),
        Publish(b"t", b"\xff", 1, packet_id=2, properties=invalid),
        Publish(b"t", b"", 2, packet_id=3),
        Publish(b"t", b"\xff", 2, packet_id=4, properties=invalid),
        Pubrel(3),
        Pubrel(99),
        Pubrec(98),
    ):
        if client.closed:
            break
        client.send(packet)
        assert len(client.take_bytes()) <= size


@pytest.mark.statements("v5:MQTT-3.1.2-29")
@pytest.mark.parametrize("asked", [None, 0, 1])
def test_reasons_only_for_those_who_want_them(broker: MemoryBroker, asked: int | None) -> None:
    properties = Properties() if asked is None else Properties(request_problem_information=asked)
    client = broker.connected("c", properties=properties)
    invalid = Properties(payload_format_indicator=1)
    client.send(Pubrel(99), Pubrec(98))
    client.send(Publish(b"t", b"", 1, packet_id=1), Publish(b"t", b"", 2, packet_id=2))
    client.subscribe("a/#/b", "$share/g", "ok")
    client.unsubscribe("never")
    packets = client.take()
    client.send(Publish(b"t", b"\xff", 1, packet_id=3, properties=invalid))
    packets += [packet for packet in client.take() if isinstance(packet, Puback)]
    assert packets
    for packet in packets:
        told = getattr(packet, "properties", None) or Properties()
        if asked == 0:
            assert told.reason_string is None
            assert told.user_properties == ()


@pytest.mark.statements("v5:MQTT-4.4.0-2")
@pytest.mark.parametrize("reason_code", [0x80, 0x83, 0x87, 0x97, 0x99])
@pytest.mark.parametrize("qos", [1, 2])
def test_a_refusal_ends_the_exchange(broker: MemoryBroker, qos: int, reason_code: int) -> None:
    properties = Properties(session_expiry_interval=3600, receive_maximum=1)
    client = broker.connected("c", properties=properties)
    client.subscribe("t", qos=2)
    publisher = broker.connected("p")
    publisher.publish("t", b"one", qos)
    publisher.publish("t", b"two", qos)
    first = client.take_one(Publish)
    refusal = Puback if qos == 1 else Pubrec
    client.send(refusal(first.packet_id, reason_code))
    # No PUBREL for a refused message, and the quota is free again.
    second = client.take_one(Publish)
    assert second.payload == b"two"
    client.drop()
    again = broker.connected("c", clean_start=False, properties=properties)
    assert again.take_one(Publish).payload == b"two"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x40\x01\x00", id="PUBACK too short"),
        pytest.param(b"\x40\x02\x00\x00", id="PUBACK of identifier 0"),
        pytest.param(b"\x40\x03\x00\x01\x01", id="PUBACK with a code of nobody's"),
        pytest.param(b"\x50\x03\x00\x01\x92", id="PUBREC with a code of PUBREL's"),
        pytest.param(b"\x62\x03\x00\x01\x10", id="PUBREL with a code of PUBACK's"),
        pytest.param(b"\x70\x03\x00\x01\x80", id="PUBCOMP with a code of PUBACK's"),
        pytest.param(b"\x40\x06\x00\x01\x00\x02\x11\x00", id="PUBACK with a property of CONNECT"),
    ],
)
@pytest.mark.statements("v5:MQTT-4.13.1-1")
def test_malformed_acknowledgements(broker: MemoryBroker, data: bytes) -> None:
    client = broker.connected("c")
    client.send_bytes(data)
    assert client.closed
    assert client.take_one(Disconnect).reason_code in (0x81, 0x82)


def test_properties_of_an_acknowledgement_are_accepted(
    broker: MemoryBroker, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c")
    client.subscribe("t", qos=1)
    client.publish("t", qos=1)
    packet = next(packet for packet in client.take() if isinstance(packet, Publish))
    told = Properties(reason_string="thanks", user_properties=(("a", "b"), ("a", "b")))
    client.send(Puback(packet.packet_id, 0, told))
    assert not client.closed
    client.send_bytes(b"\x40\x0a\x00\x01\x00\x06\x1f\x00\x00\x1f\x00\x00")
    ended(client, 0x82)

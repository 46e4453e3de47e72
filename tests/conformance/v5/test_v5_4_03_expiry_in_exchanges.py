"""4.3.3 QoS 2: what MQTT 5 says of refusals and of expiry within an exchange."""

from __future__ import annotations

import pytest

from mqttd.packets.acks import Pubcomp, Pubrec, Pubrel
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker

KEEP = Properties(session_expiry_interval=3600)
SHORT = Properties(message_expiry_interval=10)


@pytest.mark.statements("v5:MQTT-4.3.3-7")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_that_was_sent_does_not_expire(broker: MemoryBroker, qos: int) -> None:
    client = broker.connected("c", properties=KEEP)
    client.subscribe("t", qos=2)
    broker.connected("p").publish("t", b"x", qos, properties=SHORT)
    first = client.take_one(Publish)
    client.drop()
    broker.advance(60)
    again = broker.connected("c", clean_start=False, properties=KEEP).take_one(Publish)
    assert (again.packet_id, again.payload, again.dup) == (first.packet_id, b"x", True)


@pytest.mark.statements("v5:MQTT-4.3.3-13", "v5:MQTT-4.3.3-7")
def test_the_sequence_continues_after_expiry(broker: MemoryBroker) -> None:
    client, publisher = broker.connected("c", properties=KEEP), broker.connected("p")
    client.subscribe("t", qos=2)
    packet_id = publisher.publish("t", b"x", 2, properties=SHORT)
    publisher.take_one(Pubrec)
    message = client.take_one(Publish)
    broker.advance(60)
    publisher.send(Pubrel(packet_id))
    assert publisher.take_one(Pubcomp).reason_code == 0
    client.send(Pubrec(message.packet_id))
    assert client.take_one(Pubrel).reason_code == 0
    client.send(Pubcomp(message.packet_id))
    assert client.take() == []


@pytest.mark.statements("v5:MQTT-4.3.3-9")
def test_a_refused_identifier_is_free_for_a_new_message(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.subscribe("t")
    invalid = Properties(payload_format_indicator=1)
    client.send(Publish(b"t", b"\xff", 2, packet_id=5, properties=invalid))
    assert client.take_one(Pubrec).reason_code == 0x99
    client.send(Publish(b"t", b"good", 2, packet_id=5))
    packets = client.take()
    assert [getattr(packet, "reason_code", 0) for packet in packets] == [0, 0]
    assert [packet.payload for packet in packets if isinstance(packet, Publish)] == [b"good"]


@pytest.mark.statements("v5:MQTT-4.3.3-9")
def test_a_message_refused_for_the_quota_is_a_new_message_later() -> None:
    broker = MemoryBroker(max_awaiting_rel=1)
    client = broker.connected("c")
    client.subscribe("t")
    client.send(Publish(b"t", b"one", 2, packet_id=1))
    client.take()
    client.send(Publish(b"t", b"two", 2, packet_id=2))
    # Refused by PUBREC, or the connection is ended for exceeding the Receive Maximum.
    reasons = [getattr(packet, "reason_code", None) for packet in client.take()]
    assert reasons in ([0x97], [0x93])
    if not client.closed:
        client.send(Pubrel(1))
        client.take()
        client.send(Publish(b"t", b"two", 2, packet_id=2))
        payloads = [packet.payload for packet in client.take() if isinstance(packet, Publish)]
        assert payloads == [b"two"]

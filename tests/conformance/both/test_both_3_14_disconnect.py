"""3.12 to 3.14 PINGREQ and DISCONNECT, in all versions."""

from __future__ import annotations

import pytest

from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker


@pytest.mark.statements("v3:MQTT-3.12.4-1", "v5:MQTT-3.12.4-1")
def test_every_pingreq_is_answered(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.send(Pingreq(), Pingreq())
    assert client.take() == [Pingresp(), Pingresp()]


def test_a_pingreq_with_a_body(broker: MemoryBroker, level: int) -> None:
    client = broker.connected("c", level)
    client.send_bytes(b"\xc0\x01\x00")
    assert client.closed


@pytest.mark.statements(
    "v3:MQTT-3.14.4-1", "v3:MQTT-3.14.4-2", "v5:MQTT-3.14.4-1", "v5:MQTT-3.14.4-2"
)
def test_disconnect_closes_and_nothing_follows(broker: MemoryBroker, level: int) -> None:
    client, publisher = broker.connected("c", level), broker.connected("p", level)
    client.subscribe("#")
    client.send(Disconnect())
    assert client.closed
    publisher.publish("t")
    assert client.take() == []


@pytest.mark.statements("v3:MQTT-3.14.4-2", "v5:MQTT-3.14.4-1")
def test_what_a_client_sends_after_disconnect_is_not_processed(
    broker: MemoryBroker, level: int
) -> None:
    watching = broker.connected("w", level)
    watching.subscribe("#")
    client = broker.connected("c", level)
    data = encode(Publish(b"before", b""), level) + encode(Disconnect(), level)
    client.send_bytes(data + encode(Publish(b"after", b""), level) + b"\xc0\x00")
    assert client.closed
    assert client.take() == []
    assert watching.take_one(Publish).topic == b"before"

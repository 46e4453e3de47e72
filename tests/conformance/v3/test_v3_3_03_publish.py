"""3.3 PUBLISH: what is peculiar to MQTT 3.1.1."""

from __future__ import annotations

import pytest

from mqttd.packets.acks import Puback
from mqttd.testing import MemoryBroker


@pytest.mark.statements("v3:MQTT-3.3.5-2")
@pytest.mark.parametrize("level", [3, 4])
def test_a_publish_that_is_not_allowed_is_acknowledged_or_ends_the_connection(level: int) -> None:
    # MQTT 3 has no way to say no; here Retain is what is not allowed.
    broker = MemoryBroker(retain_available=False)
    watching = broker.connected("w", level)
    watching.subscribe("#")
    client = broker.connected("c", level)
    client.publish("t", b"x", qos=1, retain=True)
    if client.closed:
        assert client.take() == []
        assert watching.take() == []
    else:
        client.take_one(Puback)

"""3.1.2.4, 3.1.3.1 and 4.1: sessions, client identifiers and taking over, in all versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.packets.connect import Connect
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient


def topics(client: MemoryClient) -> list[bytes]:
    return [packet.topic for packet in client.take_all(Publish)]


@pytest.mark.statements(
    "v3:MQTT-3.1.2-4", "v5:MQTT-3.1.2-5", "v5:MQTT-3.1.2-23", "v3:MQTT-3.2.2-2",
    "v5:MQTT-3.2.2-3", "v5:MQTT-3.1.4-4", "v3:MQTT-3.1.4-3", "v3:MQTT-4.1.0-1",
)  # fmt: skip
@pytest.mark.parametrize("how", ["drop", "disconnect"])
def test_a_session_is_resumed(
    broker: MemoryBroker, level: int, lasting: dict[str, Any], how: str
) -> None:
    first = broker.connected("c", level, **lasting)
    first.subscribe("t", qos=1)
    getattr(first, how)()
    broker.advance(60)
    second = broker.connected("c", level, **lasting)
    assert second.connack is not None
    assert second.connack.session_present is (level > 3)
    broker.connected("p", level).publish("t", qos=1)
    assert topics(second) == [b"t"]


@pytest.mark.statements("v3:MQTT-3.1.2-5", "v3:MQTT-4.5.0-1", "v5:MQTT-4.5.0-1")
def test_messages_wait_for_a_client_that_is_away(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    client = broker.connected("c", level, **lasting)
    client.subscribe("t/#", qos=2)
    client.drop()
    publisher = broker.connected("p", level)
    publisher.publish("t/1", b"one", qos=1)
    publisher.publish("t/2", b"two", qos=2)
    publisher.publish("other", b"", qos=2)
    messages = broker.connected("c", level, **lasting).take_all(Publish)
    assert [(packet.topic, packet.qos, packet.dup) for packet in messages] == [
        (b"t/1", 1, False),
        (b"t/2", 2, False),
    ]


@pytest.mark.statements("v3:MQTT-3.2.2-3", "v5:MQTT-3.1.2-6", "v5:MQTT-3.2.2-3")
def test_without_a_stored_session_a_new_one_is_made(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    client = broker.connected("c", level, **lasting)
    assert client.connack is not None
    assert client.connack.session_present is False


@pytest.mark.statements(
    "v3:MQTT-3.1.2-6", "v5:MQTT-3.1.2-4", "v3:MQTT-3.2.2-1", "v5:MQTT-3.2.2-2",
    "v3:MQTT-3.1.4-3", "v5:MQTT-3.1.4-4",
)  # fmt: skip
def test_a_clean_start_discards_the_session(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    broker.connected("c", level, **lasting).subscribe("t", qos=1)
    publisher = broker.connected("p", level)
    broker.connected("c", level, **lasting).drop()
    publisher.publish("t", b"while away", qos=1)
    client = broker.connected("c", level, clean_start=True)
    assert client.connack is not None
    assert client.connack.session_present is False
    publisher.publish("t", b"after", qos=1)
    assert client.take() == []


@pytest.mark.statements("v3:MQTT-3.1.2-6")
def test_state_of_a_clean_session_is_never_reused(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    broker.connected("c", level, clean_start=True).subscribe("t", qos=1)
    broker.connected("c", level, clean_start=True).drop()
    client = broker.connected("c", level, **lasting)
    assert client.connack is not None
    assert client.connack.session_present is False
    broker.connected("p", level).publish("t", qos=1)
    assert client.take() == []


@pytest.mark.statements("v3:MQTT-4.1.0-2", "v5:MQTT-4.1.0-1")
def test_a_session_lasts_as_long_as_its_network_connection(level: int) -> None:
    broker = MemoryBroker(session_expiry_interval=10)
    client = broker.connected("c", level)
    client.subscribe("t", qos=1)
    broker.advance(100_000)
    broker.connected("p", level).publish("t", qos=1)
    assert topics(client) == [b"t"]


@pytest.mark.statements("v3:MQTT-3.1.3-2", "v5:MQTT-3.1.3-2")
def test_state_belongs_to_the_client_identifier_exactly(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    broker.connected("Client", level, **lasting).subscribe("t", qos=1)
    for other in ("client", "Client ", "Client1"):
        connack = broker.client(level).connect(client_id=other, **lasting)
        assert connack.session_present is False
    assert broker.client(level).connect(client_id="Client", **lasting).session_present is (
        level > 3
    )


@pytest.mark.statements("v3:MQTT-3.1.4-2", "v5:MQTT-3.1.4-3")
@pytest.mark.parametrize("clean_start", [True, False])
def test_a_second_connection_takes_over(
    broker: MemoryBroker,
    level: int,
    clean_start: bool,
    ended: Callable[[MemoryClient, int], None],
) -> None:
    first = broker.connected("c", level)
    first.subscribe("t")
    second = broker.connected("c", level, clean_start=clean_start)
    ended(first, 0x8E)
    assert not second.closed
    broker.advance(5)
    assert not second.closed
    assert second.take() == []


@pytest.mark.statements("v3:MQTT-3.1.4-2", "v5:MQTT-3.1.4-3")
@pytest.mark.parametrize("levels", [(4, 5), (5, 4), (3, 5), (4, 3)])
def test_taking_over_from_another_version(
    broker: MemoryBroker, levels: tuple[int, int], ended: Callable[[MemoryClient, int], None]
) -> None:
    first = broker.connected("c", levels[0])
    second = broker.connected("c", levels[1])
    ended(first, 0x8E)
    assert not second.closed


@pytest.mark.statements("v5:MQTT-3.1.4-5", "v3:MQTT-3.1.4-4", "v3:MQTT-3.2.0-1", "v5:MQTT-3.2.0-1")
def test_connack_comes_first_even_when_messages_wait(
    broker: MemoryBroker, level: int, lasting: dict[str, Any]
) -> None:
    client = broker.connected("c", level, **lasting)
    client.subscribe("t", qos=1)
    client.drop()
    broker.connected("p", level).publish("t", qos=1)
    again = broker.client(level)
    again.send(Connect("c", level, **lasting))
    assert [type(packet).__name__ for packet in again.take()] == ["Connack", "Publish"]


@pytest.mark.statements("v3:MQTT-3.1.2.7")
def test_retained_messages_outlive_the_session_that_published_them(
    broker: MemoryBroker, level: int
) -> None:
    publisher = broker.connected("p", level)
    publisher.publish("t", b"kept", retain=True)
    publisher.disconnect()
    broker.connected("p", level, clean_start=True).disconnect()
    client = broker.connected("c", level)
    client.subscribe("t")
    assert client.take_one(Publish).payload == b"kept"


@pytest.mark.statements("v3:MQTT-3.1.3-9", "v5:MQTT-3.1.3-8", "v5:MQTT-3.2.2-7", "v3:MQTT-3.2.2-5")
def test_a_client_identifier_that_is_too_long(level: int) -> None:
    broker = MemoryBroker(max_clientid_len=23)
    assert broker.client(level).connect(client_id="x" * 23).reason_code == 0
    client = broker.client(level)
    assert client.connect(client_id="x" * 24).reason_code == (0x85 if level == 5 else 2)
    assert client.closed

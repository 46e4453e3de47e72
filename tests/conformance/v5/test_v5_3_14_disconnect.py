"""3.14 DISCONNECT: reason codes and properties."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.connect import Connect
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient

SERVER_CODES = {
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95,
    0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
}  # fmt: skip

FAULTS: dict[str, Callable[[MemoryClient], object]] = {
    "second CONNECT": lambda client: client.send(Connect("c", 5)),
    "malformed": lambda client: client.send_bytes(b"\x36\x00"),
    "bad topic": lambda client: client.send(Publish(b"#", b"")),
    "alias": lambda client: client.send(Publish(b"", b"", properties=Properties(topic_alias=9))),
    "keep alive": lambda client: client.broker.advance(100),
    "taken over": lambda client: client.broker.connected("c"),
    "shut down": lambda client: client.broker.core.shut_down(client.broker.now),
}


@pytest.mark.statements(
    "v5:MQTT-3.14.2-1", "v5:MQTT-3.14.2-2", "v5:MQTT-3.14.4-1", "v5:MQTT-4.13.2-1",
    "v5:MQTT-3.14.2-3", "v5:MQTT-3.14.2-4", "v5:MQTT-4.13.1-1",
)  # fmt: skip
@pytest.mark.parametrize("size", [20, 24, 30, 60, 1000])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_broker_says_when_it_closes(broker: MemoryBroker, fault: str, size: int) -> None:
    client = broker.connected("c", keep_alive=60, properties=Properties(maximum_packet_size=size))
    FAULTS[fault](client)
    broker.turn()
    assert client.closed
    data = client.take_bytes()
    assert 0 < len(data) <= size
    assert data[0] == 0xE0
    assert data[1] == len(data) - 2
    code = data[2] if len(data) > 2 else 0
    assert code in SERVER_CODES - {0x00}
    # No Session Expiry Interval: it would be the first or follow the Reason String.
    assert b"\x11\x00" not in data


@pytest.mark.statements("v5:MQTT-3.14.2-1", "v5:MQTT-3.1.0-2")
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x01c", id="of an unknown version"),
        pytest.param(b"\x00\x04HTTP\x05\x02\x00\x00\x00\x00\x01c", id="of another protocol"),
        pytest.param(b"", id="that is empty"),
    ],
)
def test_a_second_connect_that_is_wrong_in_itself(broker: MemoryBroker, body: bytes) -> None:
    client = broker.connected("c")
    client.send_bytes(bytes((0x10, len(body))) + body)
    assert client.closed
    assert client.take_one(Disconnect).reason_code in (0x81, 0x82)


def test_shut_down_says_why(broker: MemoryBroker) -> None:
    client, old = broker.connected("c"), broker.connected("old", 4)
    broker.core.shut_down(broker.now)
    broker.turn()
    assert client.take_one(Disconnect).reason_code == 0x8B
    assert old.take() == []
    assert client.closed
    assert old.closed


@pytest.mark.statements("v5:MQTT-3.1.2-23", "v5:MQTT-4.1.0-2")
@pytest.mark.parametrize(
    ("before", "after", "passed", "present"),
    [
        (100, 10, 20, False),
        (100, 0, 1, False),
        (10, 1000, 500, True),
        (10, 0xFFFF_FFFF, 10_000_000, True),
        (100, None, 50, True),
    ],
)
def test_disconnect_may_change_the_session_expiry_interval(
    broker: MemoryBroker, before: int, after: int | None, passed: int, present: bool
) -> None:
    client = broker.connected("c", properties=Properties(session_expiry_interval=before))
    properties = None if after is None else Properties(session_expiry_interval=after)
    client.disconnect(0, properties)
    broker.advance(passed)
    connack = broker.client().connect(client_id="c", clean_start=False)
    assert connack.session_present is present


def test_an_interval_of_zero_cannot_be_changed(
    broker: MemoryBroker, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c")
    client.send(Disconnect(0, Properties(session_expiry_interval=100)))
    ended(client, 0x82)
    connack = broker.client().connect(client_id="c", clean_start=False)
    assert connack.session_present is False


@pytest.mark.statements("v5:MQTT-4.13.1-1")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xe0\x01\x01", id="a code of nobody's"),
        pytest.param(b"\xe0\x01\x8e", id="a code only a server sends"),
        pytest.param(b"\xe0\x05\x00\x03\x1c\x00\x00", id="a property only a server sends"),
        pytest.param(b"\xe0\x02\x00\x05", id="a property length beyond the end"),
        pytest.param(b"\xe0\x04\x00\x02\x01\x00", id="a property of PUBLISH"),
    ],
)
def test_a_disconnect_that_is_not_allowed(broker: MemoryBroker, data: bytes) -> None:
    client = broker.connected("c")
    client.send_bytes(data)
    assert client.closed
    assert client.take_one(Disconnect).reason_code in (0x81, 0x82)


def test_a_disconnect_with_everything(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    told = Properties(reason_string="done", user_properties=(("a", "b"),))
    client.send(Disconnect(0x00, told))
    assert client.closed
    assert client.take() == []

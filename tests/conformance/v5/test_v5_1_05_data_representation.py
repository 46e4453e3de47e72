"""1.5 Data representation: what MQTT 5 adds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient

STRINGS: dict[str, Callable[[str], Properties]] = {
    "content type": lambda text: Properties(content_type=text),
    "response topic": lambda text: Properties(response_topic=text),
    "user property name": lambda text: Properties(user_properties=((text, "value"),)),
    "user property value": lambda text: Properties(user_properties=(("name", text),)),
}


@pytest.mark.statements(
    "v5:MQTT-1.5.4-1", "v5:MQTT-1.5.4-2", "v5:MQTT-1.5.7-1", "v5:MQTT-3.3.2-13",
    "v5:MQTT-3.3.2-19",
)  # fmt: skip
@pytest.mark.parametrize("text", [b"\xed\xa0\x80", b"a\x00b", b"\xff"])
@pytest.mark.parametrize("field", STRINGS)
def test_a_bad_string_in_a_property(
    broker: MemoryBroker, field: str, text: bytes, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c")
    stand_in = "X" * len(text)
    packet = encode(Publish(b"t", b"", properties=STRINGS[field](stand_in)), 5)
    client.send_bytes(packet.replace(stand_in.encode(), text))
    ended(client, 0x81)


@pytest.mark.statements("v5:MQTT-1.5.5-1")
@pytest.mark.parametrize(
    ("remaining", "header"),
    [
        (127, b"\x30\x7f"),
        (128, b"\x30\x80\x01"),
        (16_383, b"\x30\xff\x7f"),
        (16_384, b"\x30\x80\x80\x01"),
    ],
)
def test_lengths_are_written_in_the_fewest_bytes(
    broker: MemoryBroker, remaining: int, header: bytes
) -> None:
    client = broker.connected("c")
    client.subscribe("t")
    client.publish("t", b"x" * (remaining - 4))
    assert client.take_bytes() == header + b"\x00\x01t\x00" + b"x" * (remaining - 4)


@pytest.mark.statements("v5:MQTT-1.5.5-1")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xc0\x80\x80\x80\x80\x00", id="five bytes"),
        pytest.param(b"\xc0\xff\xff\xff\xff\x7f", id="five bytes, large"),
        pytest.param(b"\x30\x05\x00\x01t\x80\x00", id="property length 0 in two bytes"),
    ],
)
def test_a_badly_encoded_length_is_malformed(
    broker: MemoryBroker, data: bytes, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c")
    client.send_bytes(data)
    ended(client, 0x81)


@pytest.mark.statements("v5:MQTT-1.5.7-1")
def test_a_user_property_may_be_empty_and_come_twice(broker: MemoryBroker) -> None:
    pairs = (("", ""), ("a", ""), ("", "b"), ("", ""))
    client = broker.connected("c")
    client.subscribe("t")
    client.publish("t", properties=Properties(user_properties=pairs))
    properties = client.take_one(Publish).properties
    assert properties is not None
    assert properties.user_properties == pairs


@pytest.mark.statements("v5:MQTT-4.13.1-1")
def test_one_clients_malformed_packet_has_no_consequences_for_others(
    broker: MemoryBroker,
) -> None:
    other, client = broker.connected("other"), broker.connected("c")
    other.subscribe("t")
    client.send_bytes(encode(Publish(b"t", b"first"), 5) + b"\xf1\x00")
    assert client.take_one(Disconnect).reason_code == 0x81
    assert client.closed
    assert other.take_one(Publish).payload == b"first"
    assert not other.closed

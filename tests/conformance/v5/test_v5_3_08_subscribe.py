"""3.8 to 3.11 SUBSCRIBE to UNSUBACK: options, identifiers and reason codes of MQTT 5."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.connect import Connect
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.unsuback import Unsuback
from mqttd.packets.unsubscribe import Unsubscribe
from mqttd.testing import MemoryBroker, MemoryClient


@pytest.mark.statements("v5:MQTT-3.8.3-3")
def test_no_local(broker: MemoryBroker) -> None:
    client, other = broker.connected("c"), broker.connected("other")
    client.subscribe("t", no_local=True)
    other.subscribe("t", no_local=True)
    client.publish("t", b"mine")
    assert client.take() == []
    assert other.take_one(Publish).payload == b"mine"
    other.publish("t", b"theirs")
    assert client.take_one(Publish).payload == b"theirs"


@pytest.mark.statements("v5:MQTT-3.8.3-3")
def test_no_local_is_about_the_client_identifier(broker: MemoryBroker) -> None:
    keep = Properties(session_expiry_interval=3600)
    client = broker.connected("c", properties=keep)
    client.subscribe("t", qos=1, no_local=True)
    client.drop()
    client = broker.connected("c", clean_start=False, properties=keep)
    client.publish("t", b"mine")
    assert client.take() == []


def test_no_local_for_all_by_option() -> None:
    client = MemoryBroker(ignore_loop_deliver=True).connected("c", 4)
    client.subscribe("t")
    client.publish("t")
    assert client.take() == []


@pytest.mark.statements("v5:MQTT-3.8.3-4")
def test_no_local_on_a_shared_subscription(
    broker: MemoryBroker, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c")
    client.send(Subscribe(1, [SubscribeTopic("$share/g/t", no_local=True)]))
    ended(client, 0x82)


@pytest.mark.statements("v5:MQTT-4.13.1-1")
def test_retain_handling_three(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.send_bytes(b"\x82\x07\x00\x01\x00\x00\x01t\x30")
    assert client.take_one(Disconnect).reason_code in (0x81, 0x82)
    assert client.closed


@pytest.mark.statements("v5:MQTT-4.13.1-1")
@pytest.mark.parametrize("block", [b"\x0b\x00", b"\x0b\x01\x0b\x02"], ids=["zero", "twice"])
def test_a_bad_subscription_identifier(
    broker: MemoryBroker, block: bytes, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c")
    body = b"\x00\x01" + bytes((len(block),)) + block + b"\x00\x01t\x00"
    client.send_bytes(bytes((0x82, len(body))) + body)
    ended(client, 0x82)


@pytest.mark.statements("v5:MQTT-3.11.3-1", "v5:MQTT-3.11.3-2")
def test_unsuback_has_a_code_for_each_filter(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.subscribe("a", "b")
    client.send(Unsubscribe(1, ["b", "never", "a", "a"]))
    assert client.take_one(Unsuback).reason_codes == [0x00, 0x11, 0x00, 0x11]


@pytest.mark.statements(
    "v5:MQTT-3.9.2-1", "v5:MQTT-3.9.2-2", "v5:MQTT-3.11.2-1", "v5:MQTT-3.11.2-2"
)
@pytest.mark.parametrize("size", [20, 30, 40, 60, 100, 200])
def test_suback_and_unsuback_keep_within_the_maximum_packet_size(
    broker: MemoryBroker, size: int
) -> None:
    client = broker.client()
    client.send(Connect("c", 5, properties=Properties(maximum_packet_size=size)))
    client.take_bytes()
    if client.closed:
        return
    client.send(Subscribe(1, [SubscribeTopic("$share/g"), SubscribeTopic("a/#/b")]))
    data = client.take_bytes()
    assert len(data) <= size
    if client.closed:
        return
    client.send(Unsubscribe(2, ["a", "b", "$share/g"]))
    data = client.take_bytes()
    assert 4 <= len(data) <= size


@pytest.mark.statements("v5:MQTT-3.1.2-24", "v5:MQTT-3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_too_large_for_the_client_is_discarded(broker: MemoryBroker, qos: int) -> None:
    client = broker.connected(
        "c", properties=Properties(maximum_packet_size=100, receive_maximum=1)
    )
    other, publisher = broker.connected("other"), broker.connected("p")
    client.subscribe("t", qos=2)
    other.subscribe("t", qos=2)
    publisher.publish("t", b"x" * 200, qos)
    publisher.publish("t", b"small", qos)
    assert client.take_one(Publish).payload == b"small"
    assert [len(packet.payload) for packet in other.take_all(Publish)] == [200, 5]


@pytest.mark.statements("v5:MQTT-3.1.2-24", "v5:MQTT-3.1.2-25")
@pytest.mark.parametrize("excess", [0, 1])
def test_the_maximum_packet_size_is_exact(broker: MemoryBroker, excess: int) -> None:
    client = broker.connected("c", properties=Properties(maximum_packet_size=100))
    client.subscribe("t", qos=1)
    empty = len(encode(Publish(b"t", b"", 1, packet_id=1), 5))
    broker.connected("p").publish("t", b"x" * (100 - empty + excess), qos=1)
    data = client.take_bytes()
    assert len(data) == (0 if excess else 100)


def test_user_properties_and_an_identifier_in_subscribe(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    pairs = (("a", "1"), ("a", "1"))
    client.send(
        Subscribe(
            1,
            [SubscribeTopic("t")],
            Properties(subscription_identifiers=(5,), user_properties=pairs),
        )
    )
    assert client.take_one(Suback).reason_codes == [0]
    client.send(Unsubscribe(2, ["t"], Properties(user_properties=pairs)))
    assert client.take_one(Unsuback).reason_codes == [0]


@pytest.mark.statements("v5:MQTT-3.8.3-2")
def test_a_filter_without_options(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.send_bytes(b"\x82\x06\x00\x01\x00\x00\x01t")
    assert client.take_one(Disconnect).reason_code == 0x81
    assert client.closed


@pytest.mark.statements("v5:MQTT-3.9.3-2")
def test_shared_subscriptions_where_they_are_switched_off() -> None:
    client = MemoryBroker(shared_subscription=False).connected("c")
    assert client.subscribe("$share/g/t", "t").reason_codes == [0x9E, 0]

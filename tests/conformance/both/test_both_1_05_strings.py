"""1.5 Data representation: UTF-8 strings, in all versions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.packets.unsubscribe import Unsubscribe
from mqttd.testing import MemoryBroker, MemoryClient

ILL_FORMED = {
    "surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "overlong": b"\xe0\x80\xaf",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "lone continuation": b"a\x80a",
    "cut short": b"a\xe2\x82",
    "Latin-1": b"\xe9tat",
}
NUL = {"U+0000": b"a\x00b", "only U+0000": b"\x00"}

AFTER_CONNECT: dict[str, Callable[[str], Packet]] = {
    "PUBLISH topic": lambda text: Publish(text.encode(), b""),
    "SUBSCRIBE filter": lambda text: Subscribe(1, [SubscribeTopic(text)]),
    "UNSUBSCRIBE filter": lambda text: Unsubscribe(1, [text]),
}
IN_CONNECT: dict[str, Callable[[str, int], Connect]] = {
    "client id": Connect,
    "user name": lambda text, level: Connect("c", level, username=text),
    "will topic": lambda text, level: Connect(
        "c", level, will=ConnectWill(text.encode(), b"gone")
    ),
}


def broken(packet: Packet, level: int, stand_in: str, text: bytes) -> bytes:
    """The encoded packet with ``text`` where ``stand_in`` was; both are as long."""
    data = encode(packet, level)
    assert data.count(stand_in.encode()) == 1
    return data.replace(stand_in.encode(), text)


@pytest.mark.statements(
    "v5:MQTT-1.5.4-1", "v3:MQTT-1.5.3-1", "v5:MQTT-3.3.2-1", "v3:MQTT-3.3.2-1",
    "v5:MQTT-3.8.3-1", "v3:MQTT-3.8.3-1", "v5:MQTT-3.10.3-1", "v3:MQTT-3.10.3-1",
)  # fmt: skip
@pytest.mark.parametrize("text", ILL_FORMED.values(), ids=ILL_FORMED)
@pytest.mark.parametrize("field", AFTER_CONNECT)
def test_an_ill_formed_string_ends_the_connection(
    broker: MemoryBroker,
    level: int,
    field: str,
    text: bytes,
    ended: Callable[[MemoryClient, int], None],
) -> None:
    client = broker.connected("c", level)
    stand_in = "X" * len(text)
    client.send_bytes(broken(AFTER_CONNECT[field](stand_in), level, stand_in, text))
    ended(client, 0x81)


@pytest.mark.statements("v5:MQTT-1.5.4-2", "v3:MQTT-1.5.3-2", "v5:MQTT-4.7.3-2", "v3:MQTT-4.7.3-2")
@pytest.mark.parametrize("text", NUL.values(), ids=NUL)
@pytest.mark.parametrize("field", AFTER_CONNECT)
def test_a_null_character_ends_the_connection(
    broker: MemoryBroker,
    level: int,
    field: str,
    text: bytes,
    ended: Callable[[MemoryClient, int], None],
) -> None:
    client = broker.connected("c", level)
    stand_in = "X" * len(text)
    client.send_bytes(broken(AFTER_CONNECT[field](stand_in), level, stand_in, text))
    ended(client, 0x81)


@pytest.mark.statements(
    "v5:MQTT-1.5.4-1", "v3:MQTT-1.5.3-1", "v5:MQTT-1.5.4-2", "v3:MQTT-1.5.3-2",
    "v5:MQTT-3.1.3-4", "v3:MQTT-3.1.3-4", "v5:MQTT-3.1.3-11", "v3:MQTT-3.1.3-10",
    "v5:MQTT-3.1.3-12", "v3:MQTT-3.1.3-11",
)  # fmt: skip
@pytest.mark.parametrize("text", (ILL_FORMED | NUL).values(), ids=ILL_FORMED | NUL)
@pytest.mark.parametrize("field", IN_CONNECT)
def test_a_bad_string_in_connect_is_not_accepted(
    broker: MemoryBroker, level: int, field: str, text: bytes
) -> None:
    client = broker.client(level)
    stand_in = "X" * len(text)
    client.send_bytes(broken(IN_CONNECT[field](stand_in, level), level, stand_in, text))
    assert client.closed
    assert [getattr(packet, "reason_code", 0) for packet in client.take()] in ([], [0x81])


@pytest.mark.statements("v5:MQTT-1.5.4-3", "v3:MQTT-1.5.3-3")
def test_a_byte_order_mark_is_a_character_like_any_other(broker: MemoryBroker, level: int) -> None:
    plain, marked = broker.connected("plain", level), broker.connected("marked", level)
    plain.subscribe("a", "a/b")
    marked.subscribe("\ufeffa", "a/\ufeffb")
    publisher = broker.connected("publisher", level)
    publisher.publish("\ufeffa")
    publisher.publish("a/\ufeffb")
    assert plain.take() == []
    topics = [packet.topic for packet in marked.take_all(Publish)]
    assert topics == [b"\xef\xbb\xbfa", b"a/\xef\xbb\xbfb"]


@pytest.mark.statements("v5:MQTT-4.7.3-3", "v3:MQTT-4.7.3-3")
@pytest.mark.parametrize("size", [65_535, 65_534])
def test_a_topic_name_as_long_as_a_string_can_be(
    broker: MemoryBroker, level: int, size: int
) -> None:
    client = broker.connected("c", level)
    client.subscribe("#")
    client.publish("t" * size)
    assert client.take_one(Publish).topic == b"t" * size

"""3.1 CONNECT: the form of the packet, in all versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.packets.acks import Puback
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.testing import MemoryBroker, MemoryClient

USER_NAME, PASSWORD, WILL_RETAIN, WILL, CLEAN = 0x80, 0x40, 0x20, 0x04, 0x02
WILL_QOS_1, WILL_QOS_2, WILL_QOS_3 = 0x08, 0x10, 0x18


def connect_bytes(level: int, flags: int, *fields: bytes, name: bytes = b"") -> bytes:
    """A CONNECT with exactly these flags and, after the (empty) properties, these fields."""
    name = name or (b"MQIsdp" if level == 3 else b"MQTT")
    body = len(name).to_bytes(2, "big") + name + bytes((level, flags)) + b"\x00\x3c"
    if level == 5:
        body += b"\x00"
    for field in fields:
        body += len(field).to_bytes(2, "big") + field
    return bytes((0x10, len(body))) + body


@pytest.mark.statements("v3:MQTT-3.1.0-1", "v5:MQTT-3.1.0-1", "v5:MQTT-3.14.0-1")
@pytest.mark.parametrize(
    "packet",
    [Pingreq(), Publish(b"t", b""), Subscribe(1, [SubscribeTopic("t")]), Puback(1)],
    ids=lambda packet: type(packet).__name__,
)
def test_the_first_packet_must_be_connect(
    broker: MemoryBroker, level: int, packet: Packet
) -> None:
    client = broker.client(level)
    client.send(packet)
    assert client.closed
    assert client.take_bytes() == b""


@pytest.mark.statements("v3:MQTT-3.1.0-2", "v5:MQTT-3.1.0-2")
def test_a_second_connect_ends_the_connection(
    broker: MemoryBroker, level: int, ended: Callable[[MemoryClient, int], None]
) -> None:
    client = broker.connected("c", level)
    client.send(Connect("c", level))
    ended(client, 0x82)


@pytest.mark.statements("v3:MQTT-3.1.0-2", "v5:MQTT-3.1.0-2", "v5:MQTT-3.2.0-2")
def test_a_second_connect_in_the_same_bytes(broker: MemoryBroker, level: int) -> None:
    client = broker.client(level)
    client.send(Connect("c", level), Connect("c", level))
    assert client.closed
    assert [type(packet).__name__ for packet in client.take()] == (
        ["Connack", "Disconnect"] if level == 5 else ["Connack"]
    )


@pytest.mark.statements("v3:MQTT-3.1.2-1", "v5:MQTT-3.1.2-1")
@pytest.mark.parametrize("name", [b"mqtt", b"MQTt", b"MQT", b"MQTTT", b"HTTP", b"MQIsdq"])
def test_another_protocol_name_is_not_processed(
    broker: MemoryBroker, level: int, name: bytes
) -> None:
    client = broker.client(level)
    client.send_bytes(connect_bytes(level, CLEAN, b"c", name=name))
    assert client.closed
    assert [getattr(packet, "reason_code", 0) for packet in client.take()] in ([], [0x84])


@pytest.mark.statements("v3:MQTT-3.1.2-2", "v5:MQTT-3.1.2-2")
@pytest.mark.parametrize(
    ("unknown", "answer"),
    [(2, b"\x20\x02\x00\x01"), (0, b"\x20\x02\x00\x01"), (6, b""), (127, b""), (255, b"")],
)
def test_an_unknown_protocol_level(broker: MemoryBroker, unknown: int, answer: bytes) -> None:
    client = broker.client(4)
    client.send_bytes(connect_bytes(unknown, CLEAN, b"c", name=b"MQTT"))
    assert client.closed
    if answer:
        assert client.take_bytes() == answer
    else:
        # Of a level above 5 nobody knows whether it reads a CONNACK of 3.1.1 or of 5.
        assert client.take_bytes()[:4] in (b"\x20\x02\x00\x01", b"\x20\x03\x00\x84")


@pytest.mark.statements("v3:MQTT-3.1.2-3", "v5:MQTT-3.1.2-3", "v3:MQTT-3.1.4-1", "v5:MQTT-3.1.4-1")
def test_the_reserved_flag_must_be_zero(broker: MemoryBroker, level: int) -> None:
    if level == 3:
        pytest.skip("MQTT 3.1 does not use the bit")
    client = broker.client(level)
    client.send_bytes(connect_bytes(level, CLEAN | 1, b"c"))
    malformed(client)


def malformed(client: MemoryClient) -> None:
    """Closed; MQTT 3 gives no CONNACK to a malformed CONNECT, MQTT 5 may."""
    assert client.closed
    if client.level < 5:
        assert client.take_bytes() == b""
    else:
        codes = [packet.reason_code for packet in client.take_all(Connack)]
        assert codes in ([], [0x81], [0x82])


MALFORMED: list[Any] = [
    pytest.param(
        WILL_QOS_1, [b"c"], id="will QoS 1 without will",
        marks=pytest.mark.statements(
            "v3:MQTT-3.1.2-11", "v3:MQTT-3.1.2-13", "v5:MQTT-3.1.2-11"
        ),
    ),
    pytest.param(WILL_QOS_2, [b"c"], id="will QoS 2 without will"),
    pytest.param(
        WILL_RETAIN, [b"c"], id="will retain without will",
        marks=pytest.mark.statements(
            "v3:MQTT-3.1.2-11", "v3:MQTT-3.1.2-15", "v5:MQTT-3.1.2-13"
        ),
    ),
    pytest.param(
        WILL | WILL_QOS_3, [b"c", b"t", b"p"], id="will QoS 3",
        marks=pytest.mark.statements("v3:MQTT-3.1.2-14", "v5:MQTT-3.1.2-12"),
    ),
    pytest.param(WILL_QOS_3, [b"c"], id="will QoS 3 without will"),
    pytest.param(
        0, [b"c", b"t", b"p"], id="will fields without flag",
        marks=pytest.mark.statements("v3:MQTT-3.1.2-11"),
    ),
    pytest.param(
        WILL, [b"c"], id="will flag without fields",
        marks=pytest.mark.statements("v3:MQTT-3.1.2-9", "v5:MQTT-3.1.2-9"),
    ),
    pytest.param(WILL, [b"c", b"t"], id="will flag without payload"),
    pytest.param(
        0, [b"c", b"name"], id="user name without flag",
        marks=pytest.mark.statements("v3:MQTT-3.1.2-18", "v5:MQTT-3.1.2-16"),
    ),
    pytest.param(
        USER_NAME, [b"c"], id="user name flag without user name",
        marks=pytest.mark.statements("v3:MQTT-3.1.2-19", "v5:MQTT-3.1.2-17"),
    ),
    pytest.param(
        USER_NAME, [b"c", b"name", b"secret"], id="password without flag",
        marks=pytest.mark.statements("v3:MQTT-3.1.2-20", "v5:MQTT-3.1.2-18"),
    ),
    pytest.param(
        USER_NAME | PASSWORD, [b"c", b"name"], id="password flag without password",
        marks=pytest.mark.statements("v3:MQTT-3.1.2-21", "v5:MQTT-3.1.2-19"),
    ),
    pytest.param(
        0, [], id="no client identifier",
        marks=pytest.mark.statements("v3:MQTT-3.1.3-3", "v5:MQTT-3.1.3-3"),
    ),
    pytest.param(0, [b"c", b""], id="more than the flags say"),
]  # fmt: skip


@pytest.mark.statements("v3:MQTT-3.1.4-1", "v5:MQTT-3.1.4-1", "v5:MQTT-4.13.1-1")
@pytest.mark.parametrize(("flags", "fields"), MALFORMED)
def test_connect_must_have_the_form_described(
    broker: MemoryBroker, level: int, flags: int, fields: list[bytes]
) -> None:
    if level == 3 and (
        flags in (WILL_QOS_1, WILL_QOS_2, WILL_QOS_3, WILL_RETAIN)
        or (flags & USER_NAME and len(fields) <= 1 + bool(flags & PASSWORD))
    ):
        pytest.skip("MQTT 3.1: the Will's flags count with a Will, the length before other flags")
    client = broker.client(level)
    data = connect_bytes(level, flags | CLEAN, *fields)
    if level == 5 and flags & WILL and len(fields) > 1:
        # Will Properties come between Client Identifier and Will Topic.
        data = bytes((0x10, data[1] + 1)) + data[2:16] + b"\x00" + data[16:]
    client.send_bytes(data)
    malformed(client)


@pytest.mark.statements("v3:MQTT-3.1.3-1", "v5:MQTT-3.1.3-1")
def test_the_order_of_the_fields(broker: MemoryBroker, level: int) -> None:
    watcher = broker.connected("watcher", level)
    watcher.subscribe("will/topic")
    seen: list[Any] = []
    broker.core.admission = Recording(seen)
    client = broker.client(level)
    body = b"\x00\x01c" + (b"\x00" if level == 5 else b"")
    body += b"\x00\x0awill/topic\x00\x04gone\x00\x04name\x00\x06secret"
    name = b"\x00\x06MQIsdp\x03" if level == 3 else b"\x00\x04MQTT" + bytes((level,))
    head = name + b"\xc6\x00\x00" + (b"\x00" if level == 5 else b"")
    client.send_bytes(bytes((0x10, len(head + body))) + head + body)
    assert client.take_one(Connack).reason_code == 0
    assert seen == [("c", "name", b"secret")]
    client.drop()
    will = watcher.take_one(Publish)
    assert (will.topic, will.payload) == (b"will/topic", b"gone")


class Recording:
    """Admits everybody and keeps what they said of themselves."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        self.seen.append((request.client_id, request.username, request.password))
        done(Identity(username=request.username))


@pytest.mark.statements("v3:MQTT-3.1.3-5", "v5:MQTT-3.1.3-5")
@pytest.mark.parametrize(
    "client_id",
    [
        "a",
        "0123456789abcdefghijklm",
        "nopqrstuvwxyzABCDEFGHIJ",
        "KLMNOPQRSTUVWXYZ",
    ],
)
def test_client_identifiers_every_server_allows(
    broker: MemoryBroker, level: int, client_id: str
) -> None:
    assert broker.client(level).connect(client_id=client_id).reason_code == 0


@pytest.mark.parametrize("client_id", ["ä/é+#", "x" * 1000, " ", "$SYS"])
def test_other_client_identifiers(broker: MemoryBroker, client_id: str) -> None:
    for level in (4, 5):
        client = broker.client(level)
        assert client.connect(client_id=client_id).reason_code == 0


@pytest.mark.statements("v3:MQTT-3.1.4-5", "v5:MQTT-3.1.4-6")
def test_what_follows_a_refused_connect_is_not_processed(level: int) -> None:
    broker = MemoryBroker(max_clientid_len=8)
    watcher = broker.connected("watcher", level)
    watcher.subscribe("#")
    client = broker.client(level)
    client.send(Connect("much-too-long", level), Publish(b"t", b""), Publish(b"t", b"", True))
    assert client.closed
    assert client.take_one(Connack).reason_code in (2, 0x85)
    assert watcher.take() == []


def test_what_follows_an_accepted_connect_is_processed(broker: MemoryBroker, level: int) -> None:
    client = broker.client(level)
    client.send(
        Connect("c", level),
        Subscribe(1, [SubscribeTopic("t")]),
        Publish(b"t", b"early"),
        Pingreq(),
    )
    names = [type(packet).__name__ for packet in client.take()]
    assert names[0] == "Connack"
    assert sorted(names[1:]) == ["Pingresp", "Publish", "Suback"]


@pytest.mark.parametrize("keep_alive", [0, 60])
def test_connect_must_arrive_in_time(level: int, keep_alive: int) -> None:
    broker = MemoryBroker(idle_timeout=15)
    client = broker.client(level)
    client.send_bytes(encode(Connect("c", level, keep_alive=keep_alive), level)[:-1])
    broker.advance(14)
    assert not client.closed
    broker.advance(2)
    assert client.closed
    assert client.take_bytes() == b""


def test_a_connect_larger_than_the_limit_is_refused_before_it_is_there(level: int) -> None:
    broker = MemoryBroker(max_packet_size=1000)
    client = broker.client(level)
    client.send_bytes(b"\x10\xff\xff\xff\x7f\x00\x04MQTT")
    assert client.closed
    assert level < 5 or len(client.take()) <= 1


def test_pingreq_waits_for_nothing(broker: MemoryBroker, level: int) -> None:
    client = broker.client(level)
    client.send(Connect("c", level, will=ConnectWill(b"t", b"")), Pingreq())
    assert isinstance(client.take()[-1], Pingresp)

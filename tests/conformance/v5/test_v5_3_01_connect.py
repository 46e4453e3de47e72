"""3.1 CONNECT: its MQTT 5 properties and client identifiers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.encode import encode
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker, MemoryClient


class Seen:
    """Admits everybody and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[ConnectRequest] = []

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        self.requests.append(request)
        done(Identity(username=request.username))


def properties_of(client: MemoryClient) -> Properties:
    """The properties of a client's CONNACK."""
    assert client.connack is not None
    return client.connack.properties or Properties()


@pytest.mark.statements("v5:MQTT-3.1.3-6", "v5:MQTT-3.1.3-7", "v5:MQTT-3.2.2-16")
@pytest.mark.parametrize("clean_start", [True, False])
def test_an_empty_client_identifier_is_assigned_one(
    broker: MemoryBroker, clean_start: bool
) -> None:
    fields: dict[str, Any] = {
        "clean_start": clean_start,
        "properties": Properties(session_expiry_interval=3600),
    }
    clients = [broker.connected("", **fields) for _ in range(5)]
    names = [properties_of(client).assigned_client_identifier for client in clients]
    assert len(set(names)) == 5
    assert all(names)
    assert not any(client.closed for client in clients)
    clients[0].subscribe("t", qos=1)
    clients[0].drop()
    again = broker.connected(names[0] or "", **fields | {"clean_start": False})
    assert again.connack is not None
    assert again.connack.session_present is True
    assert properties_of(again).assigned_client_identifier is None


@pytest.mark.statements("v5:MQTT-3.1.2-18", "v5:MQTT-3.1.2-16")
def test_a_password_may_come_without_a_user_name() -> None:
    seen = Seen()
    broker = MemoryBroker(admission=seen)
    broker.connected("c", password=b"secret")
    assert (seen.requests[0].username, seen.requests[0].password) == (None, b"secret")


@pytest.mark.statements("v5:MQTT-3.1.2-17", "v5:MQTT-3.1.2-19")
def test_user_name_password_and_user_properties_reach_the_authenticator() -> None:
    seen = Seen()
    broker = MemoryBroker(admission=seen)
    pairs = (("b", "1"), ("a", "2"), ("b", "1"))
    broker.connected(
        "c", username="", password=b"\x00\xff", properties=Properties(user_properties=pairs)
    )
    request = seen.requests[0]
    assert (request.username, request.password) == ("", b"\x00\xff")
    assert request.user_properties == pairs


TWICE = [
    Properties(session_expiry_interval=1),
    Properties(receive_maximum=1),
    Properties(maximum_packet_size=100),
    Properties(topic_alias_maximum=1),
    Properties(request_response_information=1),
    Properties(request_problem_information=1),
    Properties(authentication_method="m"),
    Properties(authentication_method="m", authentication_data=b"d"),
]


@pytest.mark.statements("v5:MQTT-3.1.4-1", "v5:MQTT-4.13.1-1")
@pytest.mark.parametrize("properties", TWICE, ids=lambda value: next(iter(vars(value))))
def test_a_property_twice_is_a_protocol_error(
    broker: MemoryBroker, properties: Properties
) -> None:
    data = encode(Connect("c", 5, properties=properties), 5)
    # Fixed header 2, protocol name 6, level, flags, keep alive 2: the property length is at 12.
    length = data[12]
    block = data[13 : 13 + length]
    body = data[2:12] + bytes((2 * length,)) + block + block + data[13 + length :]
    client = broker.client()
    client.send_bytes(bytes((0x10, len(body))) + body)
    assert client.take_one(Connack).reason_code == 0x82
    assert client.closed


@pytest.mark.statements("v5:MQTT-3.1.4-1", "v5:MQTT-4.13.1-1", "v5:MQTT-4.13.2-1")
@pytest.mark.parametrize(
    ("block", "codes"),
    [
        pytest.param(b"\x21\x00\x00", (0x82,), id="receive maximum 0"),
        pytest.param(b"\x27\x00\x00\x00\x00", (0x82,), id="maximum packet size 0"),
        pytest.param(b"\x19\x02", (0x82,), id="request response information 2"),
        pytest.param(b"\x17\x02", (0x82,), id="request problem information 2"),
        pytest.param(b"\x16\x00\x01d", (0x82,), id="authentication data without method"),
        pytest.param(b"\x01\x00", (0x81, 0x82), id="a property of PUBLISH"),
        pytest.param(b"\x12\x00\x01c", (0x81, 0x82), id="a property of CONNACK"),
        pytest.param(b"\x7f\x00", (0x81,), id="an unknown property"),
        pytest.param(b"\x11\x00\x00", (0x81,), id="cut short"),
    ],
)
def test_properties_that_are_not_allowed(
    broker: MemoryBroker, block: bytes, codes: tuple[int, ...]
) -> None:
    body = b"\x00\x04MQTT\x05\x02\x00\x00" + bytes((len(block),)) + block + b"\x00\x01c"
    client = broker.client()
    client.send_bytes(bytes((0x10, len(body))) + body)
    assert client.take_one(Connack).reason_code in codes
    assert client.closed


@pytest.mark.statements("v5:MQTT-2.2.2-1")
def test_packets_without_properties_say_so(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.subscribe("t", qos=2)
    assert client.publish("t") == 0
    assert client.take_bytes() == b"\x30\x04\x00\x01t\x00"
    client.send_bytes(b"\x82\x07\x00\x09\x00\x00\x01u\x00")
    assert client.take_bytes() == b"\x90\x04\x00\x09\x00\x00"
    client.send_bytes(b"\xa2\x06\x00\x0a\x00\x00\x01u")
    assert client.take_bytes() == b"\xb0\x04\x00\x0a\x00\x00"


@pytest.mark.statements("v5:MQTT-3.1.4-2", "v5:MQTT-3.2.2-8", "v5:MQTT-3.2.2-6", "v5:MQTT-3.2.2-7")
@pytest.mark.parametrize("reason_code", [0x80, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x9C, 0x9F])
def test_a_refused_client_gets_the_reason_and_is_disconnected(reason_code: int) -> None:
    class Refusing:
        def admit(
            self, request: ConnectRequest, done: Callable[[Identity | Refused], None]
        ) -> None:
            done(Refused(reason_code, "no"))

    broker = MemoryBroker(admission=Refusing())
    client = broker.client()
    client.send(Connect("c", 5, clean_start=False))
    connack = client.take_one(Connack)
    assert (connack.reason_code, connack.session_present) == (reason_code, False)
    assert client.closed


@pytest.mark.statements("v5:MQTT-3.2.2-8")
@pytest.mark.parametrize("reason_code", [0x00, 0x04, 0x8E, 0x93, 0xFF])
def test_a_reason_that_connack_cannot_give(reason_code: int) -> None:
    class Confused:
        def admit(
            self, request: ConnectRequest, done: Callable[[Identity | Refused], None]
        ) -> None:
            done(Refused(reason_code, "no"))

    client = MemoryBroker(admission=Confused()).client()
    assert client.connect().reason_code == 0x80
    assert client.closed
    old = MemoryBroker(admission=Confused()).client(4)
    assert old.connect().reason_code in (3, 5)
    assert old.closed


@pytest.mark.statements("v5:MQTT-3.1.3-9")
def test_the_will_waits_for_its_delay(broker: MemoryBroker) -> None:
    watching = broker.connected("watcher")
    watching.subscribe("will")
    will = ConnectWill(b"will", b"gone", properties=Properties(will_delay_interval=60))
    broker.connected("c", will=will, properties=Properties(session_expiry_interval=3600)).drop()
    broker.advance(58)
    assert watching.take() == []
    broker.advance(3)
    assert watching.take_one(Publish).payload == b"gone"
    broker.advance(7200)
    assert watching.take() == []


@pytest.mark.statements("v5:MQTT-3.1.3-9", "v5:MQTT-3.1.2-8")
def test_a_new_connection_in_time_cancels_the_will(broker: MemoryBroker) -> None:
    watching = broker.connected("watcher")
    watching.subscribe("will")
    will = ConnectWill(b"will", b"gone", properties=Properties(will_delay_interval=60))
    keep = Properties(session_expiry_interval=3600)
    broker.connected("c", will=will, properties=keep).drop()
    broker.advance(50)
    broker.connected("c", clean_start=False, properties=keep).drop()
    broker.advance(7200)
    assert watching.take() == []


@pytest.mark.statements("v5:MQTT-3.1.2-8", "v5:MQTT-3.1.3-9")
@pytest.mark.parametrize("expiry", [0, 20])
def test_the_will_is_published_when_the_session_ends_first(
    broker: MemoryBroker, expiry: int
) -> None:
    watching = broker.connected("watcher")
    watching.subscribe("will")
    will = ConnectWill(b"will", b"gone", properties=Properties(will_delay_interval=60))
    broker.connected("c", will=will, properties=Properties(session_expiry_interval=expiry)).drop()
    if expiry:
        broker.advance(expiry - 1)
        assert watching.take() == []
        broker.advance(3)
    assert watching.take_one(Publish).payload == b"gone"
    broker.advance(100)
    assert watching.take() == []


@pytest.mark.statements("v5:MQTT-3.1.2-8")
def test_a_clean_start_ends_the_session_and_sends_the_delayed_will(
    broker: MemoryBroker,
) -> None:
    watching = broker.connected("watcher")
    watching.subscribe("will")
    will = ConnectWill(b"will", b"gone", properties=Properties(will_delay_interval=60))
    broker.connected("c", will=will, properties=Properties(session_expiry_interval=3600)).drop()
    broker.advance(1)
    broker.connected("c", clean_start=True)
    assert watching.take_one(Publish).payload == b"gone"


@pytest.mark.statements("v5:MQTT-3.1.4-3")
@pytest.mark.parametrize(
    ("delay", "clean_start", "published"),
    [(0, False, True), (0, True, True), (60, False, False), (60, True, True)],
)
def test_the_will_of_a_client_taken_over(
    broker: MemoryBroker, delay: int, clean_start: bool, published: bool
) -> None:
    watching = broker.connected("watcher")
    watching.subscribe("will")
    will = ConnectWill(b"will", b"gone", properties=Properties(will_delay_interval=delay))
    keep = Properties(session_expiry_interval=3600)
    broker.connected("c", will=will, properties=keep)
    broker.connected("c", clean_start=clean_start, properties=keep)
    broker.advance(100)
    assert len(watching.take_all(Publish)) == published


@pytest.mark.statements("v5:MQTT-3.1.2-8", "v5:MQTT-3.14.4-3")
@pytest.mark.parametrize(
    ("reason_code", "published"), [(0x00, 0), (0x04, 1), (0x80, 1), (0x93, 1)]
)
def test_the_will_depends_on_the_reason_of_disconnect(
    broker: MemoryBroker, reason_code: int, published: int
) -> None:
    watching = broker.connected("watcher")
    watching.subscribe("will")
    broker.connected("c", will=ConnectWill(b"will", b"gone")).disconnect(reason_code)
    broker.advance(100)
    assert len(watching.take_all(Publish)) == published


@pytest.mark.statements("v5:MQTT-3.1.3-10", "v5:MQTT-3.1.2-7", "v5:MQTT-3.3.2-15")
def test_the_will_has_all_its_properties(broker: MemoryBroker) -> None:
    watching = broker.connected("watcher")
    watching.subscribe("will")
    pairs = (("z", "1"), ("a", "2"), ("z", "1"), ("", ""))
    will = Properties(
        will_delay_interval=10,
        payload_format_indicator=1,
        message_expiry_interval=30,
        content_type="text/plain",
        response_topic="answers",
        correlation_data=b"\x00\x01",
        user_properties=pairs,
    )
    broker.connected(
        "c",
        will=ConnectWill(b"will", b"gone", properties=will),
        properties=Properties(session_expiry_interval=100),
    ).drop()
    broker.advance(12)
    properties = watching.take_one(Publish).properties
    assert properties is not None
    assert properties.payload_format_indicator == 1
    # The Will's lifetime begins when it is published, not when it was stored.
    assert properties.message_expiry_interval in (29, 30)
    assert properties.content_type == "text/plain"
    assert properties.response_topic == "answers"
    assert properties.correlation_data == b"\x00\x01"
    assert properties.user_properties == pairs
    assert properties.will_delay_interval is None


@pytest.mark.statements("v5:MQTT-3.2.2-12")
@pytest.mark.parametrize(("maximum", "qos"), [(0, 1), (0, 2), (1, 2)])
def test_a_will_qos_above_the_maximum(maximum: int, qos: int) -> None:
    broker = MemoryBroker(max_qos_allowed=maximum)
    client = broker.client()
    connack = client.connect(will=ConnectWill(b"t", b"", qos=qos))
    assert connack.reason_code == 0x9B
    assert client.closed
    assert broker.client().connect(will=ConnectWill(b"t", b"", qos=maximum)).reason_code == 0


@pytest.mark.statements("v5:MQTT-3.2.2-13")
def test_a_retained_will_where_nothing_is_retained() -> None:
    broker = MemoryBroker(retain_available=False)
    client = broker.client()
    assert client.connect(will=ConnectWill(b"t", b"", retain=True)).reason_code == 0x9A
    assert client.closed


def test_a_will_payload_that_is_not_what_its_format_says(broker: MemoryBroker) -> None:
    will = ConnectWill(b"t", b"\xff", properties=Properties(payload_format_indicator=1))
    client = broker.client()
    assert client.connect(will=will).reason_code == 0x99
    assert client.closed


@pytest.mark.statements("v5:MQTT-4.1.0-2", "v5:MQTT-3.1.2-23")
def test_a_session_is_discarded_when_its_interval_has_passed(broker: MemoryBroker) -> None:
    for passed, present in [(98, True), (102, False)]:
        keep = Properties(session_expiry_interval=100)
        broker.connected("c", properties=keep).drop()
        broker.advance(passed)
        connack = broker.client().connect(client_id="c", clean_start=False)
        assert connack.session_present is present


@pytest.mark.statements("v5:MQTT-4.1.0-2")
@pytest.mark.parametrize("fields", [{}, {"properties": Properties(session_expiry_interval=0)}])
def test_without_an_interval_the_session_ends_with_the_connection(
    broker: MemoryBroker, fields: dict[str, Any]
) -> None:
    broker.connected("c", clean_start=False, **fields).drop()
    connack = broker.client().connect(client_id="c", clean_start=False)
    assert connack.session_present is False


@pytest.mark.statements("v5:MQTT-3.1.2-23")
def test_the_largest_interval_means_forever(broker: MemoryBroker) -> None:
    keep = Properties(session_expiry_interval=0xFFFF_FFFF)
    broker.connected("c", properties=keep).drop()
    broker.advance(2.0**33)
    connack = broker.client().connect(client_id="c", clean_start=False)
    assert connack.session_present is True


def test_the_interval_of_the_last_connection_counts(broker: MemoryBroker) -> None:
    broker.connected("c", properties=Properties(session_expiry_interval=1000)).drop()
    broker.connected(
        "c", clean_start=False, properties=Properties(session_expiry_interval=10)
    ).drop()
    broker.advance(12)
    assert broker.client().connect(client_id="c", clean_start=False).session_present is False


@pytest.mark.statements("v5:MQTT-3.1.2-28")
@pytest.mark.parametrize("asked", [None, 0, 1])
def test_response_information_is_for_those_who_ask(asked: int | None) -> None:
    broker = MemoryBroker(response_information="answers/")
    fields = {} if asked is None else {"request_response_information": asked}
    client = broker.connected("c", properties=Properties(**fields))
    assert properties_of(client).response_information == ("answers/" if asked else None)


@pytest.mark.statements("v5:MQTT-3.1.2-21", "v5:MQTT-3.2.2-21")
@pytest.mark.parametrize("asked", [0, 10, 600])
def test_the_brokers_keep_alive_counts(asked: int) -> None:
    broker = MemoryBroker(server_keepalive=60)
    client = broker.connected("c", keep_alive=asked)
    assert properties_of(client).server_keep_alive == 60
    broker.advance(89)
    assert not client.closed
    broker.advance(2)
    assert client.closed


@pytest.mark.statements("v5:MQTT-3.2.2-22")
def test_without_a_brokers_keep_alive_the_clients_counts(broker: MemoryBroker) -> None:
    client = broker.connected("c", keep_alive=60)
    assert properties_of(client).server_keep_alive is None
    broker.advance(89)
    assert not client.closed
    broker.advance(2)
    assert client.closed

"""What one client must not do to the broker's memory, to its other clients or to itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.broker.message import Message
from mqttd.broker.ports import EnhancedExchange
from mqttd.identity import Authenticated, ConnectRequest, Identity, Refused
from mqttd.packets.acks import Puback
from mqttd.packets.auth import Auth
from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import Packet
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.testing import MemoryBroker, MemoryClient

LASTING = Properties(session_expiry_interval=3600)


def resume(broker: MemoryBroker, client_id: str, mountpoint: str = "") -> MemoryClient:
    """A client that comes back to its session."""
    client = broker.client(mountpoint=mountpoint)
    client.connect(client_id=client_id, clean_start=False, properties=LASTING)
    return client


def test_ever_new_subscription_identifiers_do_not_gather_copies_of_a_retained_message() -> None:
    broker = MemoryBroker()
    client = broker.connected("c")
    client.publish("a", b"payload", retain=True)
    for identifier in range(1, 100):
        client.subscribe("a", properties=Properties(subscription_identifiers=(identifier,)))
        published = client.take_one(Publish)
        assert published.properties is not None
        assert published.properties.subscription_identifiers == (identifier,)
    kept: list[int] = []
    broker.engine.retained(
        b"a", broker.now, lambda found: kept.extend(len(each.encodings) for each in found)
    )
    assert len(kept) == 1
    assert kept[0] <= 16


def test_a_topic_too_long_with_the_mountpoint_harms_nobody() -> None:
    broker = MemoryBroker()
    everything = broker.connected("everything")
    everything.subscribe("#")
    publisher = broker.client(mountpoint="tenant/")
    publisher.connect(client_id="publisher")
    publisher.publish("t" * 65_529, b"whose full name has 65,536 bytes")
    assert publisher.closed
    assert everything.take() == []
    publisher = broker.client(mountpoint="tenant/")
    publisher.connect(client_id="publisher")
    publisher.publish("t" * 65_528, b"")
    assert len(everything.take_one(Publish).topic) == 65_535


def test_a_will_whose_topic_is_too_long_with_the_mountpoint_is_refused() -> None:
    broker = MemoryBroker()
    client = broker.client(mountpoint="tenant/")
    connack = client.connect(client_id="c", will=ConnectWill(b"t" * 65_535, b""))
    assert connack.reason_code == ReasonCode.TOPIC_NAME_INVALID


def test_a_client_identifier_belongs_to_one_mountpoint() -> None:
    broker = MemoryBroker()
    first = resume(broker, "c", "a/")
    first.subscribe("x", qos=1)
    others = [resume(broker, "c", mountpoint) for mountpoint in ("", "longer/", "a/c\0")]
    assert not first.closed
    for other in others:
        other.subscribe("x", qos=1)
        other.take()
    publisher = broker.connected("publisher")
    publisher.publish("a/x", b"1", 1)
    publisher.publish("longer/x", b"2", 1)
    assert [(each.topic, each.payload) for each in first.take_all(Publish)] == [(b"x", b"1")]
    assert others[0].take_all(Publish) == []
    assert [(each.topic, each.payload) for each in others[1].take_all(Publish)] == [(b"x", b"2")]
    first.drop()
    publisher.publish("a/x", b"3", 1)
    again = resume(broker, "c", "a/")
    assert [each.payload for each in again.take_all(Publish)] == [b"1", b"3"]


def test_no_local_holds_behind_a_mountpoint() -> None:
    broker = MemoryBroker()
    client = resume(broker, "c", "a/")
    namesake = resume(broker, "c")
    client.send(Subscribe(1, [SubscribeTopic("x", 0, no_local=True)]))
    client.take()
    client.publish("x", b"mine")
    namesake.publish("a/x", b"another's")
    assert [each.payload for each in client.take_all(Publish)] == [b"another's"]


@pytest.mark.parametrize("qos", [0, 1])
def test_the_level_of_a_mountpoint_itself_has_no_name_behind_it(qos: int) -> None:
    broker = MemoryBroker()
    client = broker.client(mountpoint="tenant/")
    client.connect(client_id="c", properties=Properties(receive_maximum=1))
    client.subscribe("#", qos=1)
    publisher = broker.connected("publisher")
    for payload in (b"1", b"2"):
        publisher.publish("tenant", payload, qos)
    publisher.publish("tenant/x", b"3", qos)
    assert [(each.topic, each.payload) for each in client.take_all(Publish)] == [(b"x", b"3")]


def test_a_traced_client_gets_its_session_back() -> None:
    broker = MemoryBroker()
    client = resume(broker, "c")
    client.subscribe("a", qos=1, properties=Properties(subscription_identifiers=(7,)))
    broker.connected("publisher").publish("a", b"1", 1)
    client.drop()
    client = broker.client()
    seen: list[tuple[str, Packet]] = []
    client.connection.trace = lambda direction, packet: seen.append((direction, packet))
    client.connect(client_id="c", clean_start=False, properties=LASTING)
    again = client.take_one(Publish)
    assert again.dup
    assert ("SEND", again) in seen


def retained_client(broker: MemoryBroker, count: int) -> MemoryClient:
    publisher = broker.connected("publisher")
    for number in range(count):
        publisher.publish(f"a/{number}", b"x", qos=1, retain=True)
        publisher.take()
    return broker.connected("subscriber")


def looked_up(broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The filters whose Retained Messages the broker asks for from now on."""
    asked: list[bytes] = []
    retained = broker.engine.retained

    def counted(topic_filter: bytes, now: float, page: Callable[[list[Message]], None]) -> None:
        asked.append(topic_filter)
        retained(topic_filter, now, page)

    monkeypatch.setattr(broker.engine, "retained", counted)
    return asked


def test_a_filter_repeated_in_a_packet_is_looked_up_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = MemoryBroker()
    client = retained_client(broker, 3)
    asked = looked_up(broker, monkeypatch)
    client.send(Subscribe(1, [SubscribeTopic("a/+")] * 50))
    assert asked == [b"a/+"]
    assert len([each for each in client.take() if isinstance(each, Publish)]) == 3


def test_retained_messages_wait_in_bounded_numbers_for_a_client_that_acknowledges_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mqttd.broker.session._RETAINED_AT_ONCE", 10)
    broker = MemoryBroker(max_inflight=4)
    client = retained_client(broker, 8)
    asked = looked_up(broker, monkeypatch)
    filters = ["#", "+/#", "a/#", "a/+", "+/+"]
    client.send(Subscribe(1, [SubscribeTopic(each, 1) for each in filters]))
    assert asked == [b"#", b"+/#"]
    received: list[Publish] = []
    while found := [each for each in client.take() if isinstance(each, Publish)]:
        received += found
        for each in found:
            client.send(Puback(each.packet_id))
    assert sorted(asked) == sorted(each.encode() for each in filters)
    assert len(received) == 8 * len(filters)


class _Endless:
    """Answers each step at once with one more challenge."""

    def start(self, _request: ConnectRequest, _data: bytes | None) -> EnhancedExchange:
        return self

    def step(
        self, data: bytes | None, done: Callable[[bytes | Authenticated | Refused], None]
    ) -> None:
        done(Authenticated(Identity()) if data == b"enough" else b"more")


def test_many_auth_packets_in_a_row_do_not_recurse() -> None:
    broker = MemoryBroker(enhanced={"M": _Endless()})
    client = broker.client()
    first = Properties(authentication_method="M", authentication_data=b"1")
    connack = Properties(authentication_method="M", authentication_data=b"enough")
    steps = [Auth(ReasonCode.CONTINUE_AUTHENTICATION, first)] * 1_000
    last = Auth(ReasonCode.CONTINUE_AUTHENTICATION, connack)
    client.send(Connect("c", 5, properties=first), *steps, last)
    *challenges, answer = client.take()
    assert len(challenges) == 1_001
    assert isinstance(answer, Connack)
    assert answer.reason_code == ReasonCode.SUCCESS

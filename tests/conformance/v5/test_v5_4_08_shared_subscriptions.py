"""4.8 Shared Subscriptions."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from mqttd.packets.acks import Puback, Pubcomp, Pubrec, Pubrel
from mqttd.packets.disconnect import Disconnect
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.testing import MemoryBroker, MemoryClient

KEEP = Properties(session_expiry_interval=3600)


def members(broker: MemoryBroker, count: int, qos: int = 0) -> list[MemoryClient]:
    """Clients that share ``t/#`` in group ``g``."""
    clients = [broker.connected(f"m{number}", properties=KEEP) for number in range(count)]
    for client in clients:
        client.subscribe("$share/g/t/#", qos=qos)
    return clients


@pytest.mark.statements("v5:MQTT-4.8.2-1", "v5:MQTT-4.8.2-2")
@pytest.mark.parametrize(
    "bad",
    ["$share", "$share/", "$share//t", "$share/g", "$share/g/", "$share/g+/t", "$share/#/t",
     "$share/g#/t", "$share/+/t", "$share/g/t/#/u"],
)  # fmt: skip
def test_filters_that_are_none(broker: MemoryBroker, bad: str) -> None:
    client = broker.connected("c")
    client.send(Subscribe(1, [SubscribeTopic(bad)]))
    if client.closed:
        assert client.take_one(Disconnect).reason_code in (0x81, 0x82, 0x8F)
    elif bad in ("$share", "$share/"):
        # No Shared Subscription at all; it may be taken for a plain filter.
        assert client.take_one(Suback).reason_codes in ([0x8F], [0])
    else:
        assert client.take_one(Suback).reason_codes == [0x8F]


@pytest.mark.statements("v5:MQTT-4.8.2-1", "v5:MQTT-4.8.2-2")
@pytest.mark.parametrize("good", ["$share/g/t", "$share/g/#", "$share/é /+/u", "$share/g//t"])
def test_filters_that_are_one(broker: MemoryBroker, good: str) -> None:
    client = broker.connected("c")
    assert client.subscribe(good).reason_codes == [0]


def test_each_message_goes_to_one_member(broker: MemoryBroker) -> None:
    clients = members(broker, 4)
    publisher = broker.connected("p")
    for number in range(40):
        publisher.publish(f"t/{number}", bytes((number,)))
    shares = [[packet.payload[0] for packet in client.take_all(Publish)] for client in clients]
    assert sorted(chain.from_iterable(shares)) == list(range(40))
    assert all(5 <= len(share) <= 15 for share in shares)


def test_groups_and_plain_subscriptions_are_independent(broker: MemoryBroker) -> None:
    first, second, plain = (broker.connected(name) for name in ("a", "b", "c"))
    first.subscribe("$share/g/t")
    second.subscribe("$share/h/t")
    plain.subscribe("t")
    broker.connected("p").publish("t", b"x")
    assert [len(client.take_all(Publish)) for client in (first, second, plain)] == [1, 1, 1]


def test_a_client_may_have_both(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.subscribe("$share/g/t", properties=Properties(subscription_identifiers=(1,)))
    client.subscribe("t", properties=Properties(subscription_identifiers=(2,)))
    client.publish("t")
    identifiers: list[int] = []
    for packet in client.take_all(Publish):
        assert packet.properties is not None
        identifiers += packet.properties.subscription_identifiers
    assert sorted(identifiers) == [1, 2]


def test_the_same_filter_in_one_group_is_one_subscription(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.subscribe("$share/g/t", qos=0)
    client.subscribe("$share/g/t", qos=1)
    client.publish("t", b"x", 1)
    packets = [packet for packet in client.take() if isinstance(packet, Publish)]
    assert [packet.qos for packet in packets] == [1]


def test_no_retained_messages_for_a_shared_subscription(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.publish("t", b"x", retain=True)
    client.subscribe("$share/g/t")
    assert client.take() == []


def test_dollar_topics_are_not_matched_by_a_shared_wildcard(broker: MemoryBroker) -> None:
    client = broker.connected("c")
    client.subscribe("$share/g/#", "$share/g/+/x")
    client.publish("$internal/x")
    assert client.take() == []


@pytest.mark.statements("v5:MQTT-4.8.2-3", "v5:MQTT-3.8.4-8")
def test_the_granted_qos_of_each_member_counts(broker: MemoryBroker) -> None:
    clients = []
    for qos in (0, 1, 2):
        client = broker.connected(f"m{qos}")
        client.subscribe("$share/g/t", qos=qos)
        clients.append(client)
    publisher = broker.connected("p")
    seen: Counter[int] = Counter()
    for _ in range(12):
        publisher.publish("t", b"x", 2)
    for qos, client in enumerate(clients):
        for packet in client.take_all(Publish):
            assert packet.qos == qos
            seen[qos] += 1
    assert set(seen) == {0, 1, 2}


@pytest.mark.statements("v5:MQTT-4.8.2-4")
def test_qos_2_is_completed_with_the_member_it_was_begun_with(broker: MemoryBroker) -> None:
    clients = members(broker, 2, qos=2)
    broker.connected("p").publish("t/x", b"x", 2)
    chosen = next(client for client in clients if client.outlet.sent)
    number = clients.index(chosen)
    packet_id = chosen.take_one(Publish).packet_id
    chosen.drop()
    broker.advance(60)
    assert clients[1 - number].take() == []
    again = broker.connected(f"m{number}", clean_start=False, properties=KEEP)
    message = again.take_one(Publish)
    assert (message.packet_id, message.dup, message.payload) == (packet_id, True, b"x")
    again.send(Pubrec(packet_id))
    again.take_one(Pubrel)
    again.send(Pubcomp(packet_id))
    assert clients[1 - number].take() == []


@pytest.mark.statements("v5:MQTT-4.8.2-5")
def test_a_qos_2_message_ends_with_the_session_of_its_member(broker: MemoryBroker) -> None:
    clients = [broker.connected(f"m{number}") for number in range(2)]
    for client in clients:
        client.subscribe("$share/g/t", qos=2)
    broker.connected("p").publish("t", b"x", 2)
    chosen = next(client for client in clients if client.outlet.sent)
    other = clients[1 - clients.index(chosen)]
    chosen.take_one(Publish)
    chosen.drop()
    broker.advance(60)
    assert other.take() == []


def test_a_qos_1_message_may_go_to_another_member_but_is_not_lost(broker: MemoryBroker) -> None:
    clients = [broker.connected(f"m{number}") for number in range(2)]
    for client in clients:
        client.subscribe("$share/g/t", qos=1)
    broker.connected("p").publish("t", b"x", 1)
    chosen = next(client for client in clients if client.outlet.sent)
    other = clients[1 - clients.index(chosen)]
    chosen.drop()
    broker.advance(5)
    # Redelivery when a member goes.
    assert other.take_one(Publish).payload == b"x"


@pytest.mark.statements("v5:MQTT-4.8.2-6")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_a_member_refuses_is_discarded(broker: MemoryBroker, qos: int) -> None:
    clients = members(broker, 3, qos=2)
    broker.connected("p").publish("t/x", b"x", qos)
    chosen = next(client for client in clients if client.outlet.sent)
    packet_id = chosen.take_one(Publish).packet_id
    chosen.send(Puback(packet_id, 0x80) if qos == 1 else Pubrec(packet_id, 0x80))
    chosen.drop()
    broker.advance(60)
    assert all(client.take() == [] for client in clients)
    number = clients.index(chosen)
    assert broker.connected(f"m{number}", clean_start=False, properties=KEEP).take() == []


def test_a_member_that_can_take_no_more_is_skipped(broker: MemoryBroker) -> None:
    busy = broker.connected("busy", properties=Properties(receive_maximum=1))
    free = broker.connected("free")
    for client in (busy, free):
        client.subscribe("$share/g/t", qos=1)
    publisher = broker.connected("p")
    for number in range(10):
        publisher.publish("t", bytes((number,)), 1)
    assert len(busy.take_all(Publish)) == 1
    assert len(free.take_all(Publish)) == 9


def test_a_member_that_does_not_read_is_skipped(broker: MemoryBroker) -> None:
    slow, fast = members(broker, 2)
    slow.writable = False
    publisher = broker.connected("p")
    for number in range(6):
        publisher.publish("t/x", bytes((number,)))
    assert len(fast.take_all(Publish)) == 6


def test_a_member_that_is_away_is_skipped_while_others_are_there(broker: MemoryBroker) -> None:
    away, here = members(broker, 2, qos=1)
    away.drop()
    publisher = broker.connected("p")
    for number in range(6):
        publisher.publish("t/x", bytes((number,)), 1)
    assert len(here.take_all(Publish)) == 6
    assert broker.connected("m0", clean_start=False, properties=KEEP).take() == []


def test_when_all_members_are_away_the_messages_wait(broker: MemoryBroker) -> None:
    for client in members(broker, 2, qos=1):
        client.drop()
    publisher = broker.connected("p")
    for number in range(6):
        publisher.publish("t/x", bytes((number,)), 1)
    arrived = []
    for name in ("m0", "m1"):
        client = broker.connected(name, clean_start=False, properties=KEEP)
        arrived += [packet.payload[0] for packet in client.take_all(Publish)]
    assert sorted(arrived) == list(range(6))


def test_unsubscribing_leaves_the_group(broker: MemoryBroker) -> None:
    leaving, staying = members(broker, 2)
    assert leaving.unsubscribe("t/#", "$share/g/t/#").reason_codes == [0x11, 0]
    publisher = broker.connected("p")
    for _ in range(4):
        publisher.publish("t/x")
    assert leaving.take() == []
    assert len(staying.take_all(Publish)) == 4


def test_members_of_all_versions(broker: MemoryBroker) -> None:
    clients = [broker.connected(f"c{level}", level) for level in (3, 4, 5)]
    for client in clients:
        client.subscribe("$share/g/t")
    for _ in range(9):
        broker.connected("p").publish("t")
    assert sum(len(client.take_all(Publish)) for client in clients) == 9

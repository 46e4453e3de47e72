"""The broker in memory that tests of plugins use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.packets.acks import Puback
from mqttd.packets.connect import Connect
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.publish import Publish
from mqttd.testing import MemoryBroker


class Later:
    """Admits when told to."""

    def __init__(self) -> None:
        self.answers: list[Callable[[Identity | Refused], None]] = []

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        self.answers.append(done)


def test_an_option_that_is_none() -> None:
    with pytest.raises(TypeError, match="max_inflght"):
        MemoryBroker(max_inflght=5)


def test_options_reach_the_broker_and_the_engine() -> None:
    broker = MemoryBroker(max_inflight=5, max_mqueue_len=7)
    assert broker.core.limits.max_inflight == 5
    assert broker.engine.options.max_mqueue_len == 7


def test_taking_what_is_not_there() -> None:
    client = MemoryBroker().connected("c")
    with pytest.raises(AssertionError, match=r"expected one Pingresp, received \[\]"):
        client.take_one(Pingresp)
    client.subscribe("t")
    client.publish("t", b"", 1)
    with pytest.raises(AssertionError, match="expected only Publish"):
        client.take_all(Publish)


def test_a_refusal_is_no_connection() -> None:
    broker = MemoryBroker(max_clientid_len=3)
    with pytest.raises(AssertionError, match="refused"):
        broker.connected("long")
    assert broker.clients == []


def test_time_passes_only_when_told() -> None:
    broker = MemoryBroker()
    client = broker.connected("c", keep_alive=10)
    start = broker.now
    client.send(Pingreq())
    assert broker.now == start
    broker.advance(14.5)
    assert broker.now == start + 14.5
    assert not client.closed
    broker.advance(1_000_000)
    assert broker.now == start + 1_000_014.5
    assert client.closed


def test_a_client_that_does_not_read_receives_nothing() -> None:
    client = MemoryBroker().connected("c")
    client.writable = False
    client.send(Pingreq())
    assert client.take() == []
    client.writable = True
    assert client.take() == [Pingresp()]


def test_what_the_broker_does_not_read_waits() -> None:
    later = Later()
    broker = MemoryBroker(admission=later)
    client = broker.client()
    client.send(Connect("c", 5), Publish(b"t", b"", 1, packet_id=1))
    client.send(Publish(b"t", b"", 1, packet_id=2))
    assert client.take() == []
    later.answers[0](Identity())
    broker.turn()
    answers = [packet for packet in client.take() if isinstance(packet, Puback)]
    assert [packet.packet_id for packet in answers] == [1, 2]


def test_sending_on_a_closed_connection() -> None:
    client = MemoryBroker().connected("c")
    client.drop()
    with pytest.raises(AssertionError, match="closed"):
        client.send(Pingreq())


def test_two_runs_are_alike() -> None:
    names = set()
    for _ in range(3):
        properties = MemoryBroker().client().connect(client_id="").properties
        assert properties is not None
        names.add(properties.assigned_client_identifier)
    assert len(names) == 1

"""Peers that ask for too much."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.ping import Pingreq, Pingresp
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode
from mqttd.packets.suback import Suback
from mqttd.packets.subscribe import Subscribe, SubscribeTopic


def subscribe_many(client: Any, count: int, each: int = 1_000) -> list[int]:
    """Ask for ``count`` filters, ``each`` in one packet; the codes of all answers."""
    codes: list[int] = []
    for start in range(0, count, each):
        topics = [SubscribeTopic(f"many/{number}/+", 0) for number in range(start, start + each)]
        client.send(Subscribe(1, topics))
        answer = client.take()
        assert isinstance(answer, Suback)
        codes += answer.reason_codes
    return codes


def test_a_hundred_thousand_subscriptions_of_which_a_thousand_are_allowed(
    broker: Any, client: Any, resident: Any
) -> None:
    """0x97 for the rest, and another client is answered all the while."""
    running = broker("mqtt.max_subscriptions = 1000")
    greedy = client(running, level=5).connect("greedy")
    other = client(running).connect("other")
    before = resident(running)
    codes: list[int] = []
    for _ in range(10):
        codes += subscribe_many(greedy, 10_000)
        other.sock.settimeout(1)
        other.send(Pingreq())
        assert isinstance(other.take(), Pingresp)
    assert codes[:1_000] == [0] * 1_000
    # The same thousand again replace themselves; the others are one too many each time.
    assert codes.count(0) == 10 * 1_000
    assert codes.count(ReasonCode.QUOTA_EXCEEDED) == 90_000
    assert resident(running) - before < 8


def test_without_a_limit_memory_is_linear(broker: Any, client: Any, resident: Any) -> None:
    """100,000 filters cost about 1 KB each, and all come back when the client goes."""
    running = broker()
    client(running).connect("warm")
    greedy = client(running, level=5).connect("greedy")
    before = resident(running)
    assert set(subscribe_many(greedy, 20_000)) == {0}
    first = resident(running) - before
    assert set(subscribe_many(greedy, 100_000)) == {0}
    whole = resident(running) - before
    assert whole < 130
    assert whole < 7 * max(first, 10)


@pytest.mark.parametrize("kind", ["tcp", "ssl", "ws"])
def test_a_packet_of_256_mb(broker: Any, client: Any, resident: Any, kind: str) -> None:
    """Refused from its header: nothing of it is kept, and the reason is said."""
    running = broker()
    giant = client(running, kind, 5).connect("giant")
    before = resident(running)
    giant.send_bytes(b"\x30\xff\xff\xff\x7f" + bytes(60_000))
    answer = giant.take()
    assert isinstance(answer, Disconnect)
    assert answer.reason_code == ReasonCode.PACKET_TOO_LARGE
    assert resident(running) - before < 4


@pytest.mark.parametrize("kind", ["tcp", "ssl", "ws"])
def test_a_client_that_still_sends_gets_the_reason(broker: Any, client: Any, kind: str) -> None:
    """The connection lingers: no reset wipes the DISCONNECT out of the client's buffers."""
    running = broker()
    sender = client(running, kind, 5).connect("sender")
    stream = b"\x30\xff\xff\xff\x7f" + bytes(100_000)
    with contextlib.suppress(BrokenPipeError):
        for _ in range(20):
            sender.send_bytes(stream)
    answer = sender.take()
    assert isinstance(answer, Disconnect)
    assert answer.reason_code == ReasonCode.PACKET_TOO_LARGE
    assert sender.take() is None


@pytest.mark.parametrize("kind", ["tcp", "ssl"])
def test_a_refused_connect_that_still_sends_gets_its_connack(
    broker: Any, client: Any, kind: str
) -> None:
    running = broker("mqtt.max_clientid_len = 23")
    sender = client(running, kind, 5)
    from mqttd.packets.connack import Connack
    from mqttd.packets.connect import Connect

    more = encode(Publish(b"t", bytes(50_000)), 5) * 20
    with contextlib.suppress(BrokenPipeError):
        sender.send_bytes(encode(Connect("x" * 30, 5), 5) + more)
    answer = sender.take()
    assert isinstance(answer, Connack)
    assert answer.reason_code == ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
    assert sender.take() is None

"""One rate for many connections: exact in sum, and in turns."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttd.abuse.rates import Bucket
from mqttd.abuse.shared_rate import SharedRate


@attrs.frozen
class Rate:
    """As many in so many seconds."""

    count: float
    interval: float = 1.0


@attrs.define(eq=False)
class Client:
    """Always has more to send."""

    last_bytes: int = 0
    paid_messages: int = 0
    paid_bytes: int = 0
    sent: int = 0


def run(shared: SharedRate, clients: list[Client], seconds: float, size: int) -> float:
    """Each client sends whenever it may, ``size`` bytes or (0) a message at a time."""

    def go(client: Client, now: float) -> None:
        while True:
            client.sent += 1
            if size:
                more = shared.received(client, now, size)
            else:
                more = shared.message(client, now)
            if not more:
                shared.join(client)
                return

    now = 0.0
    for client in clients:
        go(client, now)
    while now < seconds:
        delay = shared.delay(now)
        assert delay > 0.0 or shared.delay(now) == 0.0
        now += max(delay, 1e-6)
        for _ in range(len(shared)):
            first = shared.next(now)
            if first is None:
                break
            assert isinstance(first, Client)
            go(first, now)
    return now


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(5, 200))
def test_messages_in_sum_and_in_turns(number: int, rate: int) -> None:
    clients = [Client() for _ in range(number)]
    now = run(SharedRate(Bucket(Rate(rate)), None), clients, 20.0, 0)
    total = sum(client.sent for client in clients)
    assert total <= rate + now * rate + number + 1
    assert total >= now * rate - 16 * number
    most, least = (choose(client.sent for client in clients) for choose in (max, min))
    assert most - least <= rate + 32


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(1_000, 100_000), st.integers(100, 65_536))
def test_bytes_in_sum_and_in_turns(number: int, rate: int, size: int) -> None:
    clients = [Client() for _ in range(number)]
    now = run(SharedRate(None, Bucket(Rate(rate))), clients, 100.0, size)
    total = sum(client.sent for client in clients) * size
    assert total <= rate + now * rate + (number + 1) * size
    assert total >= now * rate - (number + 1) * size
    most, least = (choose(client.sent for client in clients) for choose in (max, min))
    assert most - least <= rate / size + 2


def test_one_that_sends_little_is_let_on_before_those_that_send_much() -> None:
    shared = SharedRate(Bucket(Rate(10)), None)
    greedy, modest = Client(), Client()
    for _ in range(9):
        assert shared.message(greedy, 0.0)
    assert not shared.message(greedy, 0.0)
    shared.join(greedy)
    assert not shared.message(modest, 0.0)
    shared.join(modest)
    assert shared.next(0.0) is None
    assert shared.next(0.2) is greedy
    assert shared.message(greedy, 0.2) is False
    shared.join(greedy)
    assert shared.next(0.3) is modest


def test_who_leaves_gives_back_what_it_paid_ahead() -> None:
    shared = SharedRate(Bucket(Rate(2)), Bucket(Rate(1000)))
    client, other = Client(), Client()
    shared.message(client, 0.0)
    shared.message(client, 0.0)
    shared.received(client, 0.0, 500)
    shared.join(client)
    shared.join(other)
    assert shared.next(1.0) is client
    assert (client.paid_messages, client.paid_bytes) == (2, 500)
    shared.leave(client)
    shared.leave(other)
    assert len(shared) == 0
    assert shared.delay(1.0) == 0.0

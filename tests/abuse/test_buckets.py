"""How fast a listener takes new connections."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from mqttd.abuse.rates import Bucket


@attrs.frozen
class Rate:
    """As many in so many seconds."""

    count: float
    interval: float


def test_the_first_interval_may_be_spent_at_once() -> None:
    bucket = Bucket(Rate(3, 1.0))
    assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]


def test_tokens_come_back_at_the_rate() -> None:
    bucket = Bucket(Rate(2, 1.0))
    assert [bucket.take(0.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(now) for now in (0.4, 0.5, 0.6, 0.99, 1.0)] == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_unused_tokens_do_not_pile_up() -> None:
    bucket = Bucket(Rate(2, 1.0))
    bucket.take(0.0)
    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


def test_one_a_second() -> None:
    bucket = Bucket(Rate(1, 1.0))
    assert [bucket.take(now) for now in (0.0, 0.5, 1.0, 1.5, 2.0)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_less_than_one_an_interval() -> None:
    bucket = Bucket(Rate(0.5, 1.0))
    assert [bucket.take(now) for now in (0.0, 1.0, 2.0, 3.9, 4.0)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_a_clock_that_steps_back_gives_nothing() -> None:
    bucket = Bucket(Rate(1, 1.0))
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert not bucket.take(100.5)
    assert bucket.take(101.0)


def test_rounding_costs_no_token() -> None:
    bucket = Bucket(Rate(1, 0.1))
    assert all(bucket.take(turn * 0.1) for turn in range(1000))


@given(st.integers(1, 20), st.floats(0.1, 10), st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_never_more_than_the_bucket_and_the_rate(
    count: int, interval: float, gaps: list[float]
) -> None:
    bucket = Bucket(Rate(count, interval))
    now = taken = 0.0
    for gap in gaps:
        now += gap
        taken += bucket.take(now)
        assert taken <= count + now * count / interval + 1e-6


@given(
    st.floats(0.5, 1000),
    st.floats(0.01, 100),
    st.none() | st.tuples(st.floats(0.5, 1000), st.floats(0.01, 1000)),
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 100)), max_size=50),
)
def test_who_waits_as_long_as_it_is_told_gets_what_it_waits_for(
    count: float,
    interval: float,
    burst: tuple[float, float] | None,
    events: list[tuple[float, float]],
) -> None:
    spare = None if burst is None else Rate(*burst)
    bucket = Bucket(Rate(count, interval), spare)
    now = charged = 0.0
    for gap, amount in events:
        now += gap
        bucket.charge(now, amount)
        charged += amount
    room = max(1.0, count) + (0.0 if spare is None else spare.count)
    filled = now * count / interval
    filled += 0.0 if spare is None else now * spare.count / spare.interval
    slack = 1e-6 * (1 + charged + filled)
    assert bucket.available(now) <= room
    assert bucket.available(now) <= room + filled - charged + slack
    for _ in range(1000):
        wait = bucket.wait(now)
        if wait == 0.0:
            break
        now += wait
    assert bucket.take(now)


def test_a_burst_comes_back_at_its_own_rate() -> None:
    bucket = Bucket(Rate(2, 1.0), Rate(3, 60.0))
    assert [bucket.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.take(1.0) for _ in range(3)] == [True, True, False]
    assert sum(bucket.take(61.0) for _ in range(10)) == 5


def test_what_was_charged_ahead_comes_back() -> None:
    bucket = Bucket(Rate(10, 1.0))
    bucket.charge(0.0, 15)
    assert bucket.available(0.0) == -5
    bucket.refund(5)
    assert bucket.wait(0.0) == 0.1
    assert not bucket.full(0.9)
    assert bucket.full(1.0)

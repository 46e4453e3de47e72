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

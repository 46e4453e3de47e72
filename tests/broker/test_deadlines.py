"""The heap of deadlines."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mqttd.broker.deadlines import Deadlines


def due(deadlines: Deadlines[str], now: float) -> list[str]:
    found = []
    while (key := deadlines.take_due(now)) is not None:
        found.append(key)
    return found


def test_what_is_due_comes_in_order_and_once() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key, when in (("c", 3.0), ("a", 1.0), ("b", 1.0), ("d", 4.0)):
        deadlines.set(key, when)
    assert due(deadlines, 0.9) == []
    assert due(deadlines, 3.0) == ["a", "b", "c"]
    assert due(deadlines, 3.5) == []
    assert (len(deadlines), deadlines.get("d"), deadlines.get("a")) == (1, 4.0, math.inf)


def test_a_new_time_takes_the_place_of_the_old_one() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.set("a", 5.0)
    deadlines.set("b", 9.0)
    deadlines.set("b", 2.0)
    assert due(deadlines, 4.0) == ["b"]
    assert due(deadlines, 9.0) == ["a"]


def test_cancelled_and_infinite_times_are_never_due() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key in "abc":
        deadlines.set(key, 1.0)
    deadlines.cancel("a")
    deadlines.cancel("a")
    deadlines.set("b", math.inf)
    assert due(deadlines, 1e300) == ["c"]


def test_churn_leaves_nothing_behind() -> None:
    """A client that comes and goes, and one that alternates between two times."""
    deadlines: Deadlines[str] = Deadlines()
    for number in range(10_000):
        deadlines.set("comes and goes", 1e9)
        deadlines.cancel("comes and goes")
        deadlines.set("alternates", 1e9 + number % 2)
        deadlines.set("earlier each time", 1e9 - number)
    assert len(deadlines) == 2
    assert len(deadlines._heap) < 100


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["set", "cancel", "take"]),
            st.integers(0, 4),
            st.integers(0, 6).map(float),
        ),
        max_size=300,
    )
)
def test_it_behaves_as_a_dict_with_a_minimum(steps: list[tuple[str, int, float]]) -> None:
    deadlines: Deadlines[int] = Deadlines()
    expected: dict[int, float] = {}
    for what, key, when in steps:
        if what == "set":
            deadlines.set(key, when)
            expected[key] = when
        elif what == "cancel":
            deadlines.cancel(key)
            expected.pop(key, None)
        else:
            taken = deadlines.take_due(when)
            if taken is None:
                assert all(each > when for each in expected.values())
            else:
                assert expected.pop(taken) <= min([when, *expected.values()])
        assert len(deadlines) == len(expected)
        assert deadlines.get(key) == expected.get(key, math.inf)

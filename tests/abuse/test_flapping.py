"""Clients that come and go."""

from __future__ import annotations

from mqttd.abuse.flapping import Flapping


def test_more_than_the_maximum_within_the_window() -> None:
    flapping = Flapping(60.0, 3, 10)
    assert [flapping.disconnected("a", now) for now in (0.0, 1.0, 2.0, 3.0)] == [
        False,
        False,
        False,
        True,
    ]
    assert not flapping.disconnected("a", 4.0)


def test_slow_ones_are_all_right() -> None:
    flapping = Flapping(60.0, 3, 10)
    assert not any(flapping.disconnected("a", now) for now in range(0, 1000, 21))


def test_each_counts_for_itself_and_few_are_remembered() -> None:
    flapping = Flapping(60.0, 1, 5)
    assert not any(flapping.disconnected(str(name), 0.0) for name in range(100))
    assert len(flapping.table) == 5
    assert flapping.disconnected("99", 1.0)

"""Back-off that grows, and the ban at its end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mqttd.abuse.failures import FailurePolicy, Failures, Step

POLICY = FailurePolicy(max_count=3, window=60.0, backoff=5.0, max_backoff=30.0, ban_after=4)


def test_the_third_failure_in_the_window_begins_a_back_off() -> None:
    failures = Failures(POLICY, 10)
    assert [failures.failed("a", now) for now in (0.0, 10.0)] == [Step.NOTHING] * 2
    assert failures.waits("a", 10.0) == 0.0
    assert failures.failed("a", 20.0) is Step.BACK_OFF
    assert failures.waits("a", 20.0) == 5.0
    assert failures.waits("a", 24.0) == 1.0
    assert failures.waits("a", 25.0) == 0.0
    assert failures.waits("b", 20.0) == 0.0


def test_each_further_one_doubles_it_up_to_a_maximum_and_then_bans() -> None:
    failures = Failures(POLICY, 10)
    failures.failed("a", 0.0)
    failures.failed("a", 0.0)
    now, waits = 0.0, []
    steps = []
    for _ in range(5):
        steps.append(failures.failed("a", now))
        waits.append(failures.waits("a", now))
        now += waits[-1]
    assert waits == [5.0, 10.0, 20.0, 30.0, 0.0]
    assert steps == [Step.BACK_OFF] * 4 + [Step.BAN]


def test_quiet_for_a_window_forgives() -> None:
    failures = Failures(POLICY, 10)
    assert [failures.failed("a", now) for now in (0.0, 59.0, 61.0, 122.0)] == [
        Step.NOTHING,
        Step.NOTHING,
        Step.NOTHING,
        Step.NOTHING,
    ]


def test_success_forgives() -> None:
    failures = Failures(POLICY, 10)
    for _ in range(3):
        failures.failed("a", 0.0)
    failures.succeeded("a")
    assert failures.waits("a", 0.0) == 0.0


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 5)), max_size=200))
def test_never_more_than_the_table_holds_and_never_longer_than_the_maximum(
    events: list[tuple[int, float]],
) -> None:
    failures = Failures(POLICY, 8)
    now = 0.0
    for number, gap in events:
        now += gap
        failures.failed(str(number), now)
        assert len(failures.table) <= 8
        assert failures.waits(str(number), now) <= POLICY.max_backoff

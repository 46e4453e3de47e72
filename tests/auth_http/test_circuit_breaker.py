"""A server is left alone after failures, and tried with one question."""

from __future__ import annotations

from mqttd.http_backend.circuit_breaker import CLOSED, HALF_OPEN, OPEN, CircuitBreaker


def opened(failures: int = 2, reset: float = 10.0) -> CircuitBreaker:
    breaker = CircuitBreaker(failures, reset)
    for _ in range(failures):
        breaker.failed(0.0)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = CircuitBreaker(3, 10.0)
    assert [breaker.failed(0.0), breaker.failed(0.0)] == [False, False]
    assert breaker.succeeded() is False
    assert [breaker.failed(0.0), breaker.failed(0.0), breaker.failed(0.0)] == [False, False, True]
    assert breaker.state == OPEN
    assert not breaker.may_ask(9.9)


def test_one_question_tries() -> None:
    breaker = opened()
    assert breaker.may_ask(10.0)
    assert breaker.state == HALF_OPEN
    assert not breaker.may_ask(10.0)
    assert breaker.succeeded() is True
    assert breaker.state == CLOSED
    assert breaker.may_ask(10.0)


def test_a_failed_try_begins_another_pause() -> None:
    breaker = opened()
    assert breaker.may_ask(10.0)
    assert breaker.failed(11.0) is False
    assert not breaker.may_ask(20.9)
    assert breaker.may_ask(21.0)


def test_late_failures_do_not_make_the_pause_longer() -> None:
    breaker = opened()
    breaker.failed(9.0)
    assert breaker.may_ask(10.0)


def test_a_try_given_up_lets_another_one_try() -> None:
    breaker = opened()
    assert breaker.may_ask(10.0)
    breaker.undecided(10.5)
    assert breaker.may_ask(10.5)
    assert not breaker.may_ask(10.5)


def test_what_is_given_up_in_good_times_changes_nothing() -> None:
    breaker = CircuitBreaker(1, 10.0)
    breaker.undecided(0.0)
    assert breaker.state == CLOSED

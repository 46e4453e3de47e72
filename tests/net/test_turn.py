"""The end of a turn: one commit, one flush each, and errors that stop nobody else."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from mqttd.broker.broker import Broker
from mqttd.broker.limits import Limits
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions
from mqttd.net.turn import Turn
from mqttd.testing import AdmitAll


class Commits:
    """Counts commits in place of a broker."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.error: Exception | None = None

    def commit(self, now: float) -> None:
        self.at.append(now)
        error, self.error = self.error, None
        if error is not None:
            raise error


class Writes:
    def __init__(self, seen: list[str], name: str, error: Exception | None = None) -> None:
        self.seen = seen
        self.name = name
        self.error = error

    def flush(self) -> None:
        self.seen.append(self.name)
        if self.error is not None:
            raise self.error


def _turn() -> tuple[Clock, Any, Turn]:
    clock: Any = Clock()
    clock.advance(5)
    commits: Any = Commits()
    return clock, commits, Turn(clock, commits)


def test_many_touches_make_one_end() -> None:
    clock, commits, turn = _turn()
    assert [turn.touch() for _ in range(10)] == [5.0] * 10
    assert commits.at == []
    clock.advance(0)
    assert commits.at == [5.0]
    clock.advance(0)
    assert commits.at == [5.0]


def test_the_next_turn_is_another_one() -> None:
    clock, commits, turn = _turn()
    turn.touch()
    clock.advance(0)
    turn.touch()
    clock.advance(1)
    assert commits.at == [5.0, 6.0]


def test_all_that_is_dirty_is_flushed_once_in_order() -> None:
    clock, _, turn = _turn()
    seen: list[str] = []
    turn.dirty += [Writes(seen, "a"), Writes(seen, "b")]
    turn.touch()
    clock.advance(0)
    assert seen == ["a", "b"]
    assert turn.dirty == []


def test_what_gets_dirty_while_flushing_waits_for_the_next_turn() -> None:
    clock, _, turn = _turn()
    seen: list[str] = []

    class Again(Writes):
        def flush(self) -> None:
            super().flush()
            turn.dirty.append(Writes(seen, "later"))
            turn.touch()

    turn.dirty.append(Again(seen, "first"))
    turn.end()
    assert seen == ["first"]
    clock.advance(0)
    assert seen == ["first", "later"]


def test_an_error_while_writing_one_does_not_stop_the_others(world: Any) -> None:
    clock, _, turn = _turn()
    seen: list[str] = []
    turn.dirty += [Writes(seen, "a", ZeroDivisionError()), Writes(seen, "b")]
    turn.touch()
    clock.advance(0)
    assert seen == ["a", "b"]
    assert [failure.type for failure in world.failures()] == [ZeroDivisionError]


def test_an_error_of_a_completion_is_logged_and_the_rest_goes_on(world: Any) -> None:
    clock, commits, turn = _turn()
    seen: list[str] = []
    turn.dirty.append(Writes(seen, "a"))
    commits.error = ZeroDivisionError()
    turn.touch()
    clock.advance(0)
    assert seen == ["a"]
    assert [failure.type for failure in world.failures()] == [ZeroDivisionError]
    clock.advance(0)
    assert len(commits.at) == 2


def test_an_answer_that_comes_between_turns_gets_one() -> None:
    """Else what follows from it, a CONNACK maybe, waited for the next sweep."""
    clock: Any = Clock()
    engine = MemoryEngine(EngineOptions())
    broker = Broker(engine, Limits(), AdmitAll())
    turn = Turn(clock, broker)
    clock.advance(7)
    broker.answered()
    assert broker.now == 7.0
    done: list[str] = []
    engine.later(lambda: done.append("completed"))
    clock.advance(0)
    assert done == ["completed"]
    assert turn.dirty == []

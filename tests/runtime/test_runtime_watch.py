"""The watcher: settles, goes on after errors, and can be told what others have seen."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mqttd.runtime.watch import SETTLE, Watcher


class Folder:
    """Files that are looked at, and how often a change was reported."""

    def __init__(self, interval: float = 60.0) -> None:
        self.clock = Clock()
        self.content: Any = 0
        self.changes = 0
        self.pending: Deferred[None] | None = None
        self.watcher = Watcher(self.clock, lambda: self.content, self.changed, interval)
        self.watcher.start(self.content)

    def changed(self) -> Deferred[None] | None:
        self.changes += 1
        return self.pending

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.25] * int(seconds * 4))


@pytest.fixture
def folder() -> Folder:
    return Folder()


def test_nothing_happens_while_nothing_changes(folder: Folder) -> None:
    folder.pass_time(1000)
    assert folder.changes == 0


def test_a_change_is_seen_once_and_only_after_it_settled(folder: Folder) -> None:
    folder.content = 1
    folder.pass_time(60)
    assert folder.changes == 0
    folder.pass_time(SETTLE)
    assert folder.changes == 1
    folder.pass_time(1000)
    assert folder.changes == 1


def test_files_that_are_still_written_are_waited_for(folder: Folder) -> None:
    folder.pass_time(59.5)
    for step in range(1, 10):
        folder.content = step
        folder.pass_time(1)
    assert folder.changes == 0
    folder.pass_time(2)
    assert folder.changes == 1


def test_files_that_never_settle_are_read_at_last(folder: Folder) -> None:
    for step in range(1, 110):
        folder.content = step
        folder.pass_time(1)
    assert folder.changes == 1


def test_a_change_that_was_taken_back_is_none(folder: Folder) -> None:
    folder.content = 1
    folder.pass_time(60)
    folder.content = 0
    folder.pass_time(100)
    assert folder.changes == 0


def test_what_another_has_read_is_no_change(folder: Folder) -> None:
    folder.content = 1
    folder.watcher.seen(1)
    folder.pass_time(200)
    assert folder.changes == 0


def test_no_look_is_taken_while_a_change_is_worked_on(folder: Folder) -> None:
    folder.pending = Deferred()
    folder.content = 1
    folder.pass_time(70)
    folder.content = 2
    folder.pass_time(500)
    assert folder.changes == 1
    pending, folder.pending = folder.pending, None
    pending.callback(None)
    folder.pass_time(70)
    assert folder.changes == 2


def test_the_interval_can_be_changed_and_0_is_off(folder: Folder) -> None:
    folder.watcher.interval = 0
    folder.content = 1
    folder.pass_time(500)
    assert folder.changes == 0
    folder.watcher.interval = 2
    folder.pass_time(3)
    assert folder.changes == 1


def test_a_look_that_fails_is_logged_and_the_next_is_taken(folder: Folder, logged: Any) -> None:
    def fail() -> Any:
        raise RuntimeError("broken")

    folder.watcher._look = fail
    folder.pass_time(130)
    assert len([event for event in logged.events if "log_failure" in event]) == 2


def test_stop_ends_it(folder: Folder) -> None:
    folder.watcher.stop()
    assert not folder.clock.getDelayedCalls()

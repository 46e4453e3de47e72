"""A reactor that stands still, and the lines that are logged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher


class StillReactor(Clock):
    """A clock, and the readers that ports put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:  # noqa: N802 - Twisted's names
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:  # noqa: N802
        if reader in self.readers:
            self.readers.remove(reader)

    def getThreadPool(self) -> None:  # noqa: N802
        """There is none: nothing is looked up."""

    def removeWriter(self, writer: Any) -> None:  # noqa: N802
        pass


@pytest.fixture
def reactor() -> StillReactor:
    return StillReactor()


class Lines:
    """What was logged, in words."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def __iter__(self) -> Iterator[str]:
        return (formatEvent(event) for event in self.events)

    def clear(self) -> None:
        self.events.clear()


@pytest.fixture
def logged() -> Iterator[Lines]:
    lines = Lines()
    observer = cast("ILogObserver", lines.events.append)
    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)

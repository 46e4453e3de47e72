"""Events as Twisted's loggers make them, and options as the configuration has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel

from mqttd.log import trace

TIME = 1795237200.25
"""2026-11-21T05:00:00 UTC and a quarter of a second."""


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time stamps in UTC, and no packet log left on."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
    trace.switch(False)


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """Makes the event of one call of a Logger."""

    def make(format_string: str, *, level: str = "info", **fields: object) -> dict[str, Any]:
        made: list[dict[str, Any]] = []
        logger = Logger(namespace="mqttd.test", observer=made.append)  # type: ignore[arg-type]
        logger.emit(LogLevel.levelWithName(level), format_string, **fields)
        return made[0] | {"log_time": TIME}

    return make


@pytest.fixture
def failure_event() -> Callable[[BaseException], dict[str, Any]]:
    """Makes the event of ``Logger.failure`` for an exception."""

    def make(error: BaseException) -> dict[str, Any]:
        made: list[dict[str, Any]] = []
        logger = Logger(namespace="mqttd.test", observer=made.append)  # type: ignore[arg-type]
        try:
            raise error
        except type(error):
            logger.failure("it broke")
        return made[0] | {"log_time": TIME}

    return make

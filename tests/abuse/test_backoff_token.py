"""The line about a name that begins a back-off holds no token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.logger import ILogObserver, formatEvent, globalLogPublisher

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


def test_a_token_as_user_name_is_not_logged(bench: Callable[..., Any]) -> None:
    events: list[Any] = []
    observer = cast("ILogObserver", events.append)
    globalLogPublisher.addObserver(observer)
    guard = bench(failed_auth={"max_count": 2})
    for _ in range(3):
        guard.fail(TOKEN)
    globalLogPublisher.removeObserver(observer)
    [line] = [formatEvent(each) for each in events if each.get("event") == "auth_backoff"]
    assert "eyJ" not in line
    assert line.startswith("<token> [192.0.2.7] failed")
    assert all("eyJ" not in str(value) for each in events for value in each.values())

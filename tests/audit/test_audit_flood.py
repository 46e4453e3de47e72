"""A client cannot make room in the audit log for what it does not want to be seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mqttd.audit import writer
from mqttd.audit.verify import verify
from mqttd.audit.writer import AuditLog
from mqttd.events import AccessDenied, ClientConnected
from mqttd.runtime.reporting import record

WHO: dict[str, Any] = {
    "time": 1_700_000_000.0,
    "listener": "tcp:default",
    "peer": ("192.0.2.1", 1883),
    "client_id": "c",
}
DENIED = AccessDenied(**WHO, action="subscribe", topic="t", qos=0, source="rules")
CONNECTED = ClientConnected(**WHO, level=5, clean_start=True)


def test_a_flood_of_denials_hides_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING", 10)
    writes: list[Callable[[], object]] = []

    def in_thread(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        writes.append(lambda: done.callback(function(*arguments)))
        return done

    file = tmp_path / "audit.log"
    log = AuditLog(file, clock=Clock(), in_thread=in_thread)
    log.open("2026-11-21T12:00:00Z")
    for _ in range(1_000):
        record(log, DENIED)
    for _ in range(5):
        record(log, CONNECTED)
    while writes:
        writes.pop()()
    text = file.read_text()
    assert text.count('"client_connected"') == 5
    assert '"lost_before":995' in text
    assert verify([file]).records == 1 + 10

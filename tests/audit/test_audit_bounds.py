"""What clients choose makes no record of any size, and no secret gets into one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock

from mqttd.audit.door import RecordedAdmission, RecordedMethods
from mqttd.audit.fields import LONGEST_TEXT, MOST_ITEMS, fields_of
from mqttd.audit.verify import LONGEST_LINE, verify
from mqttd.audit.writer import AuditLog
from mqttd.events import (
    EVENTS,
    MESSAGES,
    AccessDenied,
    ClientRefused,
    MessageDelivered,
    MessagePublished,
    PermissionsWithdrawn,
)
from mqttd.identity import Authenticated, ConnectRequest, Identity, Refused
from mqttd.net.event_hub import EventHub
from mqttd.net.events import LoggedEvents
from mqttd.net.reported_events import ReportedEvents, ReportedMessages
from mqttd.testing import MemoryBroker, connect_request

MARKERS = ("s3cret-password", "s3cret-payload")
LONG = "\U0001f600" * 65_535  # twelve bytes of JSON each
WHO: dict[str, Any] = {
    "time": 1_700_000_000.0,
    "listener": "ssl:default",
    "peer": ("2001:db8::1", 1883),
    "client_id": LONG,
    "username": LONG,
}


def test_a_record_has_a_bound(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    log = AuditLog(file, clock=Clock(), in_thread=maybeDeferred)
    log.open("2026-11-21T12:00:00Z")
    denied = AccessDenied(**WHO, action="publish", topic=LONG, qos=0, source=LONG)
    withdrawn = PermissionsWithdrawn(**WHO, topic_filters=(LONG,) * 1000)
    for event in (denied, withdrawn):
        log.add(fields_of(event))
    lines = file.read_bytes().splitlines()
    assert max(map(len, lines)) < LONGEST_LINE
    assert verify([file]).records == 3
    AuditLog(file, clock=Clock(), in_thread=maybeDeferred).open("2026-11-21T12:00:01Z")
    assert verify([file]).records == 4
    fields = json.loads(lines[2])
    assert fields["client_id"].endswith("... (65535 characters)")
    assert len(fields["username"]) < LONGEST_TEXT + 30
    assert fields["topic_filters"][-1] == f"... and {1000 - MOST_ITEMS} more"
    assert fields["peer"] == "[2001:db8::1]:1883"


def test_what_a_plugin_says_can_always_be_written() -> None:
    odd = ClientRefused(
        **WHO | {"username": b"\xff"}, reason_code=0x87, reason="\ud800\0\n\x1b[31m"
    )
    line = json.dumps(fields_of(odd))
    assert line.isascii()
    assert line.isprintable()


def test_messages_are_never_in_the_audit_log() -> None:
    for kind in EVENTS.values():
        holds = {field.name for field in attrs.fields(kind)}
        assert not holds & {"password", "auth_data", "token"}
        assert ("payload" in holds) == (kind in (MessagePublished, MessageDelivered))
    assert {MessagePublished.name, MessageDelivered.name} <= MESSAGES


def test_no_secret_gets_into_a_record() -> None:
    hub = EventHub(Clock())
    written: list[str] = []
    hub.add(frozenset(EVENTS) - MESSAGES, lambda event: written.append(str(fields_of(event))))
    broker = MemoryBroker()
    broker.core.events = ReportedEvents(LoggedEvents(), hub)
    broker.core.messages = ReportedMessages(hub)
    client = broker.connected("c", username="ann", password=MARKERS[0].encode())
    client.subscribe("a")
    client.publish("a", MARKERS[1].encode(), qos=1, retain=True)
    client.disconnect()
    assert len(written) == 3
    assert not any(marker in line for marker in MARKERS for line in written)


class Inner:
    """Lets everybody in, in both ways."""

    def admit(self, request: ConnectRequest, done: Callable[[Any], None]) -> None:
        done(Identity())

    def start(self, request: ConnectRequest, data: bytes | None) -> Inner:
        return self

    def step(self, data: bytes | None, done: Callable[[Any], None]) -> None:
        done(Authenticated(Identity()))


@pytest.mark.parametrize("failing", [True, False])
def test_nobody_comes_in_whom_nobody_would_know_of(failing: bool) -> None:
    answers: list[Any] = []
    request = connect_request()
    RecordedAdmission(Inner(), lambda: failing).admit(request, answers.append)
    methods = RecordedMethods({"M": Inner()}, lambda: failing)
    methods["M"].start(request, None).step(None, answers.append)
    assert (list(methods), len(methods)) == (["M"], 1)
    if failing:
        assert [type(each) for each in answers] == [Refused, Refused]
        assert {each.reason_code for each in answers} == {0x88}
    else:
        assert [type(each) for each in answers] == [Identity, Authenticated]

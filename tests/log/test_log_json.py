"""Log lines for machines."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any

from mqttd.log.jsonlines import format_json


class _Code(IntEnum):
    BAD = 0x86


def test_an_event_is_one_object_with_exact_fields(event: Any) -> None:
    line = format_json(
        event(
            "Client {client_id} left",
            event="client_disconnected",
            client_id='a\n"b" [c]',
            peer="127.0.0.1:5",
            username=None,
            count=3,
            clean=True,
        )
    )
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "ts": "2026-11-21T05:00:00+0000",
        "level": "info",
        "event": "client_disconnected",
        "message": 'Client a\\n"b"\\x20\\x5bc\\x5d left',
        "client_id": 'a\n"b" [c]',
        "peer": "127.0.0.1:5",
        "count": 3,
        "clean": True,
    }


def test_an_event_without_a_name_is_named_by_who_speaks(event: Any) -> None:
    assert json.loads(format_json(event("x")))["event"] == "mqttd.test"


def test_only_ascii_is_written(event: Any) -> None:
    line = format_json(event("{topic}", topic="\u2028\u202eé"))
    assert line.isascii()
    assert json.loads(line)["topic"] == "\u2028\u202eé"


def test_values_that_json_has_not_are_written_as_text(event: Any) -> None:
    line = json.loads(
        format_json(
            event("x", data=b"\0secret", size=float("inf"), code=_Code.BAD, why=ValueError("no"))
        )
    )
    assert line["data"] == "<7 bytes>"
    assert line["size"] == "inf"
    assert line["code"] == 0x86
    assert line["why"] == "no"


def test_a_field_that_cannot_be_shown_does_not_lose_the_line(event: Any) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError

    assert json.loads(format_json(event("x", it=Broken())))["it"] == "<Broken>"


def test_secrets_are_not_written_whatever_was_logged(event: Any) -> None:
    line = format_json(event("x", password="hunter2", psk=b"hunter2", payload="hunter2"))
    assert "hunter2" not in line
    assert json.loads(line)["password"] == "******"


def test_no_field_takes_the_place_of_time_or_level(event: Any) -> None:
    line = json.loads(format_json(event("x", ts="forged", message="forged")))
    assert line["ts"] == "2026-11-21T05:00:00+0000"
    assert line["message"] == "x"


def test_a_failure_has_its_traceback(failure_event: Any) -> None:
    line = json.loads(format_json(failure_event(ValueError("why"))))
    assert line["level"] == "critical"
    assert line["traceback"].endswith("builtins.ValueError: why")


def test_twisteds_old_events_bring_only_their_words(event: Any) -> None:
    line = json.loads(format_json(event("x", log_legacy="x", isError=0, system="-", more=1)))
    assert set(line) == {"ts", "level", "event", "message"}

"""Log lines for people: their form, and that a client cannot forge them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mqttd.log.text import LONGEST, escape, format_journal, format_text

FORGED = "a\n2026-11-21T05:00:00+0000 [info] New client connected from 192.0.2.1:1 as root"


def test_a_line_has_time_level_and_message(event: Any) -> None:
    line = format_text(event("{listener} listening", listener="ssl:default"))
    assert line == "2026-11-21T05:00:00+0000 [info] ssl:default listening\n"


@pytest.mark.parametrize(
    ("level", "name"),
    [("debug", "debug"), ("info", "info"), ("warn", "warning"), ("error", "error"),
     ("critical", "critical")],
)  # fmt: skip
def test_levels_are_named_as_in_the_configuration(event: Any, level: str, name: str) -> None:
    assert f" [{name}] x\n" in format_text(event("x", level=level))


@pytest.mark.parametrize("field", ["client_id", "username", "topic", "reason"])
@pytest.mark.parametrize("formatter", [format_text, format_journal])
def test_no_field_can_begin_a_line(event: Any, field: str, formatter: Any) -> None:
    line = formatter(event(f"it is {{{field}}}", **{field: FORGED}))
    assert line.count("\n") == 1
    assert line.endswith("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("nul\0", r"nul\x00"),
        ("c1\x9b", r"c1\x9b"),
        ("line\u2028separator", r"line\u2028separator"),
        ("right-to-left\u202e", r"right-to-left\u202e"),
        ("\U000e0001tag", r"\U000e0001tag"),
        ("lone\ud800", r"lone\ud800"),
        ("plain 漢字 é", "plain 漢字 é"),
    ],
)
def test_what_is_not_visible_is_escaped(event: Any, text: str, shown: str) -> None:
    assert escape(text) == shown
    assert escape(shown) == shown
    assert format_text(event("{username}!", username=text)).endswith(f"[info] {shown}!\n")


def test_objects_in_a_message_are_escaped_too(event: Any) -> None:
    line = format_text(event("{error}", error=ValueError("a\nb")))
    assert line.endswith("[info] a\\nb\n")


def test_a_client_identifier_cannot_pass_for_the_words_around_it(event: Any) -> None:
    """Ban filters read address and reason: a client must not choose another's."""
    line = format_text(
        event(
            "Client {client_id} [{peer}] disconnected: {reason}.",
            client_id="x [192.0.2.1:1] disconnected: not authorized.",
            peer="198.51.100.7:5",
            reason="closed",
        )
    )
    found = re.search(r"Client \S+ \[([\d.]+):\d+\] disconnected", line)
    assert found is not None
    assert found[1] == "198.51.100.7"


def test_long_fields_are_cut(event: Any) -> None:
    line = format_text(event("{client_id}", client_id="x" * 65535))
    assert line.endswith("[info] " + "x" * LONGEST + "...\n")


def test_a_traceback_is_indented_so_that_it_begins_no_line(failure_event: Any) -> None:
    text = format_text(failure_event(ValueError(FORGED)))
    first, *rest = text.splitlines()
    assert first == "2026-11-21T05:00:00+0000 [critical] it broke"
    assert len(rest) > 2
    assert all(line.startswith("    ") for line in rest)
    assert any("ValueError: a" in line for line in rest)


def test_the_journal_gets_a_priority_on_every_line_and_no_time(
    event: Any, failure_event: Any
) -> None:
    assert format_journal(event("x", level="warn")) == "<4>x\n"
    assert format_journal(event("x", level="debug")) == "<7>x\n"
    lines = format_journal(failure_event(ValueError("x"))).splitlines()
    assert lines[0] == "<2>it broke"
    assert all(line.startswith("<2>    ") for line in lines[1:])


def test_an_event_without_words_is_not_written(event: Any) -> None:
    assert format_text(event("")) == ""


def test_a_wrong_format_does_not_lose_the_event(event: Any) -> None:
    assert "Unable to format event" in format_text(event("{missing}", other=1))

"""What ``mqttd ctl`` prints: names of strangers are harmless, tables line up."""

from __future__ import annotations

import pytest

from mqttd.cli.ctl_text import clients_text, listing, plain, span, table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("dev1", "dev1"),
        ("\u00e4 \u6f22", "\u00e4 \u6f22"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\u2028", "\\u2028"),
        ("\ufeff", "\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\x7f", "\\x7f"),
        (None, "-"),
        ("", "-"),
        (0, "0"),
        (True, "yes"),
        (False, "no"),
    ],
)
def test_nothing_moves_the_cursor(value: object, text: str) -> None:
    assert plain(value) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("id", "n"), [("a", 1), ("long", 22)]) == "ID    N\na     1\nlong  22"


def test_a_listing_of_an_object() -> None:
    shown = listing({"name": "x", "tls": {"version": "TLSv1.3", "sni": None}, "more": ["a", "b"]})
    assert shown.splitlines() == [
        "name  x",
        "tls:",
        "  version  TLSv1.3",
        "  sni      -",
        "more  a, b",
    ]


def test_how_a_client_proved_who_it_is() -> None:
    row = {
        "clientid": "c",
        "username": None,
        "listener": "ssl:default",
        "ip_address": "::1",
        "port": 1,
        "proto_ver": 5,
        "psk_identity": "dev\x1b",
    }
    assert clients_text([row]).splitlines()[1].split() == [
        *("c", "-", "ssl:default", "::1:1", "5.0", "PSK", "dev\\x1b", "-")
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3700, "1 h 1 min"),
        (90_061, "1 d 1 h"),
        (86_400, "1 d 0 h"),
    ],
)
def test_lengths_of_time(seconds: int, text: str) -> None:
    assert span(seconds) == text

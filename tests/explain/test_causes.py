"""The table of causes: complete, consistent, and each entry useful to an operator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mqttd
from mqttd.explain.causes import CAUSES, Cause, cause_of, kind_of
from mqttd.explain.certificate_causes import VERIFY_ERRORS
from mqttd.explain.sayings import ALERTS as RECEIVED
from mqttd.explain.sayings import SAYINGS
from mqttd.explain.suites import is_grease, suite_name
from mqttd.tls.failure import ALERTS, alert_name

NO_KINDS = {"certificate-revoked"}
"""Words of that look which end no connection."""


@pytest.mark.parametrize("cause", CAUSES.values(), ids=lambda cause: cause.kind)
def test_each_cause_has_words_and_a_cure_in_one_form(cause: Cause) -> None:
    assert CAUSES[cause.kind] is cause
    for text in (cause.words, cause.cure):
        assert text == text.strip()
        assert text.isprintable()
        assert not text.endswith(".")
    assert cause.words[0].islower()
    assert cause.words != cause.cure


def test_each_fatal_alert_of_a_client_has_a_cause_of_its_own_or_shows_its_text() -> None:
    for number in ALERTS:
        kind = kind_of("alert", alert=alert_name(number))
        assert kind == f"alert-{alert_name(number).replace('_', '-')}" or cause_of(kind).detail
    assert kind_of("alert", alert="alert_199") == "alert"


def test_every_verify_error_leads_to_a_cause() -> None:
    assert {kind for kind in VERIFY_ERRORS.values() if kind not in CAUSES} == set()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (10, "certificate-expired"),
        (9, "certificate-not-yet-valid"),
        (18, "unknown-ca"),
        (19, "unknown-ca"),
        (20, "unknown-ca"),
        (23, "revoked"),
        (26, "certificate-usage"),
        (50, "bad-certificate"),
    ],
)
def test_verify_errors(error: int, kind: str) -> None:
    assert kind_of("bad-certificate", verify_error=error) == kind


def test_an_exact_kind_is_kept() -> None:
    assert kind_of("crl-expired", verify_error=23) == "crl-expired"
    assert kind_of("certificate-revoked") == "revoked"
    assert kind_of("psk-unknown", alert="unknown_psk_identity") == "psk-unknown"


def test_a_kind_of_a_plugin_shows_its_text() -> None:
    cause = cause_of("my-own-kind")
    assert cause.kind == "my-own-kind"
    assert cause.detail


def test_names_of_suites() -> None:
    assert suite_name(0x1301) == "TLS_AES_128_GCM_SHA256"
    assert suite_name(0x00A8) == "PSK-AES128-GCM-SHA256"
    assert suite_name(0xFE01) == "0xfe01"
    assert is_grease(0x3A3A)
    assert not is_grease(0x1301)
    assert not is_grease(0x0A1A)


def test_every_word_that_ends_a_connection_is_in_the_table() -> None:
    """The words stand in the code as texts; only those that look like kinds are looked at."""
    folder = Path(mqttd.__file__).parent
    pattern = re.compile(
        r'"((?:alert|certificate|crl|ocsp|psk|revocation|timeout|websocket|no)-[a-z-]+)"'
    )
    found = {
        word
        for part in ("net", "tls", "revocation", "psk")
        for file in (folder / part).rglob("*.py")
        for word in pattern.findall(file.read_text("utf-8"))
    }
    assert "crl-unreachable" in found
    assert found - set(CAUSES) - NO_KINDS == set()


def test_every_cause_can_be_met() -> None:
    """What nothing in the broker says and no client prints has no place in the table."""
    folder = Path(mqttd.__file__).parent
    source = "".join(
        file.read_text("utf-8")
        for file in folder.rglob("*.py")
        if file.parent != folder / "explain"
    )
    met = {*VERIFY_ERRORS.values(), *dict(SAYINGS).values()}
    met |= {kind for _, kind in RECEIVED.values()}
    met |= {f"alert-{name.replace('_', '-')}" for name in ALERTS.values()}
    assert {kind for kind in set(CAUSES) - met if f'"{kind}"' not in source} == set()

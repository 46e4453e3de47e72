"""Logs and transcripts in, kinds of failures out; whatever stands in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mqttd.explain.causes import CAUSES
from mqttd.explain.reader import Reader
from mqttd.explain.sayings import ALERTS, SAYINGS
from mqttd.log.jsonlines import format_json
from mqttd.log.text import format_journal, format_text
from mqttd.net.refusals import LINES, Refusals


def kinds(*lines: str) -> list[str]:
    reader = Reader()
    reader.read(lines)
    return list(reader.found)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        # openssl s_client
        ("verify error:num=20:unable to get local issuer certificate", "alert-unknown-ca"),
        ("verify error:num=18:self signed certificate", "alert-unknown-ca"),
        ("Verify return code: 21 (unable to verify the first certificate)", "alert-unknown-ca"),
        ("Verification error: hostname mismatch", "host-mismatch"),
        ("verify error:num=10:certificate has expired", "alert-certificate-expired"),
        ("verify error:num=9:certificate is not yet valid", "server-not-yet-valid"),
        (
            "40:error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:"
            "../ssl/record/rec_layer_s3.c:1601:SSL alert number 70",
            "version",
        ),
        ("error:0A000410::sslv3 alert handshake failure:SSL alert number 40", "handshake-failure"),
        ("error:0A000418::tlsv1 alert unknown ca::SSL alert number 48", "unknown-ca"),
        ("error::SSL alert number 199", "alert"),
        ("40:error:0A000126:SSL routines:ssl3_read_n:unexpected eof while rea", ""),
        ("error:0A00010B:SSL routines:ssl3_get_record:wrong version number", "plain-port"),
        ("error:8000006F:system library:BIO_connect:Connection refused:..", "no-listener"),
        ("BIO_lookup_ex:system lib:..:746:Name or service not known", "name-unknown"),
        # mosquitto
        ("Error: A TLS error occurred.", "client-says-little"),
        ("Error: The connection was lost.", "closed-by-broker"),
        ("Error: host name verification failed.", "host-mismatch"),
        ("Error: Connection refused", "no-listener"),
        ("Connection error: Connection Refused: not authorised.", "mqtt-refused"),
        ("Unable to connect (Lookup error.).", "name-unknown"),
        ("OpenSSL Error[0]: error:0A00045B::tlsv1 alert unknown psk identity", "psk-unknown"),
        ("OpenSSL Error[0]: error:0A0003FC::ssl/tls alert bad record mac", "psk-wrong-key"),
        # gnutls-cli
        ("*** Received alert [48]: CA is unknown", "unknown-ca"),
        ("*** Received alert [116]: Certificate is required", "no-certificate"),
        ("- Status: The certificate is NOT trusted. The certificate issuer is unknown. ",
         "alert-unknown-ca"),
        ("- Status: The certificate is NOT trusted. The name in the certificate does not match "
         "the expected. ", "host-mismatch"),
        ("- Status: The certificate is NOT trusted. The certificate chain uses expired "
         "certificate. ", "alert-certificate-expired"),
        # Python
        ("ssl.SSLError: [SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:1006)",
         "unknown-ca"),
        ("[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired",
         "certificate-expired"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required",
         "no-certificate"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, "
         "certificate is not valid for 'foo'. (_ssl.c:1006)", "host-mismatch"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1006)",
         "alert-certificate-unknown"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "no-listener"),
        # Java, Go, Node, Erlang
        ("javax.net.ssl.SSLHandshakeException: Received fatal alert: bad_certificate",
         "certificate-refused"),
        ("PKIX path building failed: unable to find valid certification path to requested target",
         "alert-unknown-ca"),
        ("remote error: tls: protocol version not supported", "version"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority",
         "alert-unknown-ca"),
        ("Error: unable to verify the first certificate, code: UNABLE_TO_VERIFY_LEAF_SIGNATURE",
         "alert-unknown-ca"),
        ("code: 'ERR_TLS_CERT_ALTNAME_INVALID'", "host-mismatch"),
        ("TLS server: In state certify at tls_handshake.erl:966 generated SERVER ALERT: Fatal - "
         "Unknown CA", "unknown-ca"),
        ("TLS server: In state wait_finished received CLIENT ALERT: Fatal - Unknown CA",
         "alert-unknown-ca"),
        # nothing to say
        ("Verify return code: 0 (ok)", ""),
        ("Verification: OK", ""),
        ("    Start Time: 1700000000", ""),
        ("{not json", ""),
        ('{"event": "client_connected", "message": "x alert unknown ca"}', ""),
    ],
)  # fmt: skip
def test_what_clients_say(line: str, kind: str) -> None:
    assert kinds("CONNECTED(00000003)", line, "---") == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (
            ["verify error:num=20:unable to get local issuer certificate",
             "SSL routines:tls_post_process_server_certificate:certificate verify failed:",
             "Verify return code: 20 (unable to get local issuer certificate)"],
            "alert-unknown-ca",
        ),
        (
            ["Unable to connect (A TLS error occurred.).", "Error: host name verification failed.",
             "OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed"],
            "host-mismatch",
        ),
        (
            ["Unable to connect (A TLS error occurred.).",
             "OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed"],
            "alert-certificate-unknown",
        ),
    ],
)  # fmt: skip
def test_vague_words_near_exact_ones_do_not_count(lines: list[str], kind: str) -> None:
    assert kinds(*lines) == kinds(*reversed(lines)) == [kind]
    assert kinds(lines[0], *["---"] * 20, "Error: The connection was lost.")[1:] == [
        "closed-by-broker"
    ]


def test_every_saying_leads_to_a_cause() -> None:
    leads = {kind for _, kind in SAYINGS} | {kind for _, kind in ALERTS.values()}
    assert leads - set(CAUSES) == set()
    assert all(words == words.lower() and "_" not in words for words, _ in SAYINGS)


@pytest.fixture
def log() -> list[Any]:
    """Events of a broker that refused seven connections from one peer and one from another."""
    events: list[Any] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    refusals = Refusals(Clock())
    for _ in range(LINES + 2):
        refusals.refused(listener="ssl:default", peer=("192.0.2.7", 1), kind="psk-unknown")
    refusals.refused(listener="tcp:default", peer=("2001:db8::1", 1), kind="tls-to-plain")
    refusals.flush()
    globalLogPublisher.removeObserver(observer)
    return events


@pytest.mark.parametrize("form", [format_text, format_json, format_journal])
def test_our_own_log_is_counted_exactly(log: list[Any], form: Any) -> None:
    reader = Reader()
    reader.read([form(event) for event in log])
    psk, plain = reader.found.values()
    assert (psk.cause.kind, psk.count, psk.first_line) == ("psk-unknown", LINES + 2, 1)
    assert psk.peers == {"192.0.2.7"}
    assert (plain.cause.kind, plain.count, plain.first_line) == ("tls-to-plain", 1, LINES + 1)
    assert plain.peers == {"2001:db8::1"}


def test_a_peer_cannot_choose_the_kind(log: list[Any]) -> None:
    line = json.loads(format_json(log[0]))["message"]
    forged = line.replace("; ", "").replace("known.", "known; SNI x. Cure: y [reset] z.")
    assert kinds(forged) == ["psk-unknown"]


@given(
    st.lists(st.text(max_size=60) | st.sampled_from([words for words, _ in SAYINGS]), max_size=9)
)
def test_anything_can_be_read(lines: list[str]) -> None:
    reader = Reader()
    reader.read(lines)
    assert sum(found.count for found in reader.found.values()) <= len(lines)


def test_deep_json_and_long_lines_do_no_harm() -> None:
    assert kinds("{" + '"a":[' * 50_000, "x" * 1_000_000) == []

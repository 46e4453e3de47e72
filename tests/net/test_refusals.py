"""Refused connections: one line each with all facts, few lines for one peer, exact counts."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any, cast

import attrs
import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher

from mqttd.log.jsonlines import format_json
from mqttd.log.text import format_text
from mqttd.net.refusals import (
    LINES,
    LOCAL_LINES,
    MOST_KINDS,
    MOST_LINES,
    MOST_PEERS,
    OTHER,
    WINDOW,
    Refusals,
)


@attrs.frozen
class Hello:
    """A ClientHello as far as refusals care."""

    sni: str | None = None
    versions: tuple[int, ...] = ()
    suites: tuple[int, ...] = ()
    alpn: tuple[bytes, ...] = ()


class World:
    """Refusals, their clock and their log."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.log: list[Any] = []
        self.refusals = Refusals(self.clock)

    def refuse(self, host: str = "192.0.2.7", kind: str = "reset", **facts: Any) -> None:
        self.refusals.refused(listener="ssl:default", peer=(host, 4711), kind=kind, **facts)

    def texts(self) -> list[str]:
        """The lines so far, without time and level; then none."""
        texts = [format_text(event).partition("] ")[2].rstrip("\n") for event in self.log]
        self.log.clear()
        return texts

    def fields(self) -> dict[str, Any]:
        """The JSON form of the only line."""
        (event,) = self.log
        fields: dict[str, Any] = json.loads(format_json(event))
        self.log.clear()
        return fields


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    observer = cast("ILogObserver", made.log.append)
    globalLogPublisher.addObserver(observer)
    yield made
    globalLogPublisher.removeObserver(observer)


def test_one_line_says_who_where_why_and_what_to_do(world: World) -> None:
    world.refuse(kind="plain-mqtt")
    (line,) = world.texts()
    assert line.startswith(
        "TLS handshake refused on ssl:default from 192.0.2.7:4711: the client speaks MQTT without "
        "TLS, and this port wants TLS. Cure: turn TLS on in the client"
    )
    assert line.endswith(" [plain-mqtt]")


def test_what_has_nothing_to_do_with_tls_does_not_speak_of_it(world: World) -> None:
    world.refuse(kind="max-connections", text="2")
    (line,) = world.texts()
    assert line.startswith("connection refused on ssl:default from 192.0.2.7:4711: ")
    assert "allows: 2. Cure: " in line
    world.refuse(kind="access-rules")
    assert world.fields()["event"] == "connection_refused"


def test_facts_of_the_hello(world: World) -> None:
    hello = Hello("broker.example", (0x5A5A, 0x0302, 0x0301), (0x00FF, 0x002F, 0xFE01))
    world.refuse(kind="version", hello=hello, alert="protocol_version", alert_sent=True)
    (line,) = world.texts()
    assert (
        "; sent alert protocol_version; SNI broker.example; offered TLS 1.1, TLS 1.0 and 2 "
        in (line)
    )
    world.refuse(kind="no-shared-cipher", hello=hello, text="client and server share none")
    fields = world.fields()
    assert fields["offered_suites"] == "AES128-SHA, 0xfe01"
    assert fields["event"] == "tls_refused"
    assert "(AES128-SHA, 0xfe01)" in fields["message"]
    assert fields["sni"] == "broker.example"


def test_offered_protocols_where_none_is_spoken(world: World) -> None:
    world.refuse(kind="alpn", hello=Hello(alpn=(b"h2", b"\xff\n")))
    fields = world.fields()
    assert fields["offered_alpn"] == "h2, \\xff\\n"
    assert "; offered h2, \\xff\\n. Cure: " in fields["message"]


def test_facts_of_the_certificate(world: World, pki: Any) -> None:
    stranger = pki.stranger.cert
    world.refuse(kind="bad-certificate", verify_error=20, certificate=stranger)
    fields = world.fields()
    assert fields["kind"] == "unknown-ca"
    assert fields["subject"] == "CN=stranger"
    assert fields["issuer"] == "CN=Other Root"
    assert fields["serial"] == f"{stranger.serial_number:x}"
    assert "issuer CN=Other Root" in fields["message"]


def test_an_expired_certificate_has_its_dates(world: World, pki: Any) -> None:
    end = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
    late = pki.root.client("late", begin=end - datetime.timedelta(9), end=end)
    world.refuse(kind="certificate-expired", certificate=late.cert)
    (line,) = world.texts()
    assert "valid 2025-12-24 03:04 to 2026-01-02 03:04 UTC" in line


def test_the_identity_of_a_key_is_shown_safely(world: World) -> None:
    world.refuse(kind="psk-unknown", psk_identity=b"dev\x1b[2J\xff" + b"x" * 4000)
    (line,) = world.texts()
    assert "PSK identity 'dev\\x1b[2J\\xff" in line
    assert len(line) < 1000


def test_a_peer_cannot_forge_a_line(world: World) -> None:
    world.refuse(kind="websocket", text="a\nb", sni="x\r\n2026 [info] y")
    (line,) = world.texts()
    assert line.isprintable()
    assert "a\\nb" in line


def test_an_alert_of_the_client_and_one_of_ours_are_told_apart(world: World) -> None:
    world.refuse(kind="alert", alert="unknown_ca")
    fields = world.fields()
    assert fields["kind"] == "alert-unknown-ca"
    assert "etc/certs/cacert.pem" in fields["message"]
    assert "received alert unknown_ca" in fields["message"]
    world.refuse(kind="record", alert="bad_record_mac", alert_sent=True)
    assert world.fields()["kind"] == "record"


def test_a_peer_gets_few_lines_a_minute_and_then_a_count(world: World) -> None:
    for _ in range(LINES):
        world.refuse()
    assert len(world.texts()) == LINES
    for kind in ("reset", "reset", "version"):
        world.refuse(kind=kind)
    world.refuse("192.0.2.8")
    assert len(world.texts()) == 1
    world.clock.advance(WINDOW)
    assert world.texts() == ["3 more refused from 192.0.2.7 within 60 s: reset 2, version 1"]
    world.refuse()
    assert len(world.texts()) == 1


def test_one_ipv6_network_counts_as_one_peer(world: World) -> None:
    for host in range(LINES + 3):
        world.refuse(f"2001:db8:0:1::{host:x}")
    world.refuse("2001:db8:0:2::1")
    assert len(world.texts()) == LINES + 1
    world.clock.advance(WINDOW)
    assert world.texts() == ["3 more refused from 2001:db8:0:1::/64 within 60 s: reset 3"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_tries_on_this_machine_are_shown_for_longer(world: World, host: str) -> None:
    for _ in range(LOCAL_LINES + 1):
        world.refuse(host)
    assert len(world.texts()) == LOCAL_LINES


def test_mapped_ipv4_addresses_are_ipv4_addresses(world: World) -> None:
    for _ in range(LINES):
        world.refuse("::ffff:192.0.2.7")
    world.refuse("192.0.2.7")
    world.refuse("fe80::1%eth0")
    assert len(world.texts()) == LINES + 1


def test_peers_remembered_are_bounded_and_nothing_is_lost(world: World) -> None:
    for number in range(LINES + 2):
        world.refuse("198.51.100.1")
        assert number >= 0
    world.texts()
    for number in range(MOST_PEERS):
        world.refuse(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(world.refusals._peers) == MOST_PEERS
    assert any("2 more refused from 198.51.100.1" in line for line in world.texts())
    assert world.refusals.counts() == {("ssl:default", "reset"): LINES + 2 + MOST_PEERS}


def test_an_attack_from_many_addresses_does_not_fill_the_disk(world: World) -> None:
    for number in range(MOST_LINES + 50):
        world.refuse(f"10.0.{number >> 8}.{number & 255}")
    assert len(world.texts()) == MOST_LINES
    world.clock.advance(1)
    world.refuse("192.0.2.7")
    flood, line = world.texts()
    assert flood == "50 more refused within a second, from many addresses"
    assert "192.0.2.7" in line


def test_a_stop_writes_what_was_held_back_and_leaves_no_timer(world: World) -> None:
    for _ in range(LINES + 1):
        world.refuse()
    world.texts()
    world.refusals.flush()
    assert world.texts() == ["1 more refused from 192.0.2.7 within 60 s: reset 1"]
    assert world.clock.getDelayedCalls() == []


def test_counts_are_by_listener_and_kind_and_bounded(world: World) -> None:
    world.refuse(kind="alert", alert="unknown_ca")
    world.refuse(kind="reset")
    world.refuse(kind="reset")
    assert world.refusals.counts() == {
        ("ssl:default", "alert-unknown-ca"): 1,
        ("ssl:default", "reset"): 2,
    }
    for number in range(MOST_KINDS + 10):
        world.refuse(kind=f"plugin-{number}")
    counts = world.refusals.counts()
    assert len(counts) == MOST_KINDS + 1
    assert counts["ssl:default", OTHER] == 12

"""Keep Alive arithmetic, Packet Identifiers, names from certificates."""

from __future__ import annotations

import math

import pytest

from mqttd.broker.certificate_identity import SOURCES, certificate_value
from mqttd.broker.inflight import Flight, next_packet_id
from mqttd.broker.keep_alive import allowance, effective_keep_alive
from mqttd.broker.limits import Limits
from mqttd.broker.message import Message
from mqttd.identity import PeerCertificate
from mqttd.packets.errors import MqttError
from mqttd.packets.reason_codes import ReasonCode

CERTIFICATE = PeerCertificate(
    der=b"\x30\x00",
    pem="-----BEGIN CERTIFICATE-----",
    common_name="device-1",
    subject="CN=device-1,O=Acme",
    issuer="CN=CA",
    serial=7,
    not_before=0,
    not_after=1,
    san_dns=("d1.example", "d2.example"),
    san_uri=("urn:dev:1",),
)


def test_keep_alive_is_one_and_a_half_times_and_zero_is_never() -> None:
    assert allowance(60, Limits()) == 90.0
    assert allowance(0, Limits()) == math.inf


def test_server_keep_alive_wins_for_clients_that_can_be_told() -> None:
    assert effective_keep_alive(600, 5, Limits(server_keepalive=30)) == 30
    assert effective_keep_alive(600, 4, Limits(server_keepalive=30)) == 600
    assert effective_keep_alive(600, 5, Limits()) == 600


def test_packet_identifiers_wrap_skip_zero_and_skip_what_is_in_use() -> None:
    flight = {
        number: Flight(number, Message(b"a", b""), 1, False, (), None) for number in (65_535, 1, 2)
    }
    assert next_packet_id(flight, 65_534) == 3
    assert next_packet_id({}, 65_535) == 1


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("cn", "device-1"),
        ("dn", "CN=device-1,O=Acme"),
        ("crt", "3000"),
        ("pem", "-----BEGIN CERTIFICATE-----"),
        ("md5", "a46c3b54f2c9871cd81daf7a932499c0"),
        ("san_dns", "d1.example"),
        ("san_uri", "urn:dev:1"),
    ],
)
def test_each_source_gives_its_part(source: str, value: str) -> None:
    assert source in SOURCES
    assert certificate_value(CERTIFICATE, source) == value


@pytest.mark.parametrize("certificate", [None, CERTIFICATE])
def test_a_missing_certificate_or_part_is_refused(certificate: PeerCertificate | None) -> None:
    """Never fall back to the name in CONNECT: anybody could take any name."""
    with pytest.raises(MqttError) as caught:
        certificate_value(certificate, "san_email")
    assert caught.value.reason_code == ReasonCode.NOT_AUTHORIZED

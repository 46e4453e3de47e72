"""Whom a rule is about: each condition, alone and combined."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from mqttd.authz.who import Who
from mqttd.authz.who_reader import read_who
from mqttd.identity import AccessRequest, PeerCertificate

Ask = Callable[..., AccessRequest]

CERTIFICATE = PeerCertificate(
    b"der",
    "",
    "sensor-1,second",
    "CN=sensor-1,O=Acme",
    "CN=Acme CA",
    0xA1B2,
    0.0,
    0.0,
    san_dns=("Sensor-1.example.org",),
    san_uri=("urn:x:1",),
    san_email=("a@example.org",),
)
FINGERPRINT = hashlib.sha256(b"der").hexdigest()


def who(value: Any) -> Who:
    wrong: list[tuple[str, str, str]] = []
    made = read_who(value, lambda *said: wrong.append(said))
    assert wrong == []
    return made


@pytest.mark.parametrize(
    ("value", "facts", "fits"),
    [
        ("all", {}, True),
        (None, {}, True),
        ({"username": "user"}, {}, True),
        ({"username": "other"}, {}, False),
        ({"username": ["other", "us?r"]}, {}, True),
        ({"username": "*"}, {"username": None}, False),
        ({"username": "*"}, {"username": ""}, False),
        ({"username": 42}, {"username": "42"}, True),
        ({"clientid": "cl*"}, {}, True),
        ({"clientid": "CLIENT"}, {}, False),
        ({"listener": "ssl:*"}, {"listener": "ssl:default"}, True),
        ({"listener": "ssl:*"}, {}, False),
        ({"ipaddr": "127.0.0.0/8"}, {}, True),
        ({"ipaddr": ["10.0.0.1", "127.0.0.1"]}, {}, True),
        ({"ipaddr": "10.0.0.0/8"}, {}, False),
        ({"ipaddr": "10.0.0.0/8"}, {"host": "::ffff:10.1.2.3"}, True),
        ({"ipaddr": "::ffff:10.0.0.0/104"}, {"host": "10.1.2.3"}, True),
        ({"ipaddr": "fe80::/10"}, {"host": "fe80::1%eth0"}, True),
        ({"ipaddr": "0.0.0.0/0"}, {"host": "::1"}, False),
        ({"ipaddr": "0.0.0.0/0"}, {"host": "no address"}, False),
        ({"cert_common_name": "sensor-*"}, {"certificate": CERTIFICATE}, True),
        ({"cert_common_name": "*"}, {}, False),
        ({"cert_subject": "*,O=Acme"}, {"certificate": CERTIFICATE}, True),
        ({"cert_issuer": "CN=Acme CA"}, {"certificate": CERTIFICATE}, True),
        ({"cert_san_dns": "sensor-*.EXAMPLE.org"}, {"certificate": CERTIFICATE}, True),
        ({"cert_san_uri": "urn:x:*"}, {"certificate": CERTIFICATE}, True),
        ({"cert_san_uri": "urn:X:*"}, {"certificate": CERTIFICATE}, False),
        ({"cert_san_email": "*@example.org"}, {"certificate": CERTIFICATE}, True),
        ({"cert_san_email": "*"}, {}, False),
        ({"cert_serial": "A1:B2"}, {"certificate": CERTIFICATE}, True),
        ({"cert_serial": "0xa1b2"}, {"certificate": CERTIFICATE}, True),
        ({"cert_serial": "a1b3"}, {"certificate": CERTIFICATE}, False),
        ({"cert_serial": "a1b2"}, {}, False),
        ({"cert_fingerprint": FINGERPRINT.upper()}, {"certificate": CERTIFICATE}, True),
        ({"cert_fingerprint": "0" * 64}, {"certificate": CERTIFICATE}, False),
        ({"cert_fingerprint": FINGERPRINT}, {}, False),
        ({"psk_identity": "dev-*"}, {"psk_identity": b"dev-1"}, True),
        ({"psk_identity": "*"}, {"psk_identity": b"\xff"}, False),
        ({"tls_version": "TLSv1.3"}, {"tls_version": "TLSv1.3"}, True),
        ({"client_attrs": {"site": "os*"}}, {"attributes": {"site": "oslo"}}, True),
        ({"client_attrs": {"site": "*"}}, {}, False),
        ({"client_attrs": {"site": "oslo", "role": "a"}}, {"attributes": {"site": "oslo"}}, False),
        ({"username": "user", "clientid": "client"}, {}, True),
        ({"username": "user", "clientid": "other"}, {}, False),
        ([{"username": "other"}, {"clientid": "client"}], {}, True),
        ({"or": [{"username": "other"}, {"clientid": "other"}]}, {}, False),
        ({"and": [{"username": "user"}, {"not": {"clientid": "other"}}]}, {}, True),
        ({"not": {"username": "user"}}, {}, False),
        ({"not": {"username": "user"}}, {"username": None}, True),
        ({"not": [{"username": "a"}, {"username": "user"}]}, {}, False),
    ],
)
def test_conditions(ask: Ask, value: Any, facts: dict[str, Any], fits: bool) -> None:
    assert who(value).fits(ask("publish", "a", **facts)) is fits


@pytest.mark.parametrize(
    ("value", "where", "cure"),
    [
        ({"user": "a"}, ".user", "did you mean username?"),
        ({"usernam": "a"}, ".usernam", "did you mean username?"),
        ({"common_name": "a"}, ".common_name", "did you mean cert_common_name?"),
        ({"client_attr": {"a": "b"}}, ".client_attr", "did you mean client_attrs?"),
        ({"ipaddr": "10.0.0.1/8"}, ".ipaddr", 'write "10.0.0.0/8"'),
        ({"ipaddr": "10.0.0.0/255.0.0.0"}, ".ipaddr", 'write it such as "10.0.0.0/8"'),
        ({"ipaddr": "everywhere"}, ".ipaddr", 'write it such as "10.0.0.0/8"'),
        ({"username": True}, ".username", "put it in double quotes"),
        ({"username": []}, ".username", "remove it, or name somebody"),
        ({"cert_serial": "xyz"}, ".cert_serial", "openssl"),
        ({"cert_fingerprint": "ab"}, ".cert_fingerprint", "64 hexadecimal digits"),
        ({"client_attrs": {}}, ".client_attrs", "client_attrs { NAME"),
        ({"client_attrs": {"a b": "c"}}, ".client_attrs.a b", "letters"),
        ({"or": [{"username": "a"}, {"nobody": 1}]}, ".or[1].nobody", "known here"),
        ({"and": {}}, ".and", "[ { ... }, { ... } ]"),
        ({}, "", "who = all"),
        ([], "", "[ { ... }, { ... } ]"),
        ("everybody", "", "who = all"),
    ],
)
def test_what_makes_no_sense_is_told(value: Any, where: str, cure: str) -> None:
    wrong: list[tuple[str, str, str]] = []
    read_who(value, lambda *said: wrong.append(said))
    assert [each[0] for each in wrong] == [where]
    assert cure in wrong[0][2]


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong: list[tuple[str, str, str]] = []
    read_who({"user": "a", "ipaddr": ["x", "y"]}, lambda *said: wrong.append(said))
    assert [each[0] for each in wrong] == [".user", ".ipaddr", ".ipaddr"]


def test_conditions_nested_without_end_are_refused() -> None:
    value: Any = {"username": "a"}
    for _ in range(100):
        value = {"not": value}
    wrong: list[tuple[str, str, str]] = []
    read_who(value, lambda *said: wrong.append(said))
    assert [each[1] for each in wrong] == ["is nested too deep"]

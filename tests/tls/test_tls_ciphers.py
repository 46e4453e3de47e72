"""What a list of cipher suites and versions comes to, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest
from OpenSSL import SSL

from mqttd.config.errors import Finding
from mqttd.tls.ciphers import (
    LEGACY_DEFAULT,
    TLS12_DEFAULT,
    TLS13_DEFAULT,
    Suites,
    choose_suites,
    unusable_with,
)

if TYPE_CHECKING:
    from tests.conftest import Pki
    from tests.tls.conftest import Joined

BOTH = ["tlsv1.3", "tlsv1.2"]
EMQX_DEFAULT = (
    "TLS_AES_256_GCM_SHA384,TLS_AES_128_GCM_SHA256,TLS_CHACHA20_POLY1305_SHA256,"
    "TLS_AES_128_CCM_SHA256,TLS_AES_128_CCM_8_SHA256,ECDHE-ECDSA-AES256-GCM-SHA384,"
    "ECDHE-RSA-AES256-GCM-SHA384,ECDHE-ECDSA-AES256-SHA384,ECDHE-RSA-AES256-SHA384,"
    "ECDH-ECDSA-AES256-GCM-SHA384,ECDH-RSA-AES256-GCM-SHA384,DHE-DSS-AES256-GCM-SHA384,"
    "AES256-GCM-SHA384,AES128-SHA"
)


def choose(
    names: Sequence[str], versions: Sequence[str] = BOTH, **options: bool
) -> tuple[Suites | None, list[Finding]]:
    return choose_suites(names, versions, "ssl_options", **options)


def said(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.message) for finding in findings]


def test_preselected_suites() -> None:
    suites, findings = choose([])
    assert suites == Suites(TLS13_DEFAULT, TLS12_DEFAULT, ("tlsv1.3", "tlsv1.2"))
    assert findings == []
    suites, _ = choose([], ["tlsv1.3"])
    assert suites == Suites(TLS13_DEFAULT, (), ("tlsv1.3",))
    suites, _ = choose([], ["tlsv1.2"])
    assert suites == Suites((), TLS12_DEFAULT, ("tlsv1.2",))


def test_legacy_versions_bring_their_suites_and_a_warning() -> None:
    suites, findings = choose([], ["tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"])
    assert suites is not None
    assert suites.older == TLS12_DEFAULT + LEGACY_DEFAULT
    assert suites.cipher_list.endswith(b":!aNULL:!eNULL:@SECLEVEL=0")
    [finding] = findings
    assert finding.severity == "warning"
    assert finding.path == "ssl_options.versions"
    assert finding.message.startswith("tlsv1.1 and tlsv1 rest on SHA-1")


@pytest.mark.parametrize(
    "names",
    [
        ["TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
        ["TLS_AES_128_GCM_SHA256,ECDHE-RSA-AES128-GCM-SHA256"],
        ["TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256:"],
        ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
        ["TLS_AES_128_GCM_SHA256"] * 2 + ["ECDHE-RSA-AES128-GCM-SHA256"] * 2,
    ],
)
def test_mixed_list(names: list[str]) -> None:
    suites, findings = choose(names)
    assert suites == Suites(
        ("TLS_AES_128_GCM_SHA256",), ("ECDHE-RSA-AES128-GCM-SHA256",), ("tlsv1.3", "tlsv1.2")
    )
    assert findings == []


def test_emqx_list_keeps_what_there_is_and_names_the_rest() -> None:
    suites, findings = choose([EMQX_DEFAULT])
    assert suites is not None
    assert suites.tls13[:3] == TLS13_DEFAULT[:1] + TLS13_DEFAULT[2:] + TLS13_DEFAULT[1:2]
    assert suites.older[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    unknown = [f.message for f in findings if "unknown or unavailable" in f.message]
    assert unknown == [
        "unknown or unavailable cipher suites are left out: ECDH-ECDSA-AES256-GCM-SHA384, "
        "ECDH-RSA-AES256-GCM-SHA384"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "NOPE",
        "TLS_NOPE",
        "HIGH",
        "ALL",
        "!aNULL",
        "@SECLEVEL=0",
        "ECDHE-RSA-DES-CBC3-SHA",
        "PSK",
        "TLS_AES_128_GCM_SHA256\0",
        "ü",
        "x" * 10_000,
        "RC4-MD5",
    ],
)
def test_anything_that_is_no_suite_is_named(name: str) -> None:
    suites, findings = choose([name, "ECDHE-RSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256"])
    assert suites is not None
    assert len(suites.older) == len(suites.tls13) == 1
    [finding] = findings
    assert finding.severity == "warning"
    assert name in finding.message


def test_suites_without_encryption_or_authentication_are_left_out() -> None:
    weak = ["ECDHE-ECDSA-NULL-SHA", "AECDH-AES128-SHA", "ADH-AES128-GCM-SHA256", "NULL-SHA256"]
    suites, findings = choose([*weak, "AES128-SHA256"], ["tlsv1.2"])
    assert suites is not None
    assert suites.older == ("AES128-SHA256",)
    assert said(findings) == [
        (
            "warning",
            "cipher suites without encryption or without authentication are left out: "
            + ", ".join(weak),
        )
    ]


def test_nothing_left_is_an_error() -> None:
    suites, findings = choose(["NOPE", "NULL-SHA"])
    assert suites is None
    assert [finding.severity for finding in findings] == ["warning", "warning", "error"]
    suites, findings = choose(["TLS_AES_128_GCM_SHA256"], ["tlsv1.2"])
    assert suites is None
    assert findings[-1].severity == "error"
    suites, findings = choose(["AES128-SHA256"], ["tlsv1.3"])
    assert suites is not None  # the usual ones of TLS 1.3 step in, with a notice
    assert suites.tls13 == TLS13_DEFAULT
    assert suites.older == ()


def test_psk_only_is_an_error_by_name() -> None:
    names = "PSK-AES256-GCM-SHA384,RSA-PSK-AES128-CBC-SHA,RSA-PSK-RC4-SHA"
    suites, findings = choose([names], ["tlsv1.2"])
    assert suites is None
    assert [finding.severity for finding in findings] == ["warning", "error"]
    assert "RSA-PSK-RC4-SHA" in findings[0].message
    assert "pre-shared keys are off" in findings[1].message
    assert "PSK-AES256-GCM-SHA384, RSA-PSK-AES128-CBC-SHA" in findings[1].message


def test_psk_beside_others_is_left_out_until_enabled() -> None:
    names = ["PSK-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"]
    suites, findings = choose(names, ["tlsv1.2"])
    assert suites is not None
    assert suites.older == ("ECDHE-ECDSA-AES256-GCM-SHA384",)
    assert [finding.severity for finding in findings] == ["warning"]
    suites, findings = choose(names, ["tlsv1.2"], psk_enabled=True)
    assert suites is not None
    assert suites.older == tuple(names)
    assert findings == []


def test_a_version_without_suite_drops_out() -> None:
    suites, findings = choose(["TLS_AES_128_GCM_SHA256"])
    assert suites is not None
    assert suites.versions == ("tlsv1.3",)
    assert "no usable suite for tlsv1.2" in findings[0].message
    suites, findings = choose(
        ["ECDHE-RSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256"], ["tlsv1.2"]
    )
    assert suites is not None
    assert suites.tls13 == ()
    assert "tlsv1.3 is not in versions" in findings[0].message


def test_legacy_version_without_a_suite_of_its_own() -> None:
    _, findings = choose(["ECDHE-RSA-AES128-GCM-SHA256"], ["tlsv1.2", "tlsv1.1"])
    assert any("no suite listed exists in tlsv1.1" in finding.message for finding in findings)


def test_dhe_suites_are_noticed() -> None:
    suites, findings = choose(["DHE-RSA-AES128-GCM-SHA256"], ["tlsv1.2"])
    assert suites is not None
    assert suites.dhe
    assert findings == []


def test_authentication_of_a_suite() -> None:
    names = ("ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES128-SHA", "PSK-AES128-CBC-SHA")
    suites = Suites((), names, ("tlsv1.2",))
    assert unusable_with(suites, "RSA") == ["ECDHE-ECDSA-AES128-SHA"]
    assert unusable_with(suites, "EC") == ["ECDHE-RSA-AES128-SHA", "AES128-SHA"]


@pytest.mark.parametrize("honor", [True, False])
@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_whose_order_decides(
    pki: Pki, join: Callable[..., Joined], version: int, honor: bool
) -> None:
    ciphers = [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ]
    context = pki.server_context(ciphers=ciphers, honor_cipher_order=honor)
    client = pki.client_context(
        version=version, ciphers=b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
    )
    pair = join(client, context)
    pair.run()
    assert ("AES128" in pair.server.info().cipher.replace("AES_", "AES")) is honor


@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-SHA256",
        "ECDHE-RSA-AES256-SHA",
        "AES256-GCM-SHA384",
        "AES128-SHA256",
        "AES128-SHA",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ],
)
def test_each_is_really_negotiated(pki: Pki, join: Callable[..., Joined], suite: str) -> None:
    context = pki.server_context(pki.rsa, ciphers=[suite], versions=["tlsv1.2"])
    pair = join(pki.client_context(ciphers=b"ALL"), context)
    pair.run()
    assert pair.server.info().cipher == suite

"""The start-up test of what we use of pyOpenSSL's private names, and how missing ones are told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from OpenSSL import SSL

import mqttd.tls
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.tls import native, needed
from mqttd.tls import self_test as module
from mqttd.tls.context import check_ssl_options
from mqttd.tls.self_test import TLSUnavailable, self_test

if TYPE_CHECKING:
    from tests.conftest import Pki


def test_self_test_tells_what_it_found() -> None:
    assert re.fullmatch(r"OpenSSL \d.*, TLS 1\.3 with X25519MLKEM768", self_test())


def test_a_missing_name_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Poor:
        def __getattr__(self, name: str) -> object:
            if name in {"SSL_CTX_set1_curves_list", "SSL_set_bio"}:
                raise AttributeError(name)
            return getattr(native._lib, name)

    assert needed.missing(Poor()) == [
        "naming key exchange groups (SSL_CTX_set1_curves_list)",
        "reading and writing records (SSL_set_bio)",
    ]
    assert needed.missing(None) == ["pyOpenSSL no longer shows its binding (SSL._lib, SSL._ffi)"]
    assert needed.missing(native._lib) == []
    monkeypatch.setattr(module, "missing", lambda _: ["naming key exchange groups (X)"])
    with pytest.raises(TLSUnavailable, match=r"OpenSSL .* cannot do: naming key exchange"):
        self_test()


def test_a_handshake_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise SSL.Error([("SSL routines", "", "out of order")])

    monkeypatch.setattr(module, "_try_handshake", fail)
    with pytest.raises(TLSUnavailable, match=r"handshake in memory fails: .*out of"):
        self_test()


def test_without_pre_shared_keys_only_their_users_are_refused(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poor:
        def __getattr__(self, name: str) -> object:
            if "_psk_" in name:
                raise AttributeError(name)
            return getattr(native._lib, name)

    monkeypatch.setattr(native, "binding", Poor)
    assert "without pre-shared keys (SSL_CTX_set_psk_client_callback" in self_test()
    with pytest.raises(TLSUnavailable, match="cannot do: pre-shared keys"):
        self_test(psk=True)
    suites = ["PSK-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"]
    options = pki.options(ciphers=suites, versions=["tlsv1.2"])
    psk = PskAuthenticationOptions(enable=True)
    (finding,) = check_ssl_options(options, "ssl", psk=psk)
    assert (finding.severity, finding.path) == ("error", "ssl.ciphers")
    assert "cannot do: pre-shared keys" in finding.message


def test_unknown_groups_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "GROUPS", b"NO-SUCH-GROUP")
    with pytest.raises(SSL.Error):
        native.prepare_context(SSL.Context(SSL.TLS_METHOD))
    assert native.take_errors() == []


def test_every_name_used_is_checked_at_start() -> None:
    source = Path(native.__file__).read_text()
    used = set(re.findall(r"\b_lib\.(\w+)", source))
    checked = {name for names in needed.NEEDED.values() for name in names}
    checked |= set(needed.NEEDED_FOR_PSK)
    assert used == checked


def test_private_names_are_used_in_one_file_only() -> None:
    private = re.compile(r"\b_lib\b|\b_ffi\b|\._ssl\b|\.(_into_ssl|_from_ssl|_from_raw_x509_ptr)")
    folder = Path(mqttd.tls.__file__).parent.parent
    users = {
        file.name
        for file in folder.rglob("*.py")
        for line in file.read_text().splitlines()
        if private.search(line) and '"' not in line  # the self-test names them to people
    }
    assert users == {"native.py"}


def test_verification_without_a_channel_fails_closed() -> None:
    assert native._verify(1, native._ffi.NULL) == 0

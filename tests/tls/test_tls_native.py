"""The start-up test of what we use of pyOpenSSL's private names, and how missing ones are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from OpenSSL import SSL

import mqttd.tls
from mqttd.tls import native
from mqttd.tls import self_test as module
from mqttd.tls.self_test import TLSUnavailable, self_test


def test_self_test_tells_what_it_found() -> None:
    assert re.fullmatch(r"OpenSSL \d.*, TLS 1\.3 with X25519MLKEM768", self_test())


def test_a_missing_name_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Poor:
        def __getattr__(self, name: str) -> object:
            if name in {"SSL_CTX_set1_curves_list", "SSL_set_bio"}:
                raise AttributeError(name)
            return getattr(native._lib, name)

    assert module.missing(Poor()) == [
        "naming key exchange groups (SSL_CTX_set1_curves_list)",
        "reading and writing records (SSL_set_bio)",
    ]
    assert module.missing(None) == ["pyOpenSSL no longer shows its binding (SSL._lib, SSL._ffi)"]
    assert module.missing(native._lib) == []
    monkeypatch.setattr(module, "missing", lambda _: ["naming key exchange groups (X)"])
    with pytest.raises(TLSUnavailable, match=r"OpenSSL .* cannot do: naming key exchange"):
        self_test()


def test_a_handshake_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise SSL.Error([("SSL routines", "", "out of order")])

    monkeypatch.setattr(module, "_try_handshake", fail)
    with pytest.raises(TLSUnavailable, match=r"handshake in memory fails: .*out of"):
        self_test()


def test_unknown_groups_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "GROUPS", b"NO-SUCH-GROUP")
    with pytest.raises(SSL.Error):
        native.prepare_context(SSL.Context(SSL.TLS_METHOD))
    assert native.take_errors() == []


def test_every_name_used_is_checked_at_start() -> None:
    source = Path(native.__file__).read_text()
    used = set(re.findall(r"\b_lib\.(\w+)", source))
    checked = {name for names in module._NEEDED.values() for name in names}
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

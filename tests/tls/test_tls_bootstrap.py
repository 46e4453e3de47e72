"""First start: files made once, whole, private, and never over others."""

from __future__ import annotations

import datetime
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.tls import SslOptions
from mqttd.tls import bootstrap
from mqttd.tls.bootstrap import DEFAULT_CACERTFILE, ensure_default_certificates
from mqttd.tls.context import build_server_context, check_ssl_options

if TYPE_CHECKING:
    from tests.conftest import Pki
    from tests.tls.conftest import Joined

DEFAULT = SslOptions()
EVERY_VERSION = ["tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"]


def certificates(folder: Path) -> tuple[x509.Certificate, x509.Certificate]:
    certs = folder / "etc/certs"
    server = x509.load_pem_x509_certificate((certs / "cert.pem").read_bytes())
    return server, x509.load_pem_x509_certificate((certs / "cacert.pem").read_bytes())


def test_makes_a_set_that_works(tmp_path: Path, pki: Pki, join: Callable[..., Joined]) -> None:
    notices = ensure_default_certificates(DEFAULT, tmp_path, host_name="broker.example.")
    assert len(notices) == 2
    assert f"{tmp_path}/etc/certs/cert.pem" in notices[0]
    assert "localhost, 127.0.0.1, ::1, broker.example; 365 days" in notices[0]
    assert f"{tmp_path}/etc/certs/cacert.pem" in notices[1]
    assert sorted(os.listdir(tmp_path / "etc/certs")) == ["cacert.pem", "cert.pem", "key.pem"]
    # the first snippet of EMQX's documentation, as the configuration gives it
    options = SslOptions(
        cacertfile=DEFAULT_CACERTFILE, verify="verify_peer", versions=EVERY_VERSION
    )
    findings = check_ssl_options(options, "ssl_options", tmp_path)
    assert [f.path for f in findings] == ["ssl_options.versions"]
    assert check_ssl_options(DEFAULT, "ssl_options", tmp_path) == []
    server, authority = certificates(tmp_path)
    context = build_server_context(DEFAULT, tmp_path)
    for host in (b"localhost", b"127.0.0.1", b"::1", b"broker.example"):
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            pair = join(pki.client_context(trust=authority, version=version), context, host)
            pair.run()
            assert pair.client.handshake_complete
    assert server.issuer == authority.subject


def test_what_is_in_the_certificates(tmp_path: Path) -> None:
    ensure_default_certificates(DEFAULT, tmp_path, host_name="h")
    server, authority = certificates(tmp_path)
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    assert 364 * day < server.not_valid_after_utc - now <= 365 * day
    assert 3649 * day < authority.not_valid_after_utc - now <= 3650 * day
    assert server.not_valid_before_utc < now
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    server.verify_directly_issued_by(authority)
    key = load_pem_private_key((tmp_path / "etc/certs/key.pem").read_bytes(), None)
    assert key.public_key() == server.public_key()
    assert server.public_key() != authority.public_key()


def test_never_the_same_twice(tmp_path: Path) -> None:
    pairs = []
    for name in ("one", "two"):
        ensure_default_certificates(DEFAULT, tmp_path / name)
        pairs.append(certificates(tmp_path / name))
    (server1, authority1), (server2, authority2) = pairs
    assert server1.public_key() != server2.public_key()
    assert authority1.public_key() != authority2.public_key()
    assert authority1.subject != authority2.subject
    assert server1.serial_number != server2.serial_number


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "etc/certs").mkdir(parents=True)
    before = os.umask(umask)
    try:
        ensure_default_certificates(DEFAULT, tmp_path)
    finally:
        os.umask(before)
    modes = {
        file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "etc/certs").iterdir()
    }
    assert modes == {"key.pem": 0o600, "cert.pem": 0o644, "cacert.pem": 0o644}


def test_the_key_is_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        keys = [f for f in (tmp_path / "etc/certs").iterdir() if b"PRIVATE" in f.read_bytes()]
        seen.extend(stat.S_IMODE(key.stat().st_mode) for key in keys)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    ensure_default_certificates(DEFAULT, tmp_path)
    assert seen
    assert set(seen) == {0o600}


def test_does_nothing_the_second_time(tmp_path: Path) -> None:
    ensure_default_certificates(DEFAULT, tmp_path)
    before = {f.name: f.read_bytes() for f in (tmp_path / "etc/certs").iterdir()}
    assert ensure_default_certificates(DEFAULT, tmp_path) == []
    assert before == {f.name: f.read_bytes() for f in (tmp_path / "etc/certs").iterdir()}


@pytest.mark.parametrize(
    "options", [SslOptions(keyfile="k.pem"), SslOptions(certfile="c.pem")], ids=["key", "cert"]
)
def test_other_places_are_left_alone(tmp_path: Path, options: SslOptions) -> None:
    assert ensure_default_certificates(options, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_own_pair_without_authority_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "etc/certs").mkdir(parents=True)
    for name in ("key.pem", "cert.pem"):
        (tmp_path / "etc/certs" / name).write_text("mine")
    assert ensure_default_certificates(DEFAULT, tmp_path) == []
    with pytest.raises(ConfigurationErrors, match=r"cacert\.pem does not exist"):
        ensure_default_certificates(SslOptions(cacertfile=DEFAULT_CACERTFILE), tmp_path)


@pytest.mark.parametrize(
    "present", [["key.pem"], ["cert.pem"], ["cacert.pem"], ["key.pem", "cacert.pem"]]
)
def test_partly_present_is_an_error_and_nothing_changes(
    tmp_path: Path, present: list[str]
) -> None:
    folder = tmp_path / "etc/certs"
    folder.mkdir(parents=True)
    for name in present:
        (folder / name).write_text("mine")
    with pytest.raises(ConfigurationErrors) as caught:
        ensure_default_certificates(DEFAULT, tmp_path, path="listeners.ssl.default.ssl_options")
    assert sorted(os.listdir(folder)) == sorted(present)
    assert all((folder / name).read_text() == "mine" for name in present)
    assert len(caught.value.errors) == 3 - len(present)
    text = str(caught.value)
    assert "listeners.ssl.default.ssl_options." in text
    assert "nothing is overwritten" in text
    assert all(f"{folder}/{name}" in text for name in present)


def test_a_dangling_link_counts_as_present(tmp_path: Path) -> None:
    (tmp_path / "etc/certs").mkdir(parents=True)
    (tmp_path / "etc/certs/key.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationErrors):
        ensure_default_certificates(DEFAULT, tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_failure_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def full(source: str, target: Path) -> None:
        if target.name == "cert.pem":
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(ConfigurationErrors, match=r"cannot be made in .*: No space left"):
        ensure_default_certificates(DEFAULT, tmp_path)
    assert os.listdir(tmp_path / "etc/certs") == []


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file")
    with pytest.raises(ConfigurationErrors, match="cannot be made in"):
        ensure_default_certificates(DEFAULT, tmp_path)


def test_two_brokers_starting_at_once_make_one_set(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(lambda _: ensure_default_certificates(DEFAULT, tmp_path), range(4))
        )
    assert sorted(map(len, results)) == [0, 0, 0, 2]
    assert check_ssl_options(DEFAULT, "ssl_options", tmp_path) == []


@pytest.mark.parametrize("host", ["", "localhost", "LOCALHOST.", "hô", "a\nb"])
def test_useless_host_names_are_left_out(host: str) -> None:
    assert [str(name.value) for name in bootstrap._names(host)] == [
        "localhost",
        "127.0.0.1",
        "::1",
    ]

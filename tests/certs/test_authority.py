"""The small authority: what it issues works, what it revokes is listed, nothing is overwritten."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from mqttd.certs.authority import Authority, create_authority, open_authority
from mqttd.certs.errors import CertsProblem
from mqttd.certs.index import Entry, parse_index, serial_text, show_index
from mqttd.certs.verify import has_name, verify_file
from mqttd.tls.issue import CLIENT, SERVER, Wanted, alternative_name

FOR_CLIENTS = Wanted(days=30, usage=CLIENT)


def openssl(*arguments: object) -> str:
    program = shutil.which("openssl")
    assert program is not None
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return create_authority(tmp_path / "ca", "Test CA", days=100, key_kind="ec")


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


@pytest.mark.parametrize("kind", ["ec", "ec:p384", "rsa:2048"])
def test_openssl_accepts_what_is_issued(tmp_path: Path, kind: str) -> None:
    made = create_authority(tmp_path / "ca", "Test CA", days=100, key_kind=kind)
    names = [alternative_name(name) for name in ("localhost", "127.0.0.1", "::1")]
    wanted = Wanted(days=30, usage=SERVER, names=names)
    pem, key = made.issue("localhost", wanted, key_kind=kind, out=tmp_path / "server")
    strict = ("verify", "-x509_strict", "-CAfile", tmp_path / "ca/ca.pem")
    assert openssl(*strict, "-purpose", "sslserver", "-verify_ip", "::1", pem) == f"{pem}: OK\n"
    assert "purpose" in openssl(*strict, "-purpose", "sslclient", pem)
    assert mode(key) == mode(tmp_path / "ca/ca.key") == 0o600
    assert mode(pem) == 0o644


def test_revoked_certificates_are_in_the_list(authority: Authority, tmp_path: Path) -> None:
    good, _ = authority.issue("good", FOR_CLIENTS, key_kind="ec", out=tmp_path / "good")
    bad, _ = authority.issue("bad", FOR_CLIENTS, key_kind="ec", out=tmp_path / "bad")
    serial = x509.load_pem_x509_certificate(bad.read_bytes()).serial_number
    first = authority.revoke(serial, "keyCompromise")
    assert authority.revoke(serial).revoked == first.revoked
    crl = authority.make_crl(10)
    assert [each.serial_number for each in crl] == [serial]
    reason = next(iter(crl)).extensions.get_extension_for_class(x509.CRLReason).value
    assert reason.reason is x509.ReasonFlags.key_compromise
    assert crl.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]
    ca, file = tmp_path / "ca/ca.pem", tmp_path / "ca/crl.pem"
    check = ("verify", "-crl_check", "-CAfile", ca, "-CRLfile", file)
    assert "certificate revoked" in openssl(*check, bad)
    assert openssl(*check, good) == f"{good}: OK\n"
    assert verify_file(str(good), ca=str(ca), crl=str(file), purpose="client") == []
    (problem,) = verify_file(str(bad), ca=str(ca), crl=str(file))
    assert "certificate revoked (CN=bad)" in problem
    number = authority.make_crl(10).extensions.get_extension_for_class(x509.CRLNumber).value
    assert number.crl_number == 2


def test_openssls_responder_reads_our_index(authority: Authority, tmp_path: Path) -> None:
    names = [authority.issue("same", FOR_CLIENTS, key_kind="ec", out=tmp_path / f"c{number}")[0]
             for number in range(2)]  # fmt: skip
    authority.revoke(x509.load_pem_x509_certificate(names[0].read_bytes()).serial_number)
    ca = tmp_path / "ca"
    said = openssl(
        "ocsp", "-index", ca / "index.txt", "-CA", ca / "ca.pem", "-rsigner", ca / "ca.pem",
        "-rkey", ca / "ca.key", "-issuer", ca / "ca.pem", "-cert", names[0], "-cert", names[1],
        "-text",
    )  # fmt: skip
    assert [line.strip() for line in said.splitlines() if "Cert Status" in line] == [
        "Cert Status: revoked",
        "Cert Status: good",
    ]


def test_urls_are_in_the_certificate_and_the_list(authority: Authority, tmp_path: Path) -> None:
    url = "http://ca.example/crl.pem"
    wanted = Wanted(days=3, usage=CLIENT, crl_url=url, ocsp_url="http://ca.example/ocsp")
    pem, _ = authority.issue("dev", wanted, key_kind="ec", out=tmp_path / "dev")
    text = openssl("x509", "-in", pem, "-noout", "-text")
    assert f"URI:{url}" in text
    assert "OCSP - URI:http://ca.example/ocsp" in text
    scope = authority.make_crl(3, url=url).extensions.get_extension_for_class(
        x509.IssuingDistributionPoint
    )
    assert scope.critical
    assert [name.value for name in scope.value.full_name or ()] == [url]


def test_nothing_is_overwritten_without_force(authority: Authority, tmp_path: Path) -> None:
    old = (tmp_path / "ca/ca.key").read_bytes()
    with pytest.raises(CertsProblem, match=r"an authority already"):
        create_authority(tmp_path / "ca", "Other", days=1, key_kind="ec")
    assert (tmp_path / "ca/ca.key").read_bytes() == old
    authority.issue("dev", FOR_CLIENTS, key_kind="ec", out=tmp_path / "dev")
    with pytest.raises(CertsProblem, match=r"dev\.pem and .*dev\.key exist already"):
        authority.issue("dev", FOR_CLIENTS, key_kind="ec", out=tmp_path / "dev")
    assert len(authority.entries()) == 1
    authority.issue("dev", FOR_CLIENTS, key_kind="ec", out=tmp_path / "dev", force=True)
    assert len(authority.entries()) == 2
    create_authority(tmp_path / "ca", "Other", days=1, key_kind="ec", force=True)
    assert open_authority(tmp_path / "ca").entries() == []


def test_what_openssl_made_can_be_opened(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Theirs", "-days", "9",
        "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
    )  # fmt: skip
    pem, _ = open_authority(folder).issue("dev", FOR_CLIENTS, key_kind="ec", out=tmp_path / "dev")
    assert openssl("verify", "-CAfile", folder / "ca.pem", pem) == f"{pem}: OK\n"


@pytest.mark.parametrize("spoil", ["no key", "no certificate", "another key", "bad index"])
def test_a_broken_folder_is_named(
    authority: Authority, tmp_path: Path, spoil: str, make_key_pem: Any, pki: Any
) -> None:
    folder = tmp_path / "ca"
    if spoil == "no key":
        (folder / "ca.key").unlink()
    elif spoil == "no certificate":
        (folder / "ca.pem").unlink()
    elif spoil == "another key":
        (folder / "ca.key").write_text(make_key_pem(pki.root.key))
    else:
        (folder / "index.txt").write_text("V\t1\n")
    with pytest.raises(CertsProblem, match=str(folder)):
        open_authority(folder).revoke(1)


def test_an_unknown_serial_number(authority: Authority) -> None:
    with pytest.raises(CertsProblem, match="no certificate with serial number 0F"):
        authority.revoke(15)


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_no_certificate_can_have(authority: Authority, tmp_path: Path, name: str) -> None:
    with pytest.raises(CertsProblem):
        authority.issue(name, FOR_CLIENTS, key_kind="ec", out=tmp_path / "dev")
    assert not (tmp_path / "dev.key").exists()


def test_the_index_survives_a_round_trip(authority: Authority, tmp_path: Path) -> None:
    authority.issue("a b/c=ü", FOR_CLIENTS, key_kind="ec", out=tmp_path / "one")
    long = Wanted(days=36_000, usage=CLIENT)
    authority.issue("late", long, key_kind="ec", out=tmp_path / "two")
    entries = authority.entries()
    assert entries[1].expires.year > 2100
    assert parse_index(show_index(entries), "index.txt") == entries
    assert all(isinstance(entry, Entry) for entry in entries)
    assert serial_text(0xABC) == "0ABC"


@given(st.text(alphabet="VRE\t\n,-0123456789ABZ/x", max_size=80))
def test_any_index_is_read_or_refused_by_line(text: str) -> None:
    try:
        entries = parse_index(text, "index.txt")
    except CertsProblem:
        return
    assert parse_index(show_index(entries), "index.txt") == entries


def test_many_at_a_time_lose_no_line(authority: Authority, tmp_path: Path) -> None:
    def issue(number: int) -> None:
        out = tmp_path / f"dev{number}"
        open_authority(tmp_path / "ca").issue(out.name, FOR_CLIENTS, key_kind="ec", out=out)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(issue, range(24)))
    assert len({entry.serial for entry in authority.entries()}) == 24


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a.example", True),
        ("A.EXAMPLE.", True),
        ("b.example", False),
        ("x.wild.example", True),
        ("x.y.wild.example", False),
        ("wild.example", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("2001:db8:0::1", True),
    ],
)
def test_names_clients_connect_to(pki: Any, name: str, good: bool) -> None:
    names = ("a.example", "*.wild.example", "192.0.2.1", "2001:db8::1")
    certificate = pki.root.issue(san=[alternative_name(each) for each in names]).cert
    assert has_name(certificate, name) is good


def test_names_that_are_none() -> None:
    for text in ("", "a b", "ü.example", "a\n"):
        with pytest.raises(ValueError, match="is no host name"):
            alternative_name(text)
    assert isinstance(alternative_name("urn:dev:1"), x509.UniformResourceIdentifier)
    assert isinstance(alternative_name("a@example.org"), x509.RFC822Name)

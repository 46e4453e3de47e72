"""Lists as bytes: which are accepted, which are refused and for what cause."""

from __future__ import annotations

import contextlib
import datetime
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqttd.revocation.revocation_list import (
    BadList,
    RevocationList,
    has_new_entries,
    read_list,
    split_lists,
)

URL = "http://crl.example/ca.crl"


def read(data: bytes, ca: Any, **options: Any) -> RevocationList:
    options.setdefault("now", time.time())
    return read_list(data, ca.cert, max_size=options.pop("max_size", 1 << 20), **options)


def cause(data: bytes, ca: Any, **options: Any) -> str:
    with pytest.raises(BadList) as caught:
        read(data, ca, **options)
    assert caught.value.text
    return caught.value.cause


def idp(**values: Any) -> x509.IssuingDistributionPoint:
    url = values.pop("url", None)
    chosen: dict[str, Any] = {
        "full_name": None if url is None else [x509.UniformResourceIdentifier(url)],
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**chosen | values)


def test_what_a_list_says(crl_ca: Any) -> None:
    client = crl_ca.chain()[0]
    found = read(crl_ca.crl(client, 7, reason=x509.ReasonFlags.superseded), crl_ca)
    entry = found.find(client.serial_number)
    assert entry is not None
    assert entry.reason == "superseded"
    assert abs(entry.when - time.time()) < 60
    assert found.find(8) is None
    assert (found.number, len(found.entries)) == (crl_ca.number, 2)
    assert found.issuer_name == "CN=CRL Root"
    assert "entries" not in repr(found)


def test_an_entry_without_reason_is_unspecified(crl_ca: Any) -> None:
    found = read(crl_ca.crl(7, reason=None), crl_ca).find(7)
    assert found is not None
    assert found.reason == "unspecified"


@pytest.mark.parametrize("kind", ["rsa", "ed25519", "p384"])
def test_other_keys(make_crl_ca: Any, make_root: Any, kind: str) -> None:
    key: Any = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    }[kind]()
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kind)])
    algorithm = None if kind == "ed25519" else hashes.SHA384()
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), 5)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(1))
        .sign(key, algorithm)
    )
    builder = x509.CertificateRevocationListBuilder(name, now, now + datetime.timedelta(1))
    data = builder.sign(key, algorithm).public_bytes(Encoding.DER)
    assert read_list(data, cert, now=time.time(), max_size=9999).entries == {}
    bad = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    with pytest.raises(BadList) as caught:
        read_list(bad, cert, now=time.time(), max_size=9999)
    assert caught.value.cause == "crl-bad-signature"


def test_a_key_of_another_kind_is_a_bad_signature(crl_ca: Any, make_crl_ca: Any) -> None:
    other = make_crl_ca("CRL Root", kind="rsa")
    assert cause(crl_ca.crl(), other) == "crl-bad-signature"


def test_who_may_sign(make_crl_ca: Any) -> None:
    def usage(**values: bool) -> x509.KeyUsage:
        names = ("digital_signature", "content_commitment", "key_encipherment")
        more = ("data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
        last = ("encipher_only", "decipher_only")
        return x509.KeyUsage(**dict.fromkeys(names + more + last, False) | values)

    good = make_crl_ca(extra=[usage(crl_sign=True, key_cert_sign=True)])
    assert read(good.crl(), good).entries == {}
    bad = make_crl_ca(extra=[usage(key_cert_sign=True)])
    assert cause(bad.crl(), bad) == "crl-bad-issuer"


def test_the_authority_key_identifier_names_the_key(crl_ca: Any, make_crl_ca: Any) -> None:
    wrong = (x509.AuthorityKeyIdentifier(b"x" * 20, None, None), False)
    # an issuer without an identifier of its own cannot contradict
    assert read(crl_ca.crl(extensions=[wrong]), crl_ca).entries == {}
    named = make_crl_ca(extra=[x509.SubjectKeyIdentifier(b"y" * 20)])
    assert cause(named.crl(extensions=[wrong]), named) == "crl-bad-issuer"


SCOPES: dict[str, tuple[Any, str]] = {
    "users": (idp(only_contains_user_certs=True), ""),
    "its address": (idp(url=URL), ""),
    "another address": (idp(url="http://other.example/"), "crl-bad-scope"),
    "authorities": (idp(only_contains_ca_certs=True), "crl-bad-scope"),
    "attributes": (idp(only_contains_attribute_certs=True), "crl-bad-scope"),
    "indirect": (idp(indirect_crl=True), "crl-bad-scope"),
    "reasons": (
        idp(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])),
        "crl-bad-scope",
    ),
    "directory": (
        idp(full_name=[x509.DirectoryName(x509.Name([]))]),
        "crl-bad-scope",
    ),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_scopes(crl_ca: Any, scope: str) -> None:
    extension, expected = SCOPES[scope]
    data = crl_ca.crl(extensions=[(extension, True)])
    if not expected:
        read(data, crl_ca).check_scope([URL], ca=False)
        return
    with pytest.raises(BadList) as caught:
        read(data, crl_ca).check_scope([URL], ca=False)
    assert caught.value.cause == expected


def test_scopes_of_authorities(crl_ca: Any) -> None:
    of_users = read(crl_ca.crl(extensions=[(idp(only_contains_user_certs=True), True)]), crl_ca)
    with pytest.raises(BadList):
        of_users.check_scope([URL], ca=True)
    of_cas = read(crl_ca.crl(extensions=[(idp(only_contains_ca_certs=True), True)]), crl_ca)
    of_cas.check_scope([URL], ca=True)


def test_delta_lists_are_refused_by_name(crl_ca: Any) -> None:
    data = crl_ca.crl(extensions=[(x509.DeltaCRLIndicator(1), True)])
    assert cause(data, crl_ca) == "crl-delta"


def test_unknown_critical_extensions(crl_ca: Any) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert read(crl_ca.crl(extensions=[(unknown, False)]), crl_ca).entries == {}
    assert cause(crl_ca.crl(extensions=[(unknown, True)]), crl_ca) == "crl-unknown-extension"
    entry = crl_ca.crl(7, entry_extensions=[(unknown, True)])
    assert cause(entry, crl_ca) == "crl-unknown-extension"
    issuer = x509.CertificateIssuer([x509.DirectoryName(crl_ca.cert.subject)])
    assert cause(crl_ca.crl(7, entry_extensions=[(issuer, True)]), crl_ca) == "crl-bad-scope"


def test_dates_and_grace(crl_ca: Any) -> None:
    data, now = crl_ca.crl(), time.time()
    assert cause(data, crl_ca, now=now + 3700) == "crl-expired"
    assert read(data, crl_ca, now=now + 3700, grace=200).entries == {}
    assert cause(data, crl_ca, now=now - 3600) == "crl-not-yet-valid"
    # clocks differ a little
    assert read(data, crl_ca, now=now - 60).entries == {}


def test_size_and_several_lists(crl_ca: Any) -> None:
    pem = crl_ca.crl(encoding=Encoding.PEM)
    assert cause(pem, crl_ca, max_size=len(pem) - 1) == "crl-too-large"
    assert cause(pem + pem, crl_ca) == "crl-garbage"
    assert len(split_lists(b"text\n" + pem + pem)) == 2
    assert read(pem.replace(b"\n", b"\r\n"), crl_ca).entries == {}
    # lines of any length, and more of them than are decoded at once
    many = crl_ca.crl(*range(1, 8000), encoding=Encoding.PEM)
    begin, *body, end = many.splitlines()
    flat = b"".join(body)
    lines = [flat[at : at + 61] for at in range(0, len(flat), 61)]
    odd = b"\n".join([begin, *lines, end])
    assert len(read(odd, crl_ca).entries) == 7999


def test_new_entries(crl_ca: Any) -> None:
    one, two = read(crl_ca.crl(1), crl_ca), read(crl_ca.crl(1, 2), crl_ca)
    assert has_new_entries(two, one)
    assert not has_new_entries(one, two)
    assert has_new_entries(one, None)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_hostile_bytes_raise_nothing_else(crl_ca: Any, data: st.DataObject) -> None:
    known = _known(crl_ca)
    mutable = bytearray(known[data.draw(st.integers(0, len(known) - 1))])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutable) - 1))
        mutable[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(mutable)))
    for hostile in (bytes(mutable), bytes(mutable[:cut]), data.draw(st.binary(max_size=64))):
        with contextlib.suppress(BadList):
            read(hostile, crl_ca)


_MADE: list[bytes] = []


def _known(ca: Any) -> list[bytes]:
    if not _MADE:
        extension = (idp(url=URL), True)
        _MADE.extend(
            (ca.crl(1, 2, extensions=[extension]), ca.crl(3, encoding=Encoding.PEM)[:-30])
        )
    return _MADE


def test_lists_made_by_openssl(tmp_path: Path) -> None:
    """The commands of the seeds' kind, with openssl's little authority."""
    (tmp_path / "index.txt").write_text("")
    (tmp_path / "crlnumber").write_text("10\n")
    (tmp_path / "ca.cnf").write_text(
        "[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\ncrlnumber=crlnumber\nserial=serial\n"
        "default_md=sha256\nnew_certs_dir=.\npolicy=p\ndefault_days=9\nrand_serial=yes\n"
        "crl_extensions=e\n[p]\ncommonName=supplied\n[e]\nauthorityKeyIdentifier=keyid\n"
        f"issuingDistributionPoint=critical,@i\n[i]\nfullname=URI:{URL}\n"
    )

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Demo CA")
    openssl("req", *key, "-keyout", "c.key", "-out", "c.csr", "-subj", "/CN=dev")
    signing = ("ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-batch")
    openssl(*signing, "-in", "c.csr", "-out", "c.pem", "-notext")
    openssl(*signing, "-revoke", "c.pem", "-crl_reason", "keyCompromise")
    openssl(*signing, "-gencrl", "-crldays", "1", "-out", "list.pem")
    openssl("crl", "-in", "list.pem", "-outform", "DER", "-out", "list.der")
    issuer = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    client = x509.load_pem_x509_certificate((tmp_path / "c.pem").read_bytes())
    for name in ("list.pem", "list.der"):
        found = read_list(
            (tmp_path / name).read_bytes(), issuer, now=time.time(), max_size=1 << 20
        )
        entry = found.find(client.serial_number)
        assert entry is not None
        assert entry.reason == "keyCompromise"
        assert found.urls is not None
        assert set(found.urls) == {URL}

"""What authenticators see of a client certificate, and that hostile ones do no harm."""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from mqttd.identity import PeerCertificate
from mqttd.tls.peer import describe_subject, peer_certificate

if TYPE_CHECKING:
    from tests.conftest import Pki
    from tests.tls.conftest import Joined

    Join = Callable[..., Joined]


def name(*values: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # longer than X.520 allows: that is the point
        attributes = [x509.NameAttribute(oid, text, _validate=False) for oid, text in values]
    return x509.Name(attributes)


def common_names(*values: str) -> x509.Name:
    return name(*((NameOID.COMMON_NAME, value) for value in values))


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_values_from_a_handshake(pki: Pki, join: Join, version: int) -> None:
    subject = name(
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.ORGANIZATION_NAME, "A, B"),
        (NameOID.COMMON_NAME, "d"),
    )
    client = pki.root.client(
        subject=subject,
        san=[
            x509.DNSName("d.example"),
            x509.DNSName("e.example"),
            x509.UniformResourceIdentifier("urn:dev:1"),
            x509.RFC822Name("d@example.org"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        ],
    )
    pair = join(pki.client_context(client, version=version), pki.mutual())
    pair.run()
    peer = pair.server.peer_certificate()
    assert peer == PeerCertificate(
        der=client.cert.public_bytes(Encoding.DER),
        pem=client.chain_pem,
        common_name="d",
        subject=r"CN=d,O=A\, B,C=DE",
        issuer="CN=Test Root",
        serial=client.cert.serial_number,
        not_before=client.cert.not_valid_before_utc.timestamp(),
        not_after=client.cert.not_valid_after_utc.timestamp(),
        san_dns=("d.example", "e.example"),
        san_uri=("urn:dev:1",),
        san_email=("d@example.org",),
    )


def test_none_without_verification(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(pki.client_ec), pki.server_context())
    pair.run()
    assert pair.server.peer_certificate() is None


def test_several_common_names(pki: Pki) -> None:
    peer = peer_certificate(pki.root.client(subject=common_names("a", "b")).cert)
    assert peer.common_name == "a,b"
    assert peer.subject == "CN=b,CN=a"


def test_no_common_name(pki: Pki) -> None:
    peer = peer_certificate(pki.root.client(subject=x509.Name([])).cert)
    assert peer.common_name == ""
    assert peer.subject == ""
    assert describe_subject(pki.root.client(subject=x509.Name([])).cert) == ""


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("admin\0evil", r"CN=admin\00evil"),
        ("line\r\nbreak", r"CN=line\0D\0Abreak"),
        ("\x1b[31mred", r"CN=\1B[31mred"),
        ("rtl\u202eoverride", r"CN=rtl\E2\80\AEoverride"),
        ("a,b+c=d", r"CN=a\,b\+c\=d"),
        ("名前 ü", "CN=名前 ü"),
        ("x" * 5000, "CN=" + "x" * 5000),
    ],
)
def test_odd_names_stay_exact_and_print_safely(pki: Pki, value: str, printed: str) -> None:
    certificate = pki.root.client(subject=common_names(value)).cert
    peer = peer_certificate(certificate)
    assert peer.common_name == value
    assert peer.subject.replace(r"\=", "=") == printed.replace(r"\=", "=")
    assert peer.subject.isprintable()
    assert len(describe_subject(certificate)) < 220


def test_huge_san(pki: Pki) -> None:
    san: list[x509.GeneralName] = [x509.DNSName(f"{number}.example") for number in range(3000)]
    peer = peer_certificate(pki.root.client(san=san).cert)
    assert len(peer.san_dns) == 3000
    assert peer.san_uri == ()


def test_other_kinds_of_names_are_passed_over(pki: Pki) -> None:
    san = [
        x509.DirectoryName(common_names("x")),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),
        x509.DNSName("*.example"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
    ]
    peer = peer_certificate(pki.root.client(san=san).cert)
    assert (peer.san_dns, peer.san_uri, peer.san_email) == (("*.example",), (), ())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"good.example", b"\xff\xfe\0\x80.example"[:12]),
        (b"\x82\x0cgood.example", b"\xa9\x0cgood.example"),
        (b"urn:good", b"\xc3\x28\0\0\0\0\0\0"),
    ],
)
def test_malformed_san_gives_nothing(pki: Pki, before: bytes, after: bytes) -> None:
    san = [x509.DNSName("good.example"), x509.UniformResourceIdentifier("urn:good")]
    der = pki.root.client(san=list(san)).cert.public_bytes(Encoding.DER)
    assert before in der
    peer = peer_certificate(x509.load_der_x509_certificate(der.replace(before, after)))
    assert (peer.san_dns, peer.san_uri, peer.san_email) == ((), (), ())
    assert peer.common_name == "dev1"


def test_malformed_name_gives_empty_text(pki: Pki) -> None:
    der = pki.root.client("NAME").cert.public_bytes(Encoding.DER)
    peer = peer_certificate(
        x509.load_der_x509_certificate(der.replace(b"NAME", b"\xff\xfe\xfd\xfc"))
    )
    assert peer.common_name == ""
    assert peer.subject == ""
    assert peer.issuer == "CN=Test Root"


def test_every_broken_byte_of_a_certificate(pki: Pki) -> None:
    der = pki.root.client(san=[x509.DNSName("a.example")]).cert.public_bytes(Encoding.DER)
    read = 0
    for at in range(len(der)):
        broken = bytearray(der)
        broken[at] ^= 0x5A
        try:
            certificate = x509.load_der_x509_certificate(bytes(broken))
        except (ValueError, x509.InvalidVersion):
            continue
        peer_certificate(certificate)
        describe_subject(certificate)
        read += 1
    assert read > 100

"""Making keys and certificates, and writing them so that nobody else ever reads a key."""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

IssuingKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""Kinds of keys made here."""

KEY_KINDS: Final = ("ec", "ec:p384", "rsa:2048", "rsa:3072", "rsa:4096")
"""What :func:`new_key` makes; ``ec`` is P-256."""

SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
OCSP_SIGNER: Final = ExtendedKeyUsageOID.OCSP_SIGNING

SKEW: Final = datetime.timedelta(hours=1)
"""Certificates begin this long ago, for clients whose clock is behind."""


def new_key(kind: str) -> IssuingKey:
    """A key of one of :data:`KEY_KINDS`. Raises ValueError for another."""
    if kind not in KEY_KINDS:
        raise ValueError(f"{kind} is none of {', '.join(KEY_KINDS)}")
    family, _, size = kind.partition(":")
    if family == "rsa":
        return rsa.generate_private_key(65537, int(size))
    return ec.generate_private_key(ec.SECP384R1() if size else ec.SECP256R1())


def key_pem(key: IssuingKey) -> bytes:
    """The key as PKCS#8 PEM, without a password."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def name_of(common_name: str, organization: str | None = None) -> x509.Name:
    """A name of one or two parts. Raises ValueError when one is empty or over 64 characters."""
    parts = [] if organization is None else [(NameOID.ORGANIZATION_NAME, organization)]
    return x509.Name(
        [
            x509.NameAttribute(oid, text)
            for oid, text in [*parts, (NameOID.COMMON_NAME, common_name)]
        ]
    )


def alternative_name(text: str) -> x509.GeneralName:
    """An IP address, URI, e-mail address or host name. Raises ValueError when it is none."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is no host name, IP address, URI or e-mail address")
    if "://" in text or text.startswith("urn:"):
        return x509.UniformResourceIdentifier(text)
    return x509.RFC822Name(text) if "@" in text else x509.DNSName(text)


def make_authority(
    key: IssuingKey,
    name: x509.Name,
    *,
    days: int,
    path_length: int | None = 0,
    now: datetime.datetime | None = None,
) -> x509.Certificate:
    """A self-signed certificate that may sign others, and revocation lists (RFC 5280 4.2.1.3).

    ``path_length`` is the number of authorities that may come between it and a leaf.
    """
    begin = _begin(now)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + SKEW + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


@attrs.frozen(kw_only=True)
class Wanted:
    """What a certificate is to say beside its subject and its key."""

    days: int
    usage: x509.ObjectIdentifier
    names: Sequence[x509.GeneralName] = ()
    """subjectAltName."""
    crl_url: str | None = None
    """Where its revocation list is (RFC 5280 section 4.2.1.13)."""
    ocsp_url: str | None = None
    """Who answers whether it is revoked (section 4.2.2.1)."""


def make_certificate(
    key: IssuingKey,
    name: x509.Name,
    wanted: Wanted,
    *,
    issuer: x509.Certificate,
    issuer_key: IssuingKey,
    now: datetime.datetime | None = None,
) -> x509.Certificate:
    """A certificate for a server or a client, issued by ``issuer``."""
    begin = _begin(now)
    rsa_key = isinstance(key, rsa.RSAPrivateKey) and wanted.usage == SERVER
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + SKEW + datetime.timedelta(days=wanted.days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # keyEncipherment is for the RSA and RSA-PSK suites of TLS 1.2
        .add_extension(_key_usage(authority=False, encipherment=rsa_key), critical=True)
        .add_extension(x509.ExtendedKeyUsage([wanted.usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority_identifier(issuer), critical=False)
    )
    if wanted.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(wanted.names), critical=False)
    if wanted.crl_url is not None:
        where = x509.DistributionPoint(
            [x509.UniformResourceIdentifier(wanted.crl_url)], None, None, None
        )
        builder = builder.add_extension(x509.CRLDistributionPoints([where]), critical=False)
    if wanted.ocsp_url is not None:
        who = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP,
            x509.UniformResourceIdentifier(wanted.ocsp_url),
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([who]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def write_new(
    file: Path,
    content: bytes,
    mode: int,
    *,
    replace: bool = False,
    owner: tuple[int, int] | None = None,
) -> None:
    """Create ``file`` whole or not at all, with exactly ``mode``; ``owner``: user and group.

    Raises FileExistsError when it is there, unless ``replace``; and other OSErrors.
    """
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)  # the umask has no say: the key is never open to others
            os.fsync(descriptor)
        if replace:
            os.replace(beside, file)
        else:
            os.link(beside, file)  # unlike a rename it fails when somebody else made the file
    finally:
        beside.unlink(missing_ok=True)


def _begin(now: datetime.datetime | None) -> datetime.datetime:
    now = datetime.datetime.now(datetime.UTC) if now is None else now
    return now.replace(microsecond=0) - SKEW


def authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """How what ``issuer`` signs names its key (RFC 5280 section 4.2.1.1)."""
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        public = issuer.public_key()
        assert isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(*, authority: bool, encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )

"""Reading and judging the server's key, its certificate chain and the trusted authorities."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from mqttd.config.errors import Finding, error, warning
from mqttd.config.types import Secret
from mqttd.tls.files import FileProblem, PemSource
from mqttd.tls.peer import MALFORMED, subject_of

ServerKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
"""Kinds of private key a TLS server certificate can have here."""

NEAR_EXPIRY: Final = datetime.timedelta(days=30)
"""A certificate with less life than this is warned of (or a third of it, if it lives shorter)."""

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


def load_certificates(source: PemSource) -> list[x509.Certificate]:
    """Every certificate of a PEM source, in order. Raises :exc:`FileProblem`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd but readable ones are no reason to stop
            certificates = x509.load_pem_x509_certificates(source.data)
            for certificate in certificates:  # these are parsed no sooner than asked for
                _ = certificate.subject, certificate.issuer, certificate.extensions
            return certificates
    except MALFORMED as problem:
        if b"-----BEGIN CERTIFICATE-----" not in source.data:
            message = f"{source.name} holds no certificate"
            cure = "give a PEM file with -----BEGIN CERTIFICATE-----"
        else:
            message = f"{source.name} holds a certificate that cannot be read ({problem})"
            cure = "write the file again from its origin"
        raise FileProblem(message, cure) from None


def load_key(source: PemSource, password: Secret | str | None) -> ServerKey:
    """The private key of a PEM source. Raises :exc:`FileProblem`; never shows the password."""
    if b"PRIVATE KEY-----" not in source.data:
        raise FileProblem(
            f"{source.name} holds no private key",
            "give the PEM file with -----BEGIN PRIVATE KEY-----",
        )
    encrypted = b"ENCRYPTED" in source.data
    secret = password.reveal() if isinstance(password, Secret) else password
    if encrypted and not secret:
        raise FileProblem(
            f"{source.name} is encrypted and there is no password",
            "set password to the password of this file",
            option="password",
        )
    try:
        key = load_pem_private_key(
            source.data, secret.encode("utf-8") if encrypted and secret else None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if encrypted:
            raise FileProblem(
                f"{source.name} cannot be decrypted with the password given",
                "correct the password; from file:// it is read without the last line end",
                option="password",
            ) from None
        raise FileProblem(
            f"{source.name} holds a private key that cannot be read",
            "write the file again from its origin",
        ) from None
    if not isinstance(key, ServerKey):
        raise FileProblem(
            f"{source.name} holds a key of a kind TLS servers do not use",
            "use an EC (P-256) or RSA key",
        )
    return key


def check_chain(
    chain: Sequence[x509.Certificate],
    key: ServerKey | None,
    path: str,
    name: str,
    now: datetime.datetime,
) -> list[Finding]:
    """Judge a server's chain of the section at ``path``, read from ``name``."""
    option = f"{path}.certfile"
    leaf = chain[0]
    findings = _check_pair(chain, key, path, name)
    findings += _check_times(leaf, option, f"the certificate in {name}", now, fatal=True)
    findings += check_leaf(leaf, option, name)
    findings += _check_order(chain, option, name)
    for issuer in chain[1:]:
        what = f"the issuer {subject_of(issuer)} in {name}"
        findings += _check_times(issuer, option, what, now, fatal=False)
    return findings


def check_authorities(
    authorities: Sequence[x509.Certificate], path: str, name: str, now: datetime.datetime
) -> list[Finding]:
    """Judge the certificates trusted for clients, read from ``name``."""
    option = f"{path}.cacertfile"
    findings = []
    for authority in authorities:
        what = f"{subject_of(authority)} in {name}"
        findings += _check_times(authority, option, what, now, fatal=False)
        constraints = extension_of(authority, x509.BasicConstraints)
        if constraints is not None and not constraints.ca:
            findings.append(
                warning(
                    option,
                    f"{what} is not a certificate authority, so no client certificate is accepted "
                    "because of it",
                    "list the authorities that issue the client certificates",
                )
            )
    return findings


def check_key_file(source: PemSource, path: str) -> list[Finding]:
    """Warn of a key that every user of the machine can read or replace."""
    if source.mode is None or not source.mode & 0o007:
        return []
    return [
        warning(
            f"{path}.keyfile",
            f"{source.name} is open to every user of this machine (mode {source.mode:04o})",
            f"chmod 600 {source.name}",
        )
    ]


def extension_of(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """The extension of that kind; None when absent."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _check_pair(
    chain: Sequence[x509.Certificate], key: ServerKey | None, path: str, name: str
) -> list[Finding]:
    if key is None:
        return []
    public = key.public_key()
    owners = [at for at, certificate in enumerate(chain) if _public_key(certificate) == public]
    if owners[:1] == [0]:
        return []
    if owners:
        return [
            error(
                f"{path}.certfile",
                f"the certificate that belongs to keyfile is number {owners[0] + 1} in {name}",
                "put the server's own certificate first, then its issuers in order",
            )
        ]
    subject = subject_of(chain[0]) or "without a subject"
    return [
        error(
            f"{path}.keyfile",
            f"does not belong to the certificate in certfile ({subject}, {name})",
            "give the key this certificate was made for, or the certificate of this key",
        )
    ]


def _public_key(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _check_times(
    certificate: x509.Certificate,
    option: str,
    what: str,
    now: datetime.datetime,
    *,
    fatal: bool,
) -> list[Finding]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    say: Callable[[str, str, str], Finding] = error if fatal else warning
    if now > end:
        return [say(option, f"{what} expired on {_date(end)}", "renew it")]
    if now < begin:
        return [
            say(
                option,
                f"{what} is not valid before {_date(begin)}",
                "check the clock of this machine, or use a certificate valid now",
            )
        ]
    if fatal and end - now < min(NEAR_EXPIRY, (end - begin) / 3):
        hours = int((end - now).total_seconds() // 3600)
        left = f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
        return [warning(option, f"{what} expires in {left}, on {_date(end)}", "renew it")]
    return []


def check_leaf(leaf: x509.Certificate, option: str, name: str) -> list[Finding]:
    """Judge whether clients take the certificate for that of a server."""
    findings = []
    constraints = extension_of(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        findings.append(
            warning(
                option,
                f"the first certificate in {name} is a certificate authority; many clients refuse "
                "one as a server's certificate",
                "use a server certificate issued by it",
            )
        )
    if not extension_of(leaf, x509.SubjectAlternativeName):
        findings.append(
            warning(
                option,
                f"the certificate in {name} has no subjectAltName, so clients that check the "
                "server's name refuse it",
                "use a certificate with subjectAltName",
            )
        )
    usage = extension_of(leaf, x509.ExtendedKeyUsage)
    allowed = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    key_usage = extension_of(leaf, x509.KeyUsage)
    lacks = []
    if usage is not None and allowed.isdisjoint(usage):
        lacks.append("extendedKeyUsage lacks serverAuth")
    if key_usage is not None and not key_usage.digital_signature:
        lacks.append("keyUsage lacks digitalSignature")
    if lacks:
        findings.append(
            warning(
                option,
                f"the certificate in {name} is not meant for TLS servers ({', '.join(lacks)}), so "
                "clients refuse it",
                "use a server certificate",
            )
        )
    return findings


def _check_order(chain: Sequence[x509.Certificate], option: str, name: str) -> list[Finding]:
    for at in range(len(chain) - 1):
        child, parent = chain[at], chain[at + 1]
        if issued(child, parent):
            continue
        if any(issued(child, other) for other in chain if other is not child):
            message = (
                f"the certificates in {name} are not in order: number {at + 2} is not the issuer "
                f"of number {at + 1}"
            )
        else:
            subject = subject_of(parent)
            message = f"number {at + 2} in {name} ({subject}) is not part of the chain"
        return [
            warning(
                option,
                message,
                "put the server's own certificate first, then each one's issuer, nothing else",
            )
        ]
    return []


def issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Whether the key of ``parent`` signed ``child``, and the names fit."""
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _date(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")

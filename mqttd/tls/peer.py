"""From a verified certificate to the values authenticators see; hostile content never raises."""

from __future__ import annotations

import contextlib
import datetime
import warnings
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mqttd.identity import PeerCertificate

MALFORMED: Final = (
    ValueError,
    TypeError,
    OverflowError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What ``cryptography`` raises on reading part of a certificate that is not as it should be."""

_Value = TypeVar("_Value")
_SHOWN: Final = 200
"""How much of a subject an explanation quotes."""


def peer_certificate(certificate: x509.Certificate) -> PeerCertificate:
    """The values of a certificate whose chain and possession the handshake proved.

    An authority may have signed anything: whatever of a name or a subjectAltName cannot be read
    is left out (empty text, no entry), never guessed, so that it cannot match an identity.
    Subject and issuer are RFC 4514 text with control characters as hexadecimal pairs;
    ``common_name`` is the exact text. IP addresses among the names are not identities here.
    """
    with _quiet():
        san = _attempt(lambda: _alternative_names(certificate), None)
        return PeerCertificate(
            der=certificate.public_bytes(Encoding.DER),
            pem=certificate.public_bytes(Encoding.PEM).decode("ascii"),
            common_name=_attempt(lambda: _common_name(certificate.subject), ""),
            subject=_attempt(lambda: _distinguished_name(certificate.subject), ""),
            issuer=_attempt(lambda: _distinguished_name(certificate.issuer), ""),
            serial=_attempt(lambda: certificate.serial_number, 0),
            not_before=_attempt(lambda: _seconds(certificate.not_valid_before_utc), 0.0),
            not_after=_attempt(lambda: _seconds(certificate.not_valid_after_utc), 0.0),
            san_dns=_values(san, x509.DNSName),
            san_uri=_values(san, x509.UniformResourceIdentifier),
            san_email=_values(san, x509.RFC822Name),
        )


def subject_of(certificate: x509.Certificate) -> str:
    """RFC 4514 text, most specific part first, safe to print; empty when it cannot be read."""
    with _quiet():
        return _attempt(lambda: _distinguished_name(certificate.subject), "")


def describe_subject(certificate: x509.Certificate | None) -> str:
    """A short `` (subject CN=...)`` for an explanation; empty when there is nothing to say."""
    subject = "" if certificate is None else subject_of(certificate)
    if len(subject) > _SHOWN:
        subject = subject[: _SHOWN - 3] + "..."
    return f" (subject {subject})" if subject else ""


def _attempt(read: Callable[[], _Value], otherwise: _Value) -> _Value:
    """``read()``, or ``otherwise`` when the certificate is malformed there."""
    try:
        return read()
    except MALFORMED:
        return otherwise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings ``cryptography`` gives of odd but readable certificates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _distinguished_name(name: x509.Name) -> str:
    text = name.rfc4514_string()
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else "".join(f"\\{byte:02X}" for byte in c.encode("utf-8"))
        for c in text
    )


def _common_name(name: x509.Name) -> str:
    values = (attribute.value for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME))
    return ",".join(value for value in values if isinstance(value, str))


def _seconds(moment: datetime.datetime) -> float:
    return moment.timestamp()


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    return extension.value


def _values(
    san: x509.SubjectAlternativeName | None,
    kind: type[x509.DNSName] | type[x509.UniformResourceIdentifier] | type[x509.RFC822Name],
) -> tuple[str, ...]:
    return () if san is None else tuple(san.get_values_for_type(kind))

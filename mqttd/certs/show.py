"""What stands in a certificate or a revocation list, for people and for programs."""

from __future__ import annotations

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID

from mqttd.certs.errors import CertsProblem
from mqttd.certs.index import serial_text
from mqttd.tls.certificates import extension_of, load_certificates
from mqttd.tls.files import FileProblem, read_pem
from mqttd.tls.peer import peer_certificate

_CRL = b"-----BEGIN X509 CRL-----"
_MOST_REVOKED = 1_000


def describe_file(path: str) -> list[dict[str, Any]]:
    """Each certificate, or the revocation list, of a PEM file as fields.

    Raises :exc:`CertsProblem`.
    """
    try:
        source = read_pem(path, ".")
        if _CRL in source.data:
            return [describe_crl(_load_crl(source.data, path))]
        return [describe_certificate(each) for each in load_certificates(source)]
    except FileProblem as problem:
        raise CertsProblem(problem.message, problem.cure) from None


def describe_certificate(
    certificate: x509.Certificate, now: datetime.datetime | None = None
) -> dict[str, Any]:
    """The fields of a certificate; what it does not have is left out."""
    now = datetime.datetime.now(datetime.UTC) if now is None else now
    read = peer_certificate(certificate)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    fields: dict[str, Any] = {
        "subject": read.subject,
        "issuer": read.issuer,
        "serial": serial_text(certificate.serial_number),
        "not_before": _moment(begin),
        "not_after": _moment(end),
        "days_left": (end - now).days,
        "key": _key(certificate),
        "fingerprint_sha256": certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
    }
    constraints = extension_of(certificate, x509.BasicConstraints)
    fields["ca"] = constraints is not None and constraints.ca
    names = extension_of(certificate, x509.SubjectAlternativeName)
    if names:
        fields["names"] = [str(name.value) for name in names]
    usage = extension_of(certificate, x509.ExtendedKeyUsage)
    if usage:
        fields["usage"] = [oid._name for oid in usage]
    crl_urls = _distribution_points(certificate)
    if crl_urls:
        fields["crl_urls"] = crl_urls
    ocsp_urls = _ocsp_urls(certificate)
    if ocsp_urls:
        fields["ocsp_urls"] = ocsp_urls
    feature = extension_of(certificate, x509.TLSFeature)
    if feature is not None and x509.TLSFeatureType.status_request in feature:
        fields["must_staple"] = True
    return fields


def describe_crl(
    crl: x509.CertificateRevocationList, now: datetime.datetime | None = None
) -> dict[str, Any]:
    """The fields of a revocation list, and the first thousand of what it revokes."""
    now = datetime.datetime.now(datetime.UTC) if now is None else now
    fields: dict[str, Any] = {
        "crl_of": crl.issuer.rfc4514_string(),
        "last_update": _moment(crl.last_update_utc),
    }
    if crl.next_update_utc is not None:
        fields["next_update"] = _moment(crl.next_update_utc)
        fields["expired"] = crl.next_update_utc < now
    fields["revoked_count"] = len(crl)
    fields["revoked"] = [
        f"{serial_text(each.serial_number)} on {_moment(each.revocation_date_utc)}"
        for each in list(crl[: min(len(crl), _MOST_REVOKED)])
    ]
    return fields


def _load_crl(data: bytes, path: str) -> x509.CertificateRevocationList:
    try:
        return x509.load_pem_x509_crl(data)
    except ValueError as problem:
        raise CertsProblem(f"{path} holds a revocation list that cannot be read: {problem}") from (
            None
        )


def _moment(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _key(certificate: x509.Certificate) -> str:
    try:
        public = certificate.public_key()
    except Exception:  # of a kind that is not known
        return "unknown"
    if isinstance(public, rsa.RSAPublicKey):
        return f"RSA {public.key_size}"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return f"EC {public.curve.name}"
    return type(public).__name__.removesuffix("PublicKey")


def _distribution_points(certificate: x509.Certificate) -> list[str]:
    points = extension_of(certificate, x509.CRLDistributionPoints)
    return [str(name.value) for point in points or () for name in point.full_name or ()]


def _ocsp_urls(certificate: x509.Certificate) -> list[str]:
    access = extension_of(certificate, x509.AuthorityInformationAccess)
    return [
        str(each.access_location.value)
        for each in access or ()
        if each.access_method == AuthorityInformationAccessOID.OCSP
    ]

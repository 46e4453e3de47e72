"""Whether a certificate is good for a server or a client, judged by OpenSSL as in a handshake."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from mqttd.certs.errors import CertsProblem
from mqttd.tls.certificates import extension_of, load_certificates
from mqttd.tls.files import FileProblem, read_pem
from mqttd.tls.issue import CLIENT, SERVER
from mqttd.tls.peer import subject_of

PURPOSES = {"server": SERVER, "client": CLIENT}
"""What a certificate can be verified for."""


def verify_file(
    path: str,
    *,
    ca: str,
    purpose: str | None = None,
    host: str | None = None,
    crl: str | None = None,
) -> list[str]:
    """What is wrong with the first certificate in ``path``; nothing when it is good.

    The other certificates in ``path`` are its intermediates; ``ca`` holds what is trusted,
    ``crl`` a revocation list. Raises :exc:`CertsProblem` when a file cannot be used.
    """
    try:
        leaf, *others = load_certificates(read_pem(path, "."))
        trusted = load_certificates(read_pem(ca, "."))
        lists = [] if crl is None else [x509.load_pem_x509_crl(read_pem(crl, ".").data)]
    except FileProblem as problem:
        raise CertsProblem(problem.message, problem.cure) from None
    except ValueError:
        raise CertsProblem(f"{crl} is no revocation list", "give a PEM file") from None
    problems = [*_chain_problems(leaf, others, trusted, lists)]
    if purpose is not None and not _is_for(leaf, PURPOSES[purpose]):
        problems.append(f"it is not meant for TLS {purpose}s: extendedKeyUsage says otherwise")
    if host is not None and not has_name(leaf, host):
        problems.append(f"{host} is not in its subjectAltName")
    return problems


def has_name(certificate: x509.Certificate, host: str) -> bool:
    """Whether a client that connects to ``host`` finds it in the certificate (RFC 9525)."""
    names = extension_of(certificate, x509.SubjectAlternativeName)
    if names is None:
        return False
    try:
        return ipaddress.ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        pass
    wanted = host.lower().rstrip(".")
    rest = wanted.partition(".")[2]
    return any(
        name.lower() == wanted or (rest and name.lower() == f"*.{rest}")
        for name in names.get_values_for_type(x509.DNSName)
    )


def _chain_problems(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    lists: Sequence[x509.CertificateRevocationList],
) -> list[str]:
    store = crypto.X509Store()
    for each in trusted:
        store.add_cert(crypto.X509.from_cryptography(each))
    for crl in lists:
        store.add_crl(crl)
    if lists:
        store.set_flags(crypto.X509StoreFlags.CRL_CHECK)
    context = crypto.X509StoreContext(
        store,
        crypto.X509.from_cryptography(leaf),
        [crypto.X509.from_cryptography(each) for each in others],
    )
    try:
        context.verify_certificate()
    except crypto.X509StoreContextError as problem:
        culprit = problem.certificate.to_cryptography()
        return [f"{problem} ({subject_of(culprit) or 'a certificate without a subject'})"]
    return []


def _is_for(certificate: x509.Certificate, purpose: x509.ObjectIdentifier) -> bool:
    usage = extension_of(certificate, x509.ExtendedKeyUsage)
    return (
        usage is None or purpose in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in (usage)
    )

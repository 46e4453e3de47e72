"""Looks at ``ssl_options.ocsp`` before it is used: is there a responder, and the right issuer?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from mqttd.config.errors import Finding, error, warning
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.schema.revocation import OcspClientOptions
from mqttd.config.schema.tls import OcspOptions
from mqttd.revocation.ocsp_message import responder_of, url_problem
from mqttd.tls.certificates import extension_of, load_certificates
from mqttd.tls.files import FileProblem, read_pem
from mqttd.tls.peer import subject_of


def must_staple(certificate: x509.Certificate) -> bool:
    """Whether clients may refuse the certificate without a stapled response (RFC 7633)."""
    feature = extension_of(certificate, x509.TLSFeature)
    return feature is not None and x509.TLSFeatureType.status_request in feature


def find_issuer(
    options: OcspOptions,
    chain: Sequence[x509.Certificate],
    base_dir: str | Path,
    path: str,
    cacertfile: str | None = None,
) -> tuple[x509.Certificate | None, list[Finding]]:
    """The certificate that issued the first one of ``chain``, and what is wrong with issuer_pem.

    Taken from ``issuer_pem`` when that is set (the certificate that fits, or else the first, which
    :func:`check_stapling` then complains of), else from the chain or ``cacertfile``. ``path`` is
    where the options stand (``listeners.ssl.default.ssl_options.ocsp``). Opens files.
    """
    if options.issuer_pem is not None:
        try:
            given = load_certificates(read_pem(options.issuer_pem, base_dir))
        except FileProblem as problem:
            return None, [error(f"{path}.issuer_pem", problem.message, problem.cure)]
        return _first_issuer(chain[0], given) or given[0], []
    issuer = _first_issuer(chain[0], chain[1:])
    if issuer is None and cacertfile is not None:
        with contextlib.suppress(FileProblem):  # said where the option itself is looked at
            issuer = _first_issuer(chain[0], load_certificates(read_pem(cacertfile, base_dir)))
    return issuer, []


def check_stapling(
    options: OcspOptions,
    chain: Sequence[x509.Certificate],
    issuer: x509.Certificate | None,
    path: str,
) -> list[Finding]:
    """Whether responses can be had for the first certificate of ``chain``.

    ``issuer`` is what :func:`find_issuer` found. A must-staple certificate without stapling is a
    warning; everything else is looked at only when stapling is on.
    """
    leaf = chain[0]
    if not options.enable_ocsp_stapling:
        return _check_unstapled(leaf, path)
    findings: list[Finding] = []
    name = subject_of(leaf) or "without a subject"
    findings += _check_url(options.responder_url, options.ssl, path)
    if options.responder_url is None and responder_of(leaf) is None:
        findings.append(
            error(
                f"{path}.responder_url",
                f"is not set, and the certificate ({name}) names no OCSP responder",
                "set responder_url, or turn enable_ocsp_stapling off",
            )
        )
    if issuer is None:
        # An issuer_pem that cannot be read has its own finding.
        if options.issuer_pem is None:
            findings.append(
                error(
                    f"{path}.issuer_pem",
                    f"is not set, and neither certfile nor cacertfile holds the issuer of {name}",
                    "set issuer_pem to the certificate of the authority that issued certfile",
                )
            )
    elif not _issued(leaf, issuer):
        findings.append(
            error(
                f"{path}.issuer_pem",
                f"holds {subject_of(issuer)}, which did not issue the certificate ({name})",
                "give the certificate of the authority that issued certfile",
            )
        )
    return findings


def check_ocsp_client(options: OcspClientOptions, path: str) -> list[Finding]:
    """Whether the responder of ``ocsp_client`` can be used; ``ssl`` is looked at elsewhere."""
    return _check_url(options.responder_url, options.ssl, path) if options.enable else []


def _check_url(url: str | None, tls: ClientTLSOptions, path: str) -> list[Finding]:
    if url is None:
        return []
    problem = url_problem(url)
    cure = "give an address such as http://HOST/PATH"
    if not problem and url.lower().startswith("https:") and not tls.enable:
        problem = "is an https address, but ssl.enable is false"
        cure = "give an http address, or remove ssl.enable"
    return [error(f"{path}.responder_url", problem, cure)] if problem else []


def _check_unstapled(leaf: x509.Certificate, path: str) -> list[Finding]:
    if not must_staple(leaf):
        return []
    return [
        warning(
            f"{path}.enable_ocsp_stapling",
            "is off, but the certificate demands a stapled OCSP response (must-staple), so "
            "clients that look for it refuse the connection",
            "turn it on, or use a certificate without must-staple",
        )
    ]


def _first_issuer(
    leaf: x509.Certificate, candidates: Iterable[x509.Certificate]
) -> x509.Certificate | None:
    return next((each for each in candidates if _issued(leaf, each)), None)


def _issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True

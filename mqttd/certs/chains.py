"""Certificate chains: who issued whom, what is missing, what is out of order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from mqttd.certs.material import CertificateFile, Material
from mqttd.config.errors import Finding, error, notice, warning
from mqttd.tls.certificates import extension_of, issued
from mqttd.tls.peer import subject_of


@attrs.frozen
class Sorted:
    """A bundle taken apart: own certificates, their intermediates in order, and roots."""

    users: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]


def find_issuer(
    certificate: x509.Certificate, among: Iterable[x509.Certificate]
) -> x509.Certificate | None:
    """The certificate that issued another; itself when it is self-signed; None when not there."""
    if issued(certificate, certificate):
        return certificate
    return next(
        (
            each
            for each in among
            if each.subject == certificate.issuer and issued(certificate, each)
        ),
        None,
    )


def chain_of(
    leaf: x509.Certificate, among: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """The leaf and its issuers in order, as far as they are there."""
    chain = [leaf]
    while len(chain) <= len(among) + 1:
        issuer = find_issuer(chain[-1], among)
        if issuer is None or issuer in chain:
            break
        chain.append(issuer)
    return tuple(chain)


def sort_bundle(certificates: Sequence[x509.Certificate]) -> Sorted:
    """Take a bundle apart, whatever its order; certificates that are there twice count once."""
    unique = list(dict.fromkeys(certificates))
    users = [each for each in unique if not _is_authority(each)]
    roots = [each for each in unique if _is_authority(each) and issued(each, each)]
    rest = [each for each in unique if each not in users and each not in roots]
    ordered: list[x509.Certificate] = []
    for user in users:
        ordered += [
            each for each in chain_of(user, unique)[1:] if each in rest and each not in ordered
        ]
    ordered += [each for each in rest if each not in ordered]
    return Sorted(tuple(users), tuple(ordered), tuple(roots))


def check_chain_complete(material: Material, *, cloud: bool) -> list[Finding]:
    """Whether an issuer is missing, and in which file it belongs."""
    leaf = material.leaf
    if leaf is None:
        return []
    chain = chain_of(leaf, material.presented)
    last = chain[-1]
    if issued(last, last):
        return []
    if len(chain) > 1:
        return []  # only the root is left out, which clients must have anyway
    address = issuer_address(leaf)
    where = material.chain.name if material.chain else material.certificate.name
    cure = f"append the certificate of {_issuer(leaf)} to {where}"
    if cloud and material.chain is None:
        cure = f"give the certificate of {_issuer(leaf)} with --chain"
    if address:
        cure += f"; it is at {address}"
    say = error if cloud else notice
    unless = "" if cloud else "; that is right only if it is a root that clients trust"
    return [say("chain-complete", f"the issuer {_issuer(leaf)} is not in the files{unless}", cure)]


def check_chain_order(material: Material, *, cloud: bool) -> list[Finding]:
    """Whether own certificate and issuers stand one behind the other, and nothing else."""
    leaf = material.leaf
    if leaf is None:
        return []
    presented = tuple(dict.fromkeys(material.presented))
    findings = [] if presented == material.presented else [_twice(material)]
    if _in_order(presented):
        return findings + (_check_split(material) if cloud else [])
    parts = sort_bundle(presented)
    start = leaf if not _is_authority(leaf) else (parts.users or (leaf,))[0]
    chain = chain_of(start, presented)
    strangers = [each for each in presented if each not in chain]
    for stranger in strangers:
        file = _file_of(stranger, material)
        findings.append(
            error(
                "chain-order",
                f"{_name(stranger)} in {file} is not part of the chain of {_name(start)}",
                f"remove it from {file}",
            )
        )
    kept = tuple(each for each in presented if each in chain)
    if kept != chain:
        order = ", ".join(f"{number}. {_name(each)}" for number, each in enumerate(chain, 1))
        findings.append(
            error(
                "chain-order",
                "the certificates are not in order",
                f"write them in this order: {order}; or let mqttd certs split do it",
            )
        )
    return findings


def issuer_address(certificate: x509.Certificate) -> str | None:
    """Where the issuer's certificate can be had, if the certificate says so."""
    access = extension_of(certificate, x509.AuthorityInformationAccess)
    for description in access or ():
        if description.access_method == AuthorityInformationAccessOID.CA_ISSUERS:
            return str(description.access_location.value)
    return None


def _check_split(material: Material) -> list[Finding]:
    if len(material.certificate.certificates) < 2:
        return []
    name = material.certificate.name
    return [
        warning(
            "chain-order",
            f"{name} holds {len(material.certificate.certificates)} certificates; the form has a "
            "field of its own for the chain",
            f"take it apart: mqttd certs split {name} --out-dir DIR",
        )
    ]


def _twice(material: Material) -> Finding:
    presented = material.presented
    name = _name(next(each for each in presented if presented.count(each) > 1))
    files = [material.certificate.name, *([material.chain.name] if material.chain else [])]
    return error(
        "chain-order",
        f"{name} stands twice in {' and '.join(files)}",
        f"remove it from {files[-1]}",
    )


def _in_order(chain: Sequence[x509.Certificate]) -> bool:
    return all(issued(chain[at], chain[at + 1]) for at in range(len(chain) - 1))


def _file_of(certificate: x509.Certificate, material: Material) -> str:
    files: list[CertificateFile] = [material.certificate]
    if material.chain is not None:
        files.append(material.chain)
    return next((file.name for file in files if certificate in file.certificates), files[0].name)


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = extension_of(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _name(certificate: x509.Certificate) -> str:
    return subject_of(certificate) or "a certificate without a subject"


def _issuer(certificate: x509.Certificate) -> str:
    return certificate.issuer.rfc4514_string()

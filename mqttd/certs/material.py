"""The files of one server, read as far as they can be read."""

from __future__ import annotations

import attrs
from cryptography import x509

from mqttd.config.errors import Finding, error
from mqttd.tls.certificates import ServerKey, load_certificates, load_key
from mqttd.tls.files import FileProblem, PemSource, read_pem


@attrs.frozen
class CertificateFile:
    """Certificates in the order they stand in a file."""

    name: str
    certificates: tuple[x509.Certificate, ...] = ()


@attrs.define
class Material:
    """What ``mqttd certs check`` looks at; what could not be read has a finding in ``unread``."""

    certificate: CertificateFile
    chain: CertificateFile | None = None
    client_ca: CertificateFile | None = None
    key_source: PemSource | None = None
    key: ServerKey | None = None
    unread: list[Finding] = attrs.Factory(list)

    @property
    def leaf(self) -> x509.Certificate | None:
        """The server's own certificate: the first of its file."""
        return self.certificate.certificates[0] if self.certificate.certificates else None

    @property
    def presented(self) -> tuple[x509.Certificate, ...]:
        """Everything of certificate and chain, in the order clients would get it."""
        return self.certificate.certificates + (self.chain.certificates if self.chain else ())


def read_material(
    certificate: str,
    key: str | None = None,
    chain: str | None = None,
    client_ca: str | None = None,
) -> Material:
    """Read the files; relative paths start at the working directory. Never raises."""
    unread: list[Finding] = []
    material = Material(
        _read_certificates(certificate, unread),
        None if chain is None else _read_certificates(chain, unread),
        None if client_ca is None else _read_certificates(client_ca, unread),
        unread=unread,
    )
    if key is not None:
        _read_key(key, material)
    return material


def is_encrypted(source: PemSource) -> bool:
    """Whether a private key needs a password."""
    return b"ENCRYPTED" in source.data


def _read_certificates(path: str, unread: list[Finding]) -> CertificateFile:
    try:
        return CertificateFile(path, tuple(load_certificates(read_pem(path, "."))))
    except FileProblem as problem:
        unread.append(error("pem", problem.message, problem.cure))
        return CertificateFile(path)


def _read_key(path: str, material: Material) -> None:
    try:
        material.key_source = source = read_pem(path, ".")
        if not is_encrypted(source):
            material.key = load_key(source, None)
    except FileProblem as problem:
        material.unread.append(error("pem", problem.message, problem.cure))

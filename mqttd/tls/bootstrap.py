"""First start: a local authority and a server certificate of its own for every installation."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import ipaddress
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mqttd.config.errors import ConfigurationErrors, error
from mqttd.config.schema.tls import DEFAULT_CERTFILE, DEFAULT_KEYFILE, SslOptions
from mqttd.tls.files import resolve

DEFAULT_CACERTFILE: Final = "etc/certs/cacert.pem"
"""Where the certificate of the local authority is put."""
SERVER_DAYS: Final = 365
AUTHORITY_DAYS: Final = 3650
_SKEW: Final = datetime.timedelta(hours=1)
"""Certificates begin this long ago, for clients whose clock is behind."""


def ensure_default_certificates(
    options: SslOptions,
    base_dir: str | Path = ".",
    *,
    path: str = "ssl_options",
    host_name: str | None = None,
) -> list[str]:
    """Make the default certificate files when ``options`` names them and none of them exists.

    Returns lines for the operator; none when there was nothing to do. Files at other places
    are never made. When only some of the three files are there nothing is touched:
    :exc:`ConfigurationErrors` names what is there and what is missing. Two brokers that start at a
    time make one set. The authority's key is used once and forgotten: no other certificate can
    ever be issued in its name. ``host_name`` None means this machine's.
    """
    if options.keyfile != DEFAULT_KEYFILE or options.certfile != DEFAULT_CERTFILE:
        return []
    key, cert, cacert = (
        resolve(name, base_dir) for name in (DEFAULT_KEYFILE, DEFAULT_CERTFILE, DEFAULT_CACERTFILE)
    )
    if all(os.path.lexists(file) for file in (key, cert)) and (
        options.cacertfile != DEFAULT_CACERTFILE or os.path.lexists(cacert)
    ):
        return []
    try:
        cert.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(cert.parent):
            return _make_if_none(key, cert, cacert, path, host_name)
    except OSError as problem:
        raise ConfigurationErrors(
            [
                error(
                    f"{path}.certfile",
                    f"the first certificate cannot be made in {cert.parent}: {problem.strerror}",
                    "make the folder writable for the user who runs the broker, or put your own "
                    "certificate there",
                )
            ]
        ) from None


def _make_if_none(
    key: Path, cert: Path, cacert: Path, path: str, host_name: str | None
) -> list[str]:
    files = {"keyfile": key, "certfile": cert, "cacertfile": cacert}
    present = [str(file) for file in files.values() if os.path.lexists(file)]
    if len(present) == len(files):
        return []
    if present:
        there = " and ".join(present)
        raise ConfigurationErrors(
            [
                error(
                    f"{path}.{option}",
                    f"{file} does not exist, but {there} does; nothing is overwritten",
                    f"put {file} there, or move {there} away for a new set to be made",
                )
                for option, file in files.items()
                if not os.path.lexists(file)
            ]
        )
    names = _names(socket.gethostname() if host_name is None else host_name)
    contents = make_certificates(names)
    made: list[Path] = []
    try:
        # The certificate comes last: it is only there with everything that belongs to it.
        for file, content, mode in zip(
            (key, cacert, cert), contents, (0o600, 0o644, 0o644), strict=True
        ):
            _write_new(file, content, mode)
            made.append(file)
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        raise
    shown = ", ".join(str(name.value) for name in names)
    return [
        f"made a first server certificate, {cert} (for {shown}; {SERVER_DAYS} days), and its key, "
        f"{key}",
        f"clients trust it with {cacert}; the key of that authority was not kept, so nothing else "
        "can be issued by it",
    ]


def make_certificates(names: list[x509.GeneralName]) -> tuple[bytes, bytes, bytes]:
    """PEM of a new server key, of a new authority's certificate, and of the server's certificate.

    EC P-256, ``names`` as subjectAltName. The authority's subject holds random text, so that two
    installations' authorities are never taken for each other.
    """
    begin = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - _SKEW
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "mqttd"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"mqttd local CA {secrets.token_hex(4)}"),
        ]
    )
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        x509.CertificateBuilder()
        .subject_name(authority_name)
        .issuer_name(authority_name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _SKEW + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(authority_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mqttd")]))
        .issuer_name(authority_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _SKEW + datetime.timedelta(days=SERVER_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        authority.public_bytes(Encoding.PEM),
        certificate.public_bytes(Encoding.PEM),
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _names(host_name: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    host = host_name.strip().rstrip(".").lower()
    if host and host != "localhost" and host.isascii() and host.isprintable():
        with contextlib.suppress(ValueError):
            names.append(x509.DNSName(host))
    return names


def _write_new(file: Path, content: bytes, mode: int) -> None:
    """Create ``file`` whole or not at all, and never over another one."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(descriptor, mode)  # the umask has no say: the key is never open to others
            os.fsync(descriptor)
        os.link(beside, file)  # unlike a rename it fails when somebody else made the file
    finally:
        beside.unlink()


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold a lock on ``folder`` against another broker that starts now."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""First start: a local authority and a server certificate of its own for every installation."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.config.errors import ConfigurationErrors, error
from mqttd.config.schema.tls import DEFAULT_CERTFILE, DEFAULT_KEYFILE, SslOptions
from mqttd.tls.files import resolve
from mqttd.tls.issue import (
    SERVER,
    Wanted,
    key_pem,
    make_authority,
    make_certificate,
    name_of,
    new_key,
    write_new,
)

DEFAULT_CACERTFILE: Final = "etc/certs/cacert.pem"
"""Where the certificate of the local authority is put."""
SERVER_DAYS: Final = 365
AUTHORITY_DAYS: Final = 3650


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
            write_new(file, content, mode)
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
    authority_key = new_key("ec")
    authority_name = name_of(f"mqttd local CA {secrets.token_hex(4)}", "mqttd")
    authority = make_authority(authority_key, authority_name, days=AUTHORITY_DAYS)
    key = new_key("ec")
    certificate = make_certificate(
        key,
        name_of("mqttd"),
        Wanted(days=SERVER_DAYS, usage=SERVER, names=names),
        issuer=authority,
        issuer_key=authority_key,
    )
    return (
        key_pem(key),
        authority.public_bytes(Encoding.PEM),
        certificate.public_bytes(Encoding.PEM),
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

"""Taking a bundle of certificates apart into the files a form or an option wants."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.certs.chains import sort_bundle
from mqttd.certs.errors import CertsProblem
from mqttd.tls.certificates import load_certificates
from mqttd.tls.files import FileProblem, read_pem
from mqttd.tls.issue import write_new

USER = "user.pem"
CHAIN = "chain.pem"
ROOT = "root.pem"


def split_bundle(path: str, folder: Path, *, force: bool = False) -> dict[Path, int]:
    """Write ``user.pem``, ``chain.pem`` (intermediates in order) and ``root.pem`` into ``folder``.

    The order in the bundle does not matter. Returns the files with how many certificates each
    has; a file that would be empty is not written. Raises :exc:`CertsProblem`.
    """
    try:
        parts = sort_bundle(load_certificates(read_pem(path, ".")))
    except FileProblem as problem:
        raise CertsProblem(problem.message, problem.cure) from None
    if len(parts.users) > 1:
        raise CertsProblem(
            f"{path} holds {len(parts.users)} certificates that are no CA's",
            "give a bundle of one server certificate and its issuers",
        )
    contents = {
        folder / name: certificates
        for name, certificates in (
            (USER, parts.users),
            (CHAIN, parts.intermediates),
            (ROOT, parts.roots),
        )
        if certificates
    }
    there = [str(file) for file in contents if os.path.lexists(file)]
    if there and not force:
        raise CertsProblem(
            f"exists already: {', '.join(there)}", "name another --out-dir, or overwrite: --force"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, certificates in contents.items():
            write_new(file, _pem(certificates), 0o644, replace=force)
    except OSError as problem:
        raise CertsProblem(f"{problem.filename}: {problem.strerror}") from None
    return {file: len(certificates) for file, certificates in contents.items()}


def _pem(certificates: tuple[x509.Certificate, ...]) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)

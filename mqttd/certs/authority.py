"""A certificate authority in a folder: its key, its certificate, what it issued and revoked."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.certs.errors import CertsProblem
from mqttd.certs.index import REASONS, Entry, entry_of, parse_index, serial_text, show_index
from mqttd.tls.certificates import load_certificates, load_key
from mqttd.tls.files import FileProblem, read_pem
from mqttd.tls.issue import (
    IssuingKey,
    Wanted,
    authority_identifier,
    key_pem,
    make_authority,
    make_certificate,
    name_of,
    new_key,
    write_new,
)

CERTIFICATE: Final = "ca.pem"
KEY: Final = "ca.key"
INDEX: Final = "index.txt"
CRL: Final = "crl.pem"
NUMBER: Final = "crlnumber"

_CERT_MODE: Final = 0o644
_LATE: Final = datetime.timedelta(minutes=1)
_KEY_MODE: Final = 0o600


def create_authority(
    folder: Path, common_name: str, *, days: int, key_kind: str, force: bool = False
) -> Authority:
    """Make a new authority in ``folder``, which is created when it is not there.

    Nothing is overwritten unless ``force``: then a new authority takes the place of the old, and
    certificates of the old one are no longer good. Raises :exc:`CertsProblem`.
    """
    with _no_oserror(), _name_problem():
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        key = new_key(key_kind)
        certificate = make_authority(key, name_of(common_name), days=days)
        with _locked(folder):
            there = [name for name in (KEY, CERTIFICATE, INDEX) if os.path.lexists(folder / name)]
            if there and not force:
                raise CertsProblem(
                    f"{folder} holds an authority already ({', '.join(there)})",
                    "name another folder, or replace the authority for good with --force",
                )
            for name in (CRL, NUMBER):
                (folder / name).unlink(missing_ok=True)
            write_new(folder / KEY, key_pem(key), _KEY_MODE, replace=force)
            write_new(folder / INDEX, b"", _CERT_MODE, replace=force)
            # Without it "openssl ocsp" stops at a second certificate for a name.
            write_new(folder / f"{INDEX}.attr", b"unique_subject = no\n", _CERT_MODE, replace=True)
            pem = certificate.public_bytes(Encoding.PEM)
            write_new(folder / CERTIFICATE, pem, _CERT_MODE, replace=force)
    return Authority(folder, certificate, key)


def open_authority(folder: Path) -> Authority:
    """The authority in ``folder``. Raises :exc:`CertsProblem`.

    A folder that OpenSSL made will do, when its key and certificate have our names for them.
    """
    try:
        certificate = load_certificates(read_pem(CERTIFICATE, folder))[0]
        key = load_key(read_pem(KEY, folder), None)
    except FileProblem as problem:
        raise CertsProblem(problem.message, f"{problem.cure}; mqttd certs ca makes one") from None
    if not isinstance(key, IssuingKey) or key.public_key() != certificate.public_key():
        raise CertsProblem(
            f"the key in {folder / KEY} is not that of {folder / CERTIFICATE}",
            "put both from one authority there",
        )
    return Authority(folder, certificate, key)


@attrs.frozen
class Authority:
    """Issues and revokes. Every method writes what it did into the folder before it returns.

    All raise :exc:`CertsProblem`. Two processes at a time take turns.
    """

    folder: Path
    certificate: x509.Certificate
    key: IssuingKey = attrs.field(repr=False)

    def issue(
        self, common_name: str, wanted: Wanted, *, key_kind: str, out: Path, force: bool = False
    ) -> tuple[Path, Path]:
        """Make a key and a certificate; return the files ``OUT.pem`` and ``OUT.key``."""
        files = (out.with_name(f"{out.name}.pem"), out.with_name(f"{out.name}.key"))
        with _no_oserror(), _name_problem():
            there = [str(file) for file in files if os.path.lexists(file)]
            if there and not force:
                raise CertsProblem(
                    f"{' and '.join(there)} exists already"
                    if len(there) == 1
                    else f"{' and '.join(there)} exist already",
                    "choose another --out, or overwrite with --force",
                )
            key = new_key(key_kind)
            certificate = make_certificate(
                key,
                name_of(common_name),
                wanted,
                issuer=self.certificate,
                issuer_key=self.key,
            )
            out.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.folder):
                # First into the index: what is not there cannot be revoked.
                self._write_index([*self.entries(), entry_of(certificate)])
                pem = certificate.public_bytes(Encoding.PEM)
                write_new(files[1], key_pem(key), _KEY_MODE, replace=force)
                write_new(files[0], pem, _CERT_MODE, replace=force)
        return files

    def entries(self) -> list[Entry]:
        """Everything that was issued, oldest first."""
        file = self.folder / INDEX
        try:
            return parse_index(file.read_text("utf-8"), str(file))
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as problem:
            raise CertsProblem(f"{file} cannot be read: {problem}") from None

    def revoke(self, serial: int, reason: str = "") -> Entry:
        """Mark a certificate as revoked from now on; a new list is to be made then.

        Revoking again changes nothing but the reason.
        """
        if reason and reason not in REASONS:
            raise CertsProblem(f"{reason} is no reason", f"one of: {', '.join(REASONS)}")
        with _no_oserror(), _locked(self.folder):
            entries = self.entries()
            for at, entry in enumerate(entries):
                if entry.serial == serial:
                    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
                    entries[at] = attrs.evolve(
                        entry, revoked=entry.revoked or now, reason=reason or entry.reason
                    )
                    self._write_index(entries)
                    return entries[at]
        raise CertsProblem(
            f"no certificate with serial number {serial_text(serial)} was issued here",
            f"{self.folder / INDEX} lists what was",
        )

    def make_crl(self, days: float, *, url: str | None = None) -> x509.CertificateRevocationList:
        """Write the list of what is revoked as ``crl.pem``, good for ``days``, and return it.

        Expired certificates are left out. With ``url`` the list says that it is the one of that
        distribution point (RFC 5280 section 5.2.5).
        """
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        with _no_oserror(), _locked(self.folder):
            number = self._next_number()
            builder = (
                x509.CertificateRevocationListBuilder()
                .issuer_name(self.certificate.subject)
                # clocks of those who check run a little behind ours
                .last_update(now - _LATE)
                .next_update(now + datetime.timedelta(days=days))
                .add_extension(x509.CRLNumber(number), critical=False)
                .add_extension(authority_identifier(self.certificate), critical=False)
            )
            if url is not None:
                builder = builder.add_extension(_scope(url), critical=True)
            for entry in self.entries():
                if entry.revoked is not None and entry.expires > now:
                    builder = builder.add_revoked_certificate(_revoked(entry, entry.revoked))
            crl = builder.sign(self.key, hashes.SHA256())
            pem = crl.public_bytes(Encoding.PEM)
            write_new(self.folder / CRL, pem, _CERT_MODE, replace=True)
        return crl

    def _next_number(self) -> int:
        file = self.folder / NUMBER
        try:
            number = int(file.read_text("ascii").strip(), 16)
        except FileNotFoundError:
            number = 1
        except ValueError:
            raise CertsProblem(
                f"{file} holds no number", "write the next one, such as 0A"
            ) from None
        write_new(file, f"{serial_text(number + 1)}\n".encode(), _CERT_MODE, replace=True)
        return number

    def _write_index(self, entries: list[Entry]) -> None:
        text = show_index(entries)
        write_new(self.folder / INDEX, text.encode("utf-8"), _CERT_MODE, replace=True)


def _scope(url: str) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def _revoked(entry: Entry, when: datetime.datetime) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(when)
    reason = REASONS.get(entry.reason)
    # "unspecified" should not be written (RFC 5280 section 5.3.1).
    if reason is not None and reason is not x509.ReasonFlags.unspecified:
        builder = builder.add_extension(x509.CRLReason(reason), critical=False)
    return builder.build()


@contextlib.contextmanager
def _no_oserror() -> Iterator[None]:
    try:
        yield
    except FileExistsError as problem:
        raise CertsProblem(f"{problem.filename2 or problem.filename} exists already") from None
    except OSError as problem:
        raise CertsProblem(
            f"{problem.filename}: {problem.strerror}", "make the folder writable"
        ) from None


@contextlib.contextmanager
def _name_problem() -> Iterator[None]:
    """A ValueError of ``cryptography`` about what the operator wrote."""
    try:
        yield
    except ValueError as problem:
        raise CertsProblem(str(problem)) from None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against another process; its index must not lose a line."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

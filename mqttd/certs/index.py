"""The list of what an authority issued, in the form of OpenSSL's ``index.txt``."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Final

import attrs
from cryptography import x509

from mqttd.certs.errors import CertsProblem
from mqttd.tls.peer import subject_of

REASONS: Final = {
    "unspecified": x509.ReasonFlags.unspecified,
    "keyCompromise": x509.ReasonFlags.key_compromise,
    "CACompromise": x509.ReasonFlags.ca_compromise,
    "affiliationChanged": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessationOfOperation": x509.ReasonFlags.cessation_of_operation,
    "certificateHold": x509.ReasonFlags.certificate_hold,
}
"""Why a certificate may be revoked, by OpenSSL's names (RFC 5280 section 5.3.1)."""

_DATE: Final = "%y%m%d%H%M%SZ"
_LONG_DATE: Final = "%Y%m%d%H%M%SZ"


@attrs.frozen
class Entry:
    """One certificate that was issued; ``revoked`` is when, or None."""

    serial: int
    expires: datetime.datetime
    subject: str
    revoked: datetime.datetime | None = None
    reason: str = ""

    def line(self) -> str:
        """The entry as OpenSSL writes it, with the newline."""
        revoked = ""
        if self.revoked is not None:
            revoked = _date(self.revoked) + (f",{self.reason}" if self.reason else "")
        status = "R" if self.revoked is not None else "V"
        fields = (status, _date(self.expires), revoked, serial_text(self.serial), "unknown")
        return "\t".join((*fields, self.subject)) + "\n"


def entry_of(certificate: x509.Certificate) -> Entry:
    """The entry of a certificate that was just issued."""
    return Entry(
        certificate.serial_number,
        certificate.not_valid_after_utc,
        _one_line(certificate),
    )


def serial_text(serial: int) -> str:
    """A serial number as OpenSSL shows it: an even number of upper case hexadecimal digits."""
    text = f"{serial:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def parse_index(text: str, name: str) -> list[Entry]:
    """The entries of an ``index.txt``. Raises :exc:`CertsProblem` that names the bad line."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                entries.append(_parse(line))
            except (ValueError, IndexError):
                raise CertsProblem(
                    f"line {number} of {name} is not as OpenSSL writes it",
                    "take the file from a backup",
                ) from None
    return entries


def show_index(entries: Iterable[Entry]) -> str:
    """The text of an ``index.txt``."""
    return "".join(entry.line() for entry in entries)


def _parse(line: str) -> Entry:
    status, expires, revoked, serial, _file, subject = line.split("\t")
    if status not in {"V", "R", "E"} or (status == "R") != bool(revoked) or "-" in serial:
        raise ValueError(line)
    when, _, reason = revoked.partition(",")
    return Entry(
        int(serial, 16),
        _moment(expires),
        subject,
        _moment(when) if when else None,
        reason,
    )


def _date(moment: datetime.datetime) -> str:
    # From 2050 on X.509 writes years with four digits, and so does OpenSSL here.
    return moment.strftime(_DATE if moment.year < 2050 else _LONG_DATE)


def _moment(text: str) -> datetime.datetime:
    form = _DATE if len(text) == 13 else _LONG_DATE
    return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.UTC)


def _one_line(certificate: x509.Certificate) -> str:
    """The subject with slashes, most general part first."""
    parts = [part for rdn in certificate.subject.rdns for part in rdn]
    text = "".join(
        f"/{part.rfc4514_attribute_name}={part.value}"
        for part in parts
        if isinstance(part.value, str)
    )
    return text if text.isprintable() else f"/CN={subject_of(certificate)}"

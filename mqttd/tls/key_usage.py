"""Extended key usages a client certificate must have: ``verify_peer_ext_key_usage``."""

from __future__ import annotations

from typing import Final

import attrs
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mqttd.tls.peer import MALFORMED
from mqttd.tls.verdict import INVALID_PURPOSE, Verdict

_NAMES: Final = {
    "clientauth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "serverauth": ExtendedKeyUsageOID.SERVER_AUTH,
    "codesigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "emailprotection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocspsigning": ExtendedKeyUsageOID.OCSP_SIGNING,
}


@attrs.frozen
class KeyUsages:
    """Usages a certificate must have, all of them (RFC 5280 section 4.2.1.12)."""

    wanted: tuple[tuple[str, x509.ObjectIdentifier], ...]

    @classmethod
    def parse(cls, text: str) -> KeyUsages:
        """From ``clientAuth,OID:1.2.3``. Raises ValueError that names what is not known."""
        wanted = []
        for word in filter(None, (part.strip() for part in text.split(","))):
            if word[:4].upper() == "OID:":
                try:
                    wanted.append((word, x509.ObjectIdentifier(word[4:])))
                except ValueError:
                    raise ValueError(f"{word} is no object identifier") from None
            elif word.lower() in _NAMES:
                wanted.append((word, _NAMES[word.lower()]))
            else:
                raise ValueError(f"{word} is no extended key usage known here")
        if not wanted:
            raise ValueError("names no extended key usage")
        return cls(tuple(wanted))

    def objection(self, certificate: x509.Certificate) -> Verdict | None:
        """Why a certificate is refused; None when it has every usage wanted."""
        try:
            has = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except (x509.ExtensionNotFound, *MALFORMED):
            text = "it has no extended key usage, and the listener wants one"
            return Verdict(INVALID_PURPOSE, "certificate-usage", text)
        lacks = [name for name, usage in self.wanted if usage not in has]
        if not lacks:
            return None
        text = f"it lacks the extended key usage {', '.join(lacks)}"
        return Verdict(INVALID_PURPOSE, "certificate-usage", text)

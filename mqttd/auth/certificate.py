"""Client certificates as who a client is: names and fingerprints that are let in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from zope.interface import implementer

from mqttd.config.patterns import fits
from mqttd.config.schema.authentication import CertificateOptions
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.packets.reason_codes import ReasonCode


@implementer(IAuthenticator)
class CertificateAuthenticator:
    """See CertificateOptions. Raises ValueError for fingerprints that are none."""

    def __init__(self, options: CertificateOptions) -> None:
        self._options = options
        self._fingerprints = frozenset(_fingerprint(each) for each in options.fingerprints)
        self._has_rules = bool(
            self._fingerprints
            or options.common_names
            or options.subjects
            or options.dns_names
            or options.uris
            or options.emails
        )

    def authenticate(self, request: ConnectRequest) -> Identity | None:
        """See IAuthenticator."""
        certificate = request.peer.certificate
        if certificate is None:
            return None
        options = self._options
        if (
            not self._has_rules
            or hashlib.sha256(certificate.der).hexdigest() in self._fingerprints
            or _any(options.common_names, [certificate.common_name])
            or _any(options.subjects, [certificate.subject])
            or _any(options.dns_names, certificate.san_dns)
            or _any(options.uris, certificate.san_uri)
            or _any(options.emails, certificate.san_email)
        ):
            return Identity(username=request.username)
        raise Refused(ReasonCode.NOT_AUTHORIZED, "no rule lets this client certificate in")


def _any(patterns: Iterable[str], names: Iterable[str]) -> bool:
    present = [name for name in names if name]
    return any(fits(pattern, name) for pattern in patterns for name in present)


def _fingerprint(text: str) -> str:
    plain = text.replace(":", "").lower()
    if len(plain) != 64 or not all(each in "0123456789abcdef" for each in plain):
        raise ValueError("a fingerprint is SHA-256 in hexadecimal: 64 digits")
    return plain


def make(options: CertificateOptions, _context: PluginContext) -> CertificateAuthenticator:
    """The plugin's target. Raises ValueError."""
    return CertificateAuthenticator(options)

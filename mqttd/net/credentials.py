"""What admitted a client, remembered in little memory, and whether it would admit it again."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Final

from cryptography import x509

from mqttd.tls.trust_store import still_trusts
from mqttd.tls.verdict import ACCEPT, ACCEPTED, REVOKED, Verdict

if TYPE_CHECKING:
    from mqttd.net.connection import NetworkConnection

_REFUSED: Final = 50
"""``X509_V_ERR_APPLICATION_VERIFICATION``."""
_EXPIRED: Final = 10
_UNKNOWN_CA: Final = 20

EXPIRED: Final = Verdict(_EXPIRED, "certificate-expired", "client certificate expired")
WITHDRAWN: Final = Verdict(_REFUSED, "psk-unknown", "pre-shared key withdrawn")
ENDED: Final = Verdict(_REFUSED, "identity-expired", "authentication expired")
CHANGED: Final = Verdict(_REFUSED, "psk-wrong-key", "pre-shared key changed")
UNTRUSTED: Final = Verdict(_UNKNOWN_CA, "unknown-ca", "authority no longer trusted")

_MOST_ISSUERS: Final = 1_000
_issuers: dict[tuple[x509.Certificate, ...], tuple[x509.Certificate, ...]] = {}
_secret: Final = secrets.token_bytes(32)


def shared(issuers: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """An equal tuple that all connections with the same issuers have in common."""
    known = _issuers.get(issuers)
    if known is None:
        if len(_issuers) >= _MOST_ISSUERS:
            _issuers.clear()
        known = _issuers[issuers] = issuers
    return known


def fingerprint(key: bytes | None) -> bytes:
    """What tells a pre-shared key from others and does not give it away; empty without one.

    Made with a secret of this process: whoever reads it cannot try keys against it.
    """
    return b"" if key is None else hmac.digest(_secret, key, "sha256")


def told(verdict: Verdict) -> str:
    """What a client is told (MQTT 5 Reason String): nothing of what we know beyond."""
    if verdict in (EXPIRED, WITHDRAWN, CHANGED, UNTRUSTED, ENDED):
        return verdict.text
    if verdict.error == REVOKED:
        return "client certificate revoked"
    return "client certificate no longer accepted"


Known = MutableMapping[tuple[int, bool, bytes], Verdict]
"""Verdicts of one round by listener, whether its authorities changed, and certificate: many
clients may share one."""


def objection(connection: NetworkConnection, known: Known) -> Verdict:
    """Ask again what admitted a client, of what its listener trusts now.

    ACCEPTED when there is nothing against it, or nothing that could be; UNDECIDED when the judge
    must be asked. Takes microseconds, and some hundred for a certificate after the authorities
    changed. ``known`` is for this round's answers.
    """
    stage = connection.tls
    tls = connection.factory.tls_context
    if stage is None or tls is None:
        return ACCEPTED
    identity = connection.peer.psk_identity
    if identity is not None:
        key = None if tls.psk is None else tls.psk.key_for(identity)
        if key is None:
            return WITHDRAWN
        if not hmac.compare_digest(fingerprint(key), stage.key_fingerprint):
            return CHANGED
    certificate = connection.peer.certificate
    if certificate is None:
        return ACCEPTED
    server = tls.select(connection.peer.sni)
    again = server is not stage.server
    if not again and tls.judge is None:  # what else is asked changes with the listener's TLS
        return ACCEPTED
    place = (id(server), again, certificate.der)
    verdict = known.get(place)
    if verdict is None:
        chain = stage.chain()
        if again and not still_trusts(server, chain):
            verdict = UNTRUSTED
        else:
            verdict = tls.verdict_on(chain) or ACCEPTED
        known[place] = verdict
    if verdict.error == ACCEPT:
        stage.server = server
    return verdict

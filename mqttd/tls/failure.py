"""Why a TLS connection failed, in plain words: from alerts, OpenSSL's reasons and first bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509

from mqttd.tls.verdict import INVALID_PURPOSE, REJECTED, REVOKED, Verdict

ALERTS: Final = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""Alert descriptions by number (RFC 8446 section 6, RFC 5246 section 7.2)."""

_PEER_SAYS: Final = {
    40: "the peer found no common ground (suites, groups or a certificate it can use)",
    42: "the peer could not verify our certificate",
    43: "the peer does not support our kind of certificate",
    44: "the peer says our certificate is revoked",
    45: "the peer says our certificate has expired",
    46: "the peer does not accept our certificate",
    48: "the peer does not trust the authority that issued our certificate",
    49: "the peer denies access",
    70: "the peer does not accept our TLS version",
    71: "the peer demands stronger suites",
    80: "the peer had an internal error",
    86: "the peer refused a fallback to an older TLS version",
    112: "the peer does not serve the name asked for",
    115: "the peer does not know the pre-shared key identity",
    116: "the peer demands a certificate",
    120: "the peer does not speak the application protocol offered (ALPN)",
}
"""What an alert from the peer means, as far as more can be said than its name."""

_REASONS: Final = (
    ("no shared cipher", "no-shared-cipher", "client and server share no cipher suite"),
    ("no suitable signature algorithm", "no-shared-cipher", "no signature algorithm in common"),
    ("no shared signature alg", "no-shared-cipher", "no signature algorithm in common"),
    ("no suitable key share", "no-shared-cipher", "no key exchange group in common"),
    ("no suitable groups", "no-shared-cipher", "no key exchange group in common"),
    ("no shared groups", "no-shared-cipher", "no key exchange group in common"),
    ("unsupported protocol", "version", "the peer offers no TLS version that is allowed here"),
    ("version too low", "version", "the peer offers only TLS versions too old to be allowed here"),
    ("inappropriate fallback", "version", "the peer fell back to an older TLS version needlessly"),
    ("no protocols available", "version", "no TLS version is left to offer"),
    ("peer did not return a certificate", "no-certificate", "the peer sent no certificate"),
    ("no application protocol", "alpn", "the peer offers no application protocol spoken here"),
    ("psk identity not found", "psk-unknown", "the pre-shared key identity is not known"),
    ("bad extension", "malformed", "the peer sent a malformed extension"),
    ("binder does not verify", "bad-binder", "the peer's pre-shared key is another than ours"),
    ("bad signature", "bad-proof", "the peer does not own the key of its certificate"),
    ("decryption failed or bad record mac", "record", "a record was damaged or forged"),
    ("bad decrypt", "record", "a record was damaged or forged"),
    ("unexpected eof while reading", "truncated", "the connection ended in the middle"),
    ("no renegotiation", "renegotiation", "the peer asked for a renegotiation"),
)
"""OpenSSL's reason, a stable word for it, and our words."""


_WRONG_KEY: Final = frozenset({"record", "bad-binder"})
"""How a wrong pre-shared key looks: a damaged record, or in TLS 1.3 a bad binder."""


class TLSFailure(Exception):  # noqa: N818 - a failed connection, expected and handled
    """The TLS connection is over and was not closed in order.

    ``kind`` is a stable word to decide by, ``cause`` a sentence part for people. ``alert`` and
    ``alert_number`` are None when no alert was exchanged; ``alert_sent`` is True when it was
    ours. ``reasons`` are OpenSSL's words. ``plaintext`` is what was decrypted before, in the
    same call. Nothing in it is secret, but ``cause`` may quote a certificate's subject.
    """

    def __init__(
        self,
        kind: str,
        cause: str,
        *,
        alert_number: int | None = None,
        alert_sent: bool = False,
        reasons: Sequence[str] = (),
        plaintext: bytes = b"",
    ) -> None:
        super().__init__(cause)
        self.kind = kind
        self.cause = cause
        self.alert_number = alert_number
        self.alert = None if alert_number is None else alert_name(alert_number)
        self.alert_sent = alert_sent
        self.reasons = tuple(reasons)
        self.plaintext = plaintext
        self.certificate: x509.Certificate | None = None
        """The certificate of the peer's that was refused, or None."""
        self.verify_error: int | None = None
        """OpenSSL's ``X509_V_ERR_*`` for it."""
        self.verdict: Verdict | None = None
        """The judge's verdict on it, when it was asked."""

    def __str__(self) -> str:
        if self.alert is None:
            return self.cause
        whose = "sent" if self.alert_sent else "received"
        return f"{self.cause} ({whose} alert {self.alert_number} {self.alert})"


def alert_name(number: int) -> str:
    """The registered name of an alert, or ``alert_N``."""
    return ALERTS.get(number, f"alert_{number}")


_ALERTS_FOR: Final = {
    40: {50},
    42: {4, 5, 6, 9, 11, *range(13, 17), 27, REJECTED, *range(62, 69), 94},
    43: {INVALID_PURPOSE},
    44: {REVOKED},
    45: {10, 12},
    48: {2, 3, *range(18, 23), 25, 33, 79},
    51: {7, 8},
    80: {1, 17, 69, 70},
}
"""Alerts by ``X509_V_ERR_*``, measured (OpenSSL 4.0)."""


def alert_of(error: int) -> int:
    """The alert OpenSSL answers a certificate with that is refused for an ``X509_V_ERR_*``."""
    return next((alert for alert, errors in _ALERTS_FOR.items() if error in errors), 46)


def explain(
    reasons: Sequence[str],
    *,
    first_bytes: bytes,
    sent: int | None,
    received: int | None,
    rejected: str | None,
    plaintext: bytes = b"",
    psk_asked: bool = False,
    psk_known: bool = False,
) -> TLSFailure:
    """Put together what is known of a failure.

    ``first_bytes`` are what the peer began with while nothing of it was understood, else empty;
    ``sent`` and ``received`` fatal alerts; ``rejected`` why its certificate was refused;
    ``psk_asked`` whether it named a pre-shared key identity, ``psk_known`` whether that is known.
    """
    alert, ours = (received, False) if received is not None else (sent, True)
    kind, cause = _cause(reasons, first_bytes, received, rejected)
    if psk_asked and kind in _WRONG_KEY:
        if psk_known:
            kind, cause = "psk-wrong-key", "the pre-shared key is another than ours"
        else:  # it was given a random key
            kind, cause = "psk-unknown", "the pre-shared key identity is not known"
    return TLSFailure(
        kind,
        cause,
        alert_number=alert,
        alert_sent=ours and alert is not None,
        reasons=reasons,
        plaintext=plaintext,
    )


def _cause(
    reasons: Sequence[str], first_bytes: bytes, received: int | None, rejected: str | None
) -> tuple[str, str]:
    if received is not None:
        name = alert_name(received).replace("_", " ")
        return "alert", _PEER_SAYS.get(received, f"the peer gave up: {name}")
    if rejected is not None:
        return "bad-certificate", rejected
    if (foreign := foreign_protocol(first_bytes)) is not None:
        return foreign
    for needle, kind, cause in _REASONS:
        if any(needle in reason for reason in reasons):
            return kind, cause
    return "protocol", ", ".join(reasons) or "TLS failed for a reason OpenSSL does not give"


_HTTP_METHODS: Final = (
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"PATCH ",
    b"TRACE ",
    b"PRI * HTTP",
)
_PROXY_HEADERS: Final = (b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n")
FIRST_BYTES: Final = 16
"""How many bytes :func:`foreign_protocol` wants to see; OpenSSL gives up after 5 of them."""


def foreign_protocol(first_bytes: bytes) -> tuple[str, str] | None:
    """What a peer speaks that does not begin with TLS: kind and cause; None for TLS or nothing.

    A TLS connection starts with a handshake record: 0x16, 0x03 (RFC 8446 section 5.1).
    """
    if not first_bytes or first_bytes[:2] in {b"\x16\x03", b"\x16"}:
        return None
    if first_bytes[0] == 0x10:  # CONNECT is the only packet a client may begin with
        return "plain-mqtt", "the peer speaks MQTT without TLS"
    if _begins(first_bytes, _HTTP_METHODS):
        return "plain-http", "the peer speaks HTTP without TLS"
    if _begins(first_bytes, _PROXY_HEADERS):
        return "proxy-header", "the peer sends a PROXY protocol header, which is not expected here"
    if first_bytes[0] & 0x80 and first_bytes[2:3] == b"\x01":
        return "version", "the peer speaks SSL 2.0, which no longer exists"
    if first_bytes[:2] == b"\x15\x03":
        return "alert", "the peer sent an alert before anything else"
    return "not-tls", "the peer does not begin a TLS handshake"


def _begins(first_bytes: bytes, words: Sequence[bytes]) -> bool:
    return any(word.startswith(first_bytes[: len(word)]) for word in words)

"""The ``ssl_options`` section of ssl and wss listeners."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from mqttd.config.errors import InvalidValue
from mqttd.config.option import (
    BOOLEAN,
    PATH,
    PATH_OR_PEM,
    RAW,
    SECRET,
    TEXT,
    TEXT_LIST,
    Kind,
    choice,
    duration,
    integer,
    option,
    section,
)
from mqttd.config.types import Secret, nearest_text, parse_text_list

TLS_VERSIONS = ("tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1")
"""Every version name there is, newest first."""

DEFAULT_VERSIONS = ["tlsv1.3", "tlsv1.2"]
DEFAULT_KEYFILE = "etc/certs/key.pem"
DEFAULT_CERTFILE = "etc/certs/cert.pem"


def parse_versions(value: object) -> list[str]:
    """TLS versions newest first; unknown names and gaps are refused.

    A gap cannot be negotiated: a client of a newer version falls back to the next lower one it
    knows, and has to find it there.
    """
    names = [name.lower() for name in parse_text_list(value)]
    names = ["tlsv1" if name == "tlsv1.0" else name for name in names]
    known = f"known are {nearest_text(TLS_VERSIONS)}"
    if not names:
        raise InvalidValue("lists no TLS version", known)
    unknown = [name for name in names if name not in TLS_VERSIONS]
    if unknown:
        raise InvalidValue(f"unknown TLS version: {', '.join(unknown)[:200]}", known)
    positions = sorted({TLS_VERSIONS.index(name) for name in names})
    inside = range(positions[0], positions[-1] + 1)
    missing = [TLS_VERSIONS[position] for position in inside if position not in positions]
    if missing:
        raise InvalidValue(
            f"leaves a gap: {', '.join(missing)} is missing between "
            f"{TLS_VERSIONS[positions[0]]} and {TLS_VERSIONS[positions[-1]]}",
            f"add {', '.join(missing)}, or drop the older versions",
        )
    return [TLS_VERSIONS[position] for position in positions]


def _show_list(value: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in value) + "]"


def _parse_partial_chain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    words = ("true", "false", "cacert_from_cacertfile", "two_cacerts_from_cacertfile")
    result: str = choice(*words).parse(value)
    return result


@attrs.frozen(kw_only=True)
class OcspOptions:
    """OCSP stapling: ``ssl_options.ocsp``."""

    enable_ocsp_stapling: bool = option(
        BOOLEAN, False, "Staple an OCSP response for the server certificate. Not supported yet."
    )
    responder_url: str | None = option(TEXT, None, "URL of the OCSP responder.")
    issuer_pem: str | None = option(
        PATH_OR_PEM, None, "Certificate of the authority that issued the server certificate."
    )
    refresh_interval: float = option(duration(), 300.0, "Time between two fetches.")
    refresh_http_timeout: float = option(duration(0.001), 15.0, "Longest time one fetch may take.")


_ERLANG = "it tunes the Erlang runtime"


@attrs.frozen(kw_only=True)
class SslOptions:
    """TLS of one listener: ``listeners.{ssl,wss}.NAME.ssl_options``.

    Relative paths start at the directory the broker was started in.
    """

    keyfile: str | None = option(
        PATH_OR_PEM, DEFAULT_KEYFILE, "Private key of the server certificate, PEM."
    )
    certfile: str | None = option(
        PATH_OR_PEM,
        DEFAULT_CERTFILE,
        """Server certificate, PEM: the server's own first, then its issuers in order; the root may
        be left out.""",
    )
    cacertfile: str | None = option(
        PATH_OR_PEM,
        None,
        "Certificate authorities trusted for client certificates, PEM; needed by ``verify_peer``.",
    )
    password: Secret | None = option(
        SECRET, None, "Password of an encrypted ``keyfile``; ``file://PATH`` reads it from a file."
    )
    verify: str = option(
        choice("verify_none", "verify_peer"),
        "verify_none",
        "``verify_peer`` asks clients for a certificate and checks it; ``verify_none`` does not.",
    )
    fail_if_no_peer_cert: bool | None = option(
        BOOLEAN,
        None,
        """Refuse clients that send no certificate. Unset it is true with ``verify_peer``
        (EMQX: always false) and false with ``verify_none``.""",
        shown_default="true with verify_peer",
    )
    depth: int = option(
        integer(0, 100),
        10,
        "Most intermediate certificates between a client certificate and its root.",
    )
    versions: list[str] = option(
        Kind("TLS versions", parse_versions, _show_list),
        DEFAULT_VERSIONS,
        """TLS versions accepted: ``tlsv1.3``, ``tlsv1.2``, ``tlsv1.1``, ``tlsv1``, without a gap.
        The last two are weak and give a warning.""",
    )
    ciphers: list[str] = option(
        TEXT_LIST,
        [],
        """Cipher suites by their OpenSSL names, TLS 1.3 and older ones mixed, best first. Empty: a
        preselected list. Suites that are unknown or unavailable are named in a warning.""",
    )
    honor_cipher_order: bool = option(
        BOOLEAN, True, "The order of ``ciphers`` decides, not the client's."
    )
    dhfile: str | None = option(
        PATH, None, "Diffie-Hellman parameters, PEM; for DHE suites of TLS 1.2 and older."
    )
    handshake_timeout: float = option(
        duration(0.1), 15.0, "Longest time a TLS handshake may take."
    )
    ocsp: OcspOptions = section(OcspOptions, "OCSP stapling.")
    enable_crl_check: bool = option(
        BOOLEAN,
        False,
        "Refuse client certificates that a CRL lists as revoked. Not supported yet.",
    )
    reuse_sessions: bool = option(
        BOOLEAN,
        False,
        "Resume TLS sessions.",
        ignored="sessions are never resumed: a resumed session skips the check of the certificate",
    )
    session_tickets: str = option(
        choice("disabled", "stateless", "stateless_with_cert"),
        "disabled",
        "Resume TLS 1.3 sessions by tickets.",
        ignored="sessions are never resumed: a resumed session skips the check of the certificate",
    )
    secure_renegotiate: bool = option(
        BOOLEAN,
        True,
        "Refuse renegotiation without RFC 5746.",
        ignored="renegotiation is always off",
    )
    client_renegotiation: bool = option(
        BOOLEAN,
        False,
        "Let clients renegotiate.",
        ignored="renegotiation is always off: it lets one client keep the server computing",
    )
    hibernate_after: float = option(
        duration(infinity=True), 5.0, "Memory saving for idle connections.", ignored=_ERLANG
    )
    gc_after_handshake: bool = option(
        BOOLEAN, False, "Collect garbage after each handshake.", ignored=_ERLANG
    )
    log_level: str = option(
        TEXT,
        "notice",
        "Log level of the TLS library.",
        ignored="failed handshakes are logged by the listener, at the level of the log",
    )
    partial_chain: str = option(
        Kind("false or a rule", _parse_partial_chain),
        "false",
        "Accept chains that end in an intermediate of ``cacertfile``. Not supported yet.",
    )
    verify_peer_ext_key_usage: str | None = option(
        TEXT, None, "Extended key usages a client certificate must have. Not supported yet."
    )
    managed_certs: Any = option(
        RAW, None, "Certificates from EMQX's certificate store. Not supported yet."
    )

    @property
    def requires_peer_cert(self) -> bool:
        """Whether a client without a certificate is refused, with the default worked out."""
        if self.fail_if_no_peer_cert is None:
            return self.verify == "verify_peer"
        return self.fail_if_no_peer_cert

"""The ``ssl_options`` section of ssl and wss listeners."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any

import attrs

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
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.schema.revocation import OcspClientOptions
from mqttd.config.schema.versions import DEFAULT_VERSIONS, parse_versions, show_versions
from mqttd.config.types import Secret

DEFAULT_KEYFILE = "etc/certs/key.pem"
DEFAULT_CERTFILE = "etc/certs/cert.pem"


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
        BOOLEAN, False, "Staple an OCSP response for the server certificate (RFC 6066)."
    )
    responder_url: str | None = option(
        TEXT, None, "URL of the OCSP responder; unset: the one the certificate names (AIA)."
    )
    issuer_pem: str | None = option(
        PATH_OR_PEM,
        None,
        """Certificate of the authority that issued the server certificate; unset: the next one in
        ``certfile``, or the one in ``cacertfile``.""",
    )
    refresh_interval: float = option(
        duration(1),
        300.0,
        "Time between two fetches; sooner when the response ends sooner.",
    )
    refresh_http_timeout: float = option(duration(0.001), 15.0, "Longest time one fetch may take.")
    ssl: ClientTLSOptions = section(ClientTLSOptions, "TLS to responders with https addresses.")


@attrs.frozen(kw_only=True)
class SniOptions:
    """TLS for clients that ask for one server name: ``ssl_options.sni."NAME"``.

    ``NAME`` is a host name, or ``*.`` and one, which stands for one more label. What is not set
    here is as in ``ssl_options``; versions, suites and pre-shared keys always are.
    """

    certfile: str = option(PATH_OR_PEM, "", "Server certificate, PEM, as ``certfile`` above.")
    keyfile: str = option(PATH_OR_PEM, "", "Private key of ``certfile``, PEM.")
    password: Secret | None = option(SECRET, None, "Password of an encrypted ``keyfile``.")
    cacertfile: str | None = option(
        PATH_OR_PEM, None, "Certificate authorities trusted for clients that ask for this name."
    )
    verify: str | None = option(
        choice("verify_none", "verify_peer"),
        None,
        "Whether clients that ask for this name are asked for a certificate.",
    )
    fail_if_no_peer_cert: bool | None = option(
        BOOLEAN, None, "Refuse clients that ask for this name and send no certificate."
    )
    ocsp: OcspOptions | None = section(None, "OCSP stapling for this certificate.")


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
        Kind("TLS versions", parse_versions, show_versions),
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
    ocsp_client: OcspClientOptions = section(OcspClientOptions, "OCSP of client certificates.")
    sni: dict[str, SniOptions] = section(dict, "Certificates by the server name clients ask for.")
    enable_crl_check: bool = option(
        BOOLEAN,
        False,
        """Refuse client certificates that a CRL lists as revoked; needs ``verify_peer``. Where the
        lists come from: ``crl_cache``.""",
    )
    revocation_checkers: list[str] = option(
        TEXT_LIST,
        [],
        "Plugins that are asked about each client certificate, beside CRL and OCSP.",
    )
    live_enforcement: bool = option(
        BOOLEAN,
        True,
        """End sessions when what admitted them no longer holds: certificate revoked or expired,
        its authority no longer trusted, pre-shared key removed or changed.""",
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
        """Accept chains that end in an intermediate of ``cacertfile``: it stands for its root.
        Every value but ``false`` means this for all of them.""",
    )
    verify_peer_ext_key_usage: str | None = option(
        TEXT,
        None,
        """Extended key usages a client certificate must have, all of them, with commas between:
        ``clientAuth``, ``serverAuth``, ``codeSigning``, ``emailProtection``, ``timeStamping``,
        ``ocspSigning`` or ``OID:1.2.3``.""",
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

"""Revocation of client certificates: ``crl_cache`` and ``ssl_options.ocsp_client``."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

import attrs

from mqttd.config.option import (
    BOOLEAN,
    PATH,
    TEXT,
    TEXT_LIST,
    choice,
    duration,
    integer,
    option,
    section,
    size,
)
from mqttd.config.schema.client_tls import ClientTLSOptions


@attrs.frozen(kw_only=True)
class CrlCacheOptions:
    """Certificate revocation lists (CRL): ``crl_cache``; used where ``enable_crl_check`` is on."""

    refresh_interval: float = option(
        duration(1), 900.0, "Time between two fetches of a list; never beyond its nextUpdate."
    )
    http_timeout: float = option(duration(0.001), 15.0, "Longest time one fetch may take.")
    capacity: int = option(
        integer(1), 100, "Most lists kept; above it the one not used for longest is dropped."
    )
    failure_threshold: float = option(
        duration(infinity=True),
        60.0,
        """Time a list is used on past its nextUpdate while it cannot be fetched anew.""",
    )
    max_size: int = option(size(1), 16 << 20, "Largest list that is fetched or read.")
    files: list[str] = option(
        TEXT_LIST, [], "Lists read from files, PEM or DER; they are read again when they change."
    )
    directory: str | None = option(
        PATH, None, "Directory whose files ``*.crl`` and ``*.pem`` are lists, as ``files`` are."
    )
    on_missing_distribution_point: str = option(
        choice("deny", "allow"),
        "deny",
        """What happens to clients whose certificate names no distribution point and whose issuer
        has no list among ``files`` and ``directory``.""",
    )
    on_unavailable: str = option(
        choice("deny", "allow"),
        "deny",
        """What happens to clients whose list cannot be had: not fetched, expired, or not valid.
        A certificate known as revoked is refused with either.""",
    )
    check: str = option(
        choice("leaf", "chain"),
        "leaf",
        "Whether only the client's own certificate is looked up, or its issuers too.",
    )
    ssl: ClientTLSOptions = section(ClientTLSOptions, "TLS of fetches from https addresses.")


@attrs.frozen(kw_only=True)
class OcspClientOptions:
    """OCSP of client certificates: ``ssl_options.ocsp_client``; needs ``verify_peer``."""

    enable: bool = option(
        BOOLEAN, False, "Ask an OCSP responder about each client certificate (RFC 6960)."
    )
    mode: str = option(
        choice("required", "soft"),
        "required",
        """What happens when no valid answer comes: ``required`` refuses the client, ``soft`` lets
        it in with a warning.""",
    )
    responder_url: str | None = option(
        TEXT, None, "URL of the responder; unset: the one the certificate names (AIA)."
    )
    timeout: float = option(
        duration(0.001), 5.0, "Longest time a client waits for the answer in its handshake."
    )
    cache: float = option(
        duration(),
        3600.0,
        "Longest time an answer is used; never beyond its nextUpdate. ``0s``: ask each time.",
    )
    nonce: bool = option(
        BOOLEAN, False, "Send a nonce; an answer with another one is refused (RFC 8954)."
    )
    ssl: ClientTLSOptions = section(ClientTLSOptions, "TLS to responders with https addresses.")

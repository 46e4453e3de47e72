"""The ``ssl`` section of everything that connects to the outside."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

import attrs

from mqttd.config.option import (
    BOOLEAN,
    PATH_OR_PEM,
    SECRET,
    TEXT,
    TEXT_LIST,
    Kind,
    choice,
    integer,
    option,
)
from mqttd.config.schema.versions import DEFAULT_VERSIONS, parse_versions, show_versions
from mqttd.config.types import Secret


@attrs.frozen(kw_only=True)
class ClientTLSOptions:
    """TLS of one outgoing connection: ``ssl``.

    Relative paths start at the directory the broker was started in.
    """

    enable: bool = option(
        BOOLEAN, True, "``false`` refuses TLS: the address must then not be an https one."
    )
    verify: str = option(
        choice("verify_none", "verify_peer"),
        "verify_peer",
        """``verify_peer`` checks the server's certificate and its name (EMQX: verify_none).""",
    )
    cacertfile: str | None = option(
        PATH_OR_PEM, None, "Certificate authorities trusted for the server, PEM."
    )
    cacerts: str = option(
        choice("system", "none"),
        "system",
        "``system``: without ``cacertfile`` the operating system's authorities are trusted.",
    )
    certfile: str | None = option(
        PATH_OR_PEM, None, "Our certificate and its issuers, PEM, for servers that ask for one."
    )
    keyfile: str | None = option(PATH_OR_PEM, None, "Private key of ``certfile``, PEM.")
    password: Secret | None = option(
        SECRET, None, "Password of an encrypted ``keyfile``; ``file://PATH`` reads it from a file."
    )
    server_name_indication: str | None = option(
        TEXT,
        None,
        """Name sent to the server and looked for in its certificate. Unset: the host of the
        address. ``disable``: no name is sent and none is looked for.""",
    )
    versions: list[str] = option(
        Kind("TLS versions", parse_versions, show_versions), DEFAULT_VERSIONS, "TLS versions."
    )
    ciphers: list[str] = option(
        TEXT_LIST, [], "Cipher suites by their OpenSSL names. Empty: a preselected list."
    )
    depth: int = option(
        integer(0, 100), 10, "Most intermediate certificates between the server and its root."
    )
    secure_renegotiate: bool = option(
        BOOLEAN, True, "Refuse renegotiation without RFC 5746.", ignored="it is always refused"
    )
    reuse_sessions: bool = option(
        BOOLEAN, False, "Resume TLS sessions.", ignored="sessions are never resumed"
    )

"""Pre-shared keys: the ``psk_authentication`` section."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any

import attrs

from mqttd.config.option import BOOLEAN, PATH, RAW, TEXT, choice, integer, option


@attrs.frozen(kw_only=True)
class PskAuthenticationOptions:
    """Pre-shared keys: ``psk_authentication``. They work on every ssl and wss listener whose
    ``ciphers`` list PSK suites."""

    enable: bool = option(BOOLEAN, False, "Accept pre-shared keys.")
    init_file: str | None = option(
        PATH,
        None,
        """File with one ``IDENTITY:KEY`` a line; blank lines and lines that begin with ``#`` are
        skipped. It is read whole or not at all, and a reload replaces what was read before.""",
    )
    separator: str = option(
        TEXT, ":", "What stands between an identity and its key; the first in a line counts."
    )
    chunk_size: int = option(
        integer(1),
        50,
        "Lines imported in one step.",
        ignored="the file is read whole, or not at all",
    )
    encoding: str = option(
        choice("auto", "hex", "base64", "text"),
        "auto",
        """How keys are written in the file. ``auto``: if every key is an even number of
        hexadecimal digits for 16 bytes or more, they are ``hex``, else ``text`` (EMQX: always
        text). The log says which.""",
    )
    identity_hint: str | None = option(
        TEXT, None, "Hint sent to clients (TLS 1.2 and older), to choose an identity by."
    )
    hide_identities: bool = option(
        BOOLEAN,
        False,
        """Answer an unknown identity as if only its key were wrong, so that identities cannot be
        found out. Clients then see ``bad_record_mac`` instead of ``unknown_psk_identity``. With
        TLS 1.3 this works on listeners that list no suites but PSK suites; elsewhere a client
        with an unknown identity goes on with certificates.""",
    )
    tls13: bool = option(
        BOOLEAN,
        False,
        """Accept the keys over TLS 1.3 too, with suites that use SHA-256. A listener that lists no
        suites but PSK suites then refuses TLS 1.3 clients that prove no key.""",
    )
    store: str = option(
        TEXT, "file", "Plugin that knows the keys; ``file`` is the one that reads ``init_file``."
    )
    store_options: Any = option(RAW, None, "Options of another ``store`` than ``file``.")

"""The options of authenticators: the ``authentication`` section, of the broker or a listener."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from mqttd.config.option import BOOLEAN, PATH, TEXT, TEXT_LIST, Kind, choice, option
from mqttd.config.schema.authentication_http import HttpAuthenticatorOptions
from mqttd.config.schema.authentication_jwt import JwtOptions

_ANYTHING = Kind("any", lambda value: value, lambda _: "unset")


@attrs.frozen(kw_only=True)
class AuthenticatorOptions:
    """What every authenticator can be told: ``authentication``, one section or a list of them."""

    mechanism: str = option(
        TEXT,
        "password_based",
        """What proves who a client is: ``password_based``, ``jwt``, ``certificate``, ``psk``,
        ``scram``, ``cred``, or the mechanism of a plugin.""",
    )
    backend: str | None = option(
        TEXT,
        None,
        """Who checks it: ``http`` or ``built_in_database`` for ``password_based``; the other
        mechanisms of mqttd need none.""",
    )
    enable: bool = option(
        BOOLEAN, True, "``false`` keeps the authenticator in the file without asking it."
    )
    on_error: str = option(
        choice("deny", "ignore"),
        "deny",
        """What happens when it fails or does not answer in time: ``deny`` refuses the client
        (0x88, Server unavailable), ``ignore`` asks the next one, as EMQX does.""",
    )


@attrs.frozen(kw_only=True)
class PasswordFileOptions:
    """A file of names and password hashes: ``backend = "built_in_database"``."""

    file: str = option(
        PATH,
        "",
        """One ``NAME:HASH`` a line, as ``mqttd passwd`` writes it (argon2id); bcrypt and
        mosquitto's ``$6$`` and ``$7$`` are read too. Read whole or not at all, and again at each
        reload.""",
        shown_default="unset",
    )
    user_id_type: str = option(
        choice("username", "clientid"),
        "username",
        "What the names in the file are: user names or Client Identifiers.",
    )
    password_hash_algorithm: Any = option(
        _ANYTHING,
        None,
        "How passwords are hashed.",
        ignored="each line of the file says how its password is hashed",
    )


@attrs.frozen(kw_only=True)
class ScramOptions:
    """SCRAM with the users of a file: ``mechanism = "scram"``, for MQTT 5 clients."""

    file: str = option(
        PATH,
        "",
        "One ``NAME:CREDENTIAL`` a line. Read whole or not at all, and again at each reload.",
        shown_default="unset",
    )
    algorithm: str = option(
        choice("sha256", "sha512"), "sha256", "The hash: SCRAM-SHA-256 or SCRAM-SHA-512."
    )


@attrs.frozen(kw_only=True)
class CertificateOptions:
    """The client certificate: ``mechanism = "certificate"``. It counts only where the listener
    checks it (``ssl_options.verify = verify_peer``). In patterns ``*`` is any text and ``?`` one
    character. A certificate that fits one of them, or has one of the fingerprints, lets its owner
    in, and any other refuses; where none is given every checked certificate does. Clients without
    a certificate are left to the next authenticator."""

    common_names: list[str] = option(TEXT_LIST, [], "Patterns of the common name.")
    subjects: list[str] = option(
        TEXT_LIST, [], "Patterns of the subject, in the form of RFC 4514 (``CN=a,O=b``)."
    )
    dns_names: list[str] = option(TEXT_LIST, [], "Patterns of the alternative names (DNS).")
    uris: list[str] = option(TEXT_LIST, [], "Patterns of the alternative names (URI).")
    emails: list[str] = option(TEXT_LIST, [], "Patterns of the alternative names (e-mail).")
    fingerprints: list[str] = option(
        TEXT_LIST, [], "SHA-256 of certificates in hexadecimal, with or without colons."
    )


@attrs.frozen(kw_only=True)
class PskAuthenticatorOptions:
    """The proven identity of a pre-shared key: ``mechanism = "psk"``. Clients without one are left
    to the next authenticator."""

    identities: list[str] = option(
        TEXT_LIST,
        ["*"],
        "Patterns of the identities let in; ``*`` is any text and ``?`` one character.",
    )


@attrs.frozen(kw_only=True)
class CredOptions:
    """A checker of Twisted Cred for user names and passwords: ``mechanism = "cred"``."""

    checker: str = option(
        TEXT,
        "",
        """The checker as a string, such as ``file:/etc/passwords``; ``twist conch --help-auth``
        lists them.""",
        hidden=True,
        shown_default="unset",
    )


KINDS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "password_based:http": HttpAuthenticatorOptions,
        "password_based:built_in_database": PasswordFileOptions,
        "scram:built_in_database": ScramOptions,
        "jwt": JwtOptions,
        "certificate": CertificateOptions,
        "psk": PskAuthenticatorOptions,
        "cred": CredOptions,
    }
)
"""The options of each kind of authenticator, by the name of its plugin."""


@attrs.frozen
class Authenticator:
    """One authenticator of the configuration.

    ``name`` is the plugin's, ``path`` where the file has it. ``options`` are of the class in
    :data:`KINDS`, or, for a plugin of somebody else's, a mapping of what its section holds.
    """

    name: str
    path: str = attrs.field(eq=False)
    enable: bool
    on_error: str
    options: Any = attrs.field(repr=False)

"""The options of authentication by signed tokens: ``mechanism = "jwt"``."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from mqttd.config import types
from mqttd.config.errors import InvalidValue
from mqttd.config.option import (
    BOOLEAN,
    PATH_OR_PEM,
    SECRET,
    TEXT,
    TEXT_LIST,
    Kind,
    choice,
    duration,
    integer,
    option,
    section,
    size,
)
from mqttd.config.schema.authentication_http import HEADERS
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.types import Secret

DEFAULT_HEADERS: Final = {"accept": "application/json"}


def _parse_claims(value: object) -> dict[str, str]:
    """Claims by name, as a section or as EMQX's list of ``name`` and ``value``."""
    if isinstance(value, list):
        pairs = []
        for item in value:
            if not isinstance(item, Mapping) or set(item) != {"name", "value"}:
                raise InvalidValue("expects name and value in each part of the list")
            pairs.append((str(item["name"]), item["value"]))
    elif isinstance(value, Mapping):
        pairs = [(str(name), wanted) for name, wanted in value.items()]
    else:
        raise InvalidValue(
            f"expects a section {{ ... }}, not {types.shown(value)}",
            'write verify_claims { username = "${username}" }',
        )
    claims: dict[str, str] = {}
    for name, wanted in pairs:
        if isinstance(wanted, Mapping | list):
            raise InvalidValue(
                f"the claim {name[:60]} expects text", "put a name with dots in double quotes"
            )
        if name in claims:
            raise InvalidValue(f"the claim {name[:60]} is there twice", "keep one")
        claims[name] = _scalar_text(wanted)
    return claims


def _scalar_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else types.parse_text(value)


def _show_claims(value: Mapping[str, str]) -> str:
    inner = ", ".join(f'{name} = "{text}"' for name, text in value.items())
    return f"{{ {inner} }}" if inner else "{}"


def _parse_refresh(value: object) -> float:
    """A duration; a bare number counts seconds here, as in EMQX."""
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        number = int(value.strip()[:18])
    seconds: float = _REFRESH.parse(f"{number}s" if number is not None else value)
    return seconds


_REFRESH: Final = duration(1.0, high=86400.0)
REFRESH: Final = Kind("duration; a bare number counts seconds", _parse_refresh, _REFRESH.show)
CLAIMS: Final = Kind("section of templates", _parse_claims, _show_claims)


@attrs.frozen(kw_only=True)
class JwtOptions:
    """A signed token (JWT, RFC 7519) as the password: ``mechanism = "jwt"``.

    Tokens are checked with a shared secret, a public key, or the keys an address gives (JWKS).
    What is no token at all is left to the next authenticator.
    """

    from_: str = option(
        choice("password", "username"),
        "password",
        "Where clients put the token.",
    )
    use_jwks: bool | None = option(
        BOOLEAN,
        None,
        "Whether the keys come from ``endpoint``. Unset: if there is one.",
    )
    algorithm: str | None = option(
        choice("hmac-based", "public-key"),
        None,
        "``hmac-based`` with ``secret``, or ``public-key``. Unset: whichever is given.",
    )
    secret: Secret | None = option(
        SECRET,
        None,
        "Key of HS256, HS384 and HS512, or ``file://PATH``; at least 32 bytes.",
    )
    secret_base64_encoded: bool = option(
        BOOLEAN, False, "Whether ``secret`` is written in base64."
    )
    public_key: str | None = option(
        PATH_OR_PEM,
        None,
        """Public keys or certificates, PEM; a token signed by any of them is good. A certificate
        counts as its key: nothing else of it is looked at.""",
    )
    endpoint: str | None = option(
        TEXT, None, "Address of a JSON Web Key Set (RFC 7517), https or http.", hidden=True
    )
    headers: dict[str, str] = option(
        HEADERS, DEFAULT_HEADERS, "Headers for ``endpoint``.", hidden=True
    )
    ssl: ClientTLSOptions | None = section(
        None, "TLS to ``endpoint``; without it, it is checked by the system's authorities."
    )
    refresh_interval: float = option(
        REFRESH, 300.0, "How often the keys of ``endpoint`` are fetched."
    )
    keys_max_age: float = option(
        duration(1.0),
        86400.0,
        """How long fetched keys count while ``endpoint`` fails. After that tokens cannot be
        checked, and clients are refused (0x88).""",
    )
    connect_timeout: float = option(duration(0.001), 5.0, "Longest time for a connection.")
    request_timeout: float = option(
        duration(0.001, high=30.0),
        5.0,
        """Longest time for one fetch of the keys, and for a client that waits for it because its
        key is not known yet.""",
    )
    pool_size: Any = option(
        integer(1, 10000),
        None,
        "Connections to ``endpoint``.",
        ignored="one fetch at a time is enough",
    )
    algorithms: list[str] = option(
        TEXT_LIST,
        [],
        """The only signature algorithms taken, such as ``RS256``. Empty: all that fit the key,
        never ``none``.""",
    )
    verify_claims: dict[str, str] = option(
        CLAIMS,
        {},
        """Claims and what they must be; templates such as ``${username}`` and ``${clientid}``. A
        claim that is a list must contain it.""",
    )
    issuer: list[str] = option(TEXT_LIST, [], "Accepted values of ``iss``; empty: any.")
    audience: list[str] = option(
        TEXT_LIST, [], "Values of which one must be in ``aud``; empty: it is not looked at."
    )
    required_claims: list[str] = option(
        TEXT_LIST, [], "Further claims a token must have, whatever is in them."
    )
    require_exp: bool = option(
        BOOLEAN, True, "Refuse tokens without ``exp``, which would be good for ever."
    )
    leeway: float = option(
        duration(0.0, high=600.0),
        5.0,
        "How far the clocks may differ in ``exp``, ``nbf`` and ``iat``.",
    )
    disconnect_after_expire: bool = option(
        BOOLEAN, True, "Whether a client is disconnected when its token expires."
    )
    acl_claim_name: str = option(
        TEXT, "acl", "The claim with the rules of what the client may do."
    )
    username_claim: str | None = option(
        TEXT,
        None,
        """The claim that becomes the user name. Unset: the client's own name counts, or, with
        ``from = username``, the claim ``sub``.""",
    )
    max_token_size: int = option(
        size(128, 64 << 10), 16 << 10, "Largest token; larger ones are refused unread."
    )

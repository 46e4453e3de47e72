"""Sections that are read and checked, and that a later version will act on."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any

import attrs

from mqttd.config.option import (
    BOOLEAN,
    PATH,
    RAW,
    SECTIONS,
    TEXT,
    choice,
    duration,
    integer,
    option,
)


@attrs.frozen(kw_only=True)
class PskAuthenticationOptions:
    """Pre-shared keys: ``psk_authentication``. Not supported yet."""

    enable: bool = option(BOOLEAN, False, "Accept pre-shared keys.")
    init_file: str | None = option(PATH, None, "File with the identities and keys.")
    separator: str = option(TEXT, ":", "What stands between an identity and its key.")
    chunk_size: int = option(
        integer(1),
        50,
        "Lines imported in one step.",
        ignored="the file is read whole, or not at all",
    )
    encoding: str = option(
        choice("auto", "hex", "base64", "text"), "auto", "How keys are written in the file."
    )


@attrs.frozen(kw_only=True)
class CrlCacheOptions:
    """Certificate revocation lists: ``crl_cache``. Not supported yet."""

    refresh_interval: float = option(duration(), 900.0, "Time between two fetches of a list.")
    http_timeout: float = option(duration(0.001), 15.0, "Longest time one fetch may take.")
    capacity: int = option(integer(1), 100, "Most lists kept.")
    failure_threshold: float = option(
        duration(infinity=True), 60.0, "Time a list is used after its fetch began to fail."
    )
    on_unavailable: str = option(
        choice("deny", "allow"), "deny", "What happens to clients whose list cannot be had."
    )


@attrs.frozen(kw_only=True)
class AuthorizationOptions:
    """Who may publish and subscribe where: ``authorization``. Not supported yet."""

    no_match: str = option(
        choice("allow", "deny"), "allow", "What happens where no rule says anything."
    )
    deny_action: str = option(
        choice("ignore", "disconnect"), "ignore", "What a refused client is done to."
    )
    sources: list[Any] = option(SECTIONS, [], "Where the rules come from.")
    cache: Any = option(RAW, None, "How long answers are remembered.")

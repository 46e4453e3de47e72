"""Sections that are read and checked, and that a later version will act on."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any

import attrs

from mqttd.config.option import RAW, SECTIONS, choice, option


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

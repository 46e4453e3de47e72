"""The options of the sources of rules that are files: ``authorization.sources``."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any

import attrs

from mqttd.config.option import PATH, SECTIONS, option


@attrs.frozen(kw_only=True)
class RuleFileOptions:
    """Rules of our own format: ``type = "file"``. Either a file or the rules themselves."""

    path: str = option(
        PATH,
        "",
        """A file that holds ``rules = [...]``. Read whole or not at all, and again when it
        changes.""",
        shown_default="unset",
    )
    rules: list[Any] = option(
        SECTIONS,
        [],
        """The rules, instead of a file. Each is a section of ``permission``, ``who``, ``action``,
        ``qos``, ``retain`` and ``topics``; the first that fits decides.""",
    )


@attrs.frozen(kw_only=True)
class MosquittoAclOptions:
    """Rules in the format of mosquitto's ``acl_file``: ``type = "mosquitto"``."""

    path: str = option(
        PATH,
        "",
        """The file, with ``user``, ``topic`` and ``pattern`` lines. Read whole or not at all, and
        again when it changes. What no line allows is denied.""",
        shown_default="unset",
    )

"""The options of authorization: the ``authorization`` section."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from mqttd.config.option import (
    BOOLEAN,
    SECTIONS,
    TEXT,
    choice,
    duration,
    integer,
    option,
    section,
)
from mqttd.config.schema.authorization_http import HttpSourceOptions
from mqttd.config.schema.authorization_sources import MosquittoAclOptions, RuleFileOptions


@attrs.frozen(kw_only=True)
class AuthorizationCacheOptions:
    """Answers remembered for each client: ``authorization.cache``. Changed rules empty it."""

    enable: bool = option(BOOLEAN, True, "``false`` asks the sources about every message.")
    max_size: int = option(
        integer(1, 100_000),
        32,
        """Topics remembered for one client; the one that came first goes. A client that publishes
        to more topics than this in turn is asked about each time.""",
    )
    ttl: float = option(
        duration(0.001, infinity=True), 60.0, "How long an answer counts before it is asked again."
    )


@attrs.frozen(kw_only=True)
class SourceOptions:
    """What every source of rules can be told: one of ``authorization.sources``."""

    type: str = option(
        TEXT,
        "",
        """Where the rules are: ``file``, ``mosquitto``, ``http``, or the name of a plugin.""",
        shown_default="unset",
    )
    enable: bool = option(
        BOOLEAN, True, "``false`` keeps the source in the file without asking it."
    )


@attrs.frozen(kw_only=True)
class AuthorizationOptions:
    """Who may publish and subscribe where: ``authorization``. See :ref:`authorization`."""

    no_match: str | None = option(
        choice("allow", "deny"),
        None,
        """What happens where no rule says anything. Not set, it is ``deny`` as soon as a source is
        enabled, and for clients whose authenticator gave them rules; else ``allow``.""",
        shown_default="deny with a source, else allow",
    )
    deny_action: str = option(
        choice("ignore", "disconnect"),
        "ignore",
        """What a client is done to that is denied something: ``ignore`` answers MQTT 5 with 0x87,
        Not authorized, and drops its message; ``disconnect`` ends the connection as well.""",
    )
    sources: list[Any] = option(
        SECTIONS,
        [],
        """Where the rules come from, asked in order: the first that allows or denies decides.
        Rules that the authenticator gave with an identity come before all of them.""",
    )
    cache: AuthorizationCacheOptions = section(
        AuthorizationCacheOptions, "How long answers are remembered."
    )

    @property
    def denies(self) -> bool:
        """Whether what no rule speaks of is denied."""
        if self.no_match is None:
            return any(source.enable for source in self.sources)
        return self.no_match == "deny"


KINDS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "file": RuleFileOptions,
        "mosquitto": MosquittoAclOptions,
        "http": HttpSourceOptions,
    }
)
"""The options of each kind of source, by the name of its plugin."""


@attrs.frozen
class Source:
    """One source of rules of the configuration.

    ``type`` is the plugin's name, ``path`` where the file has it. ``options`` are of the class in
    :data:`KINDS`, or, for a plugin of somebody else's, a mapping of what its section holds.
    """

    type: str
    path: str = attrs.field(eq=False)
    enable: bool
    options: Any = attrs.field(repr=False)

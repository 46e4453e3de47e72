"""The one caller of ``getPlugins``: finds what the configuration names, also what strangers wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import attrs
from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedAny
from zope.interface import implementer

from mqttd.interfaces import (
    IPSKStore,
    IPSKStorePlugin,
    IRevocationChecker,
    IRevocationCheckerPlugin,
    PluginContext,
)

_Declared = TypeVar("_Declared")


class UnknownPlugin(LookupError):
    """No installed plugin has the name; ``known`` are the names there are."""

    def __init__(self, kind: str, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no {kind} plugin {name!r}; installed: {', '.join(known)}")
        self.known = list(known)


@attrs.frozen
class _Target:
    """A light declaration: ``target`` is the dotted name of a callable (options, context)."""

    name: str
    description: str
    target: str

    def make(self, options: Any, context: PluginContext) -> Any:
        """Import the target and call it."""
        return namedAny(self.target)(options, context)


@implementer(IPlugin, IRevocationCheckerPlugin)
class RevocationCheckerPlugin(_Target):
    """Declares a revocation checker by the dotted name of what makes it."""

    def make(self, options: Any, context: PluginContext) -> IRevocationChecker:
        """See IRevocationCheckerPlugin."""
        checker: IRevocationChecker = super().make(options, context)
        return checker


@implementer(IPlugin, IPSKStorePlugin)
class PSKStorePlugin(_Target):
    """Declares a store of pre-shared keys by the dotted name of what makes it."""

    def make(self, options: Any, context: PluginContext) -> IPSKStore:
        """See IPSKStorePlugin."""
        store: IPSKStore = super().make(options, context)
        return store


def revocation_checker(name: str) -> IRevocationCheckerPlugin:
    """The declared revocation checker. Raises UnknownPlugin."""
    return _named(IRevocationCheckerPlugin, "revocation checker", name)


def psk_store(name: str) -> IPSKStorePlugin:
    """The declared store of pre-shared keys. Raises UnknownPlugin."""
    return _named(IPSKStorePlugin, "PSK store", name)


def installed(interface: Any) -> list[Any]:
    """Every plugin of one kind, by name."""
    return sorted(getPlugins(interface), key=lambda plugin: str(plugin.name))


def _named(interface: Any, kind: str, name: str) -> Any:
    plugins = installed(interface)
    for plugin in plugins:
        if plugin.name == name:
            return plugin
    raise UnknownPlugin(kind, name, [plugin.name for plugin in plugins])

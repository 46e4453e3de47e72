"""The one caller of ``getPlugins``: finds what the configuration names, whoever wrote it."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedAny
from zope.interface import implementer
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from mqttd.interfaces import (
    IAuthenticator,
    IAuthenticatorPlugin,
    IAuthorizer,
    IAuthorizerPlugin,
    IEnhancedAuthenticator,
    IEventSink,
    IEventSinkPlugin,
    IPSKStore,
    IPSKStorePlugin,
    IRevocationChecker,
    IRevocationCheckerPlugin,
    PluginContext,
)


class UnknownPlugin(LookupError):  # noqa: N818 - says what there is
    """No installed plugin has the name, or ``count`` have; ``known`` are the names there are."""

    def __init__(self, kind: str, name: str, known: Sequence[str], count: int = 0) -> None:
        what = f"{count} {kind} plugins are called" if count else f"there is no {kind} plugin"
        super().__init__(f"{what} {name!r}; installed: {', '.join(known) or 'none'}")
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


@implementer(IPlugin, IAuthenticatorPlugin)
class AuthenticatorPlugin(_Target):
    """Declares an authenticator by the dotted name of what makes it."""

    def make(self, options: Any, context: PluginContext) -> IAuthenticator:
        """See IAuthenticatorPlugin."""
        made: IAuthenticator = super().make(options, context)
        return made


@implementer(IPlugin, IAuthorizerPlugin)
class AuthorizerPlugin(_Target):
    """Declares a source of rules by the dotted name of what makes it."""

    def make(self, options: Any, context: PluginContext) -> IAuthorizer:
        """See IAuthorizerPlugin."""
        made: IAuthorizer = super().make(options, context)
        return made


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


@implementer(IPlugin, IEventSinkPlugin)
class EventSinkPlugin(_Target):
    """Declares an event sink by the dotted name of what makes it."""

    def make(self, options: Any, context: PluginContext) -> IEventSink:
        """See IEventSinkPlugin."""
        sink: IEventSink = super().make(options, context)
        return sink


def authenticator(name: str) -> IAuthenticatorPlugin:
    """The declared authenticator. Raises UnknownPlugin."""
    plugin: IAuthenticatorPlugin = _named(IAuthenticatorPlugin, "authenticator", name)
    return plugin


def authorizer(name: str) -> IAuthorizerPlugin:
    """The declared source of rules. Raises UnknownPlugin."""
    plugin: IAuthorizerPlugin = _named(IAuthorizerPlugin, "authorizer", name)
    return plugin


def revocation_checker(name: str) -> IRevocationCheckerPlugin:
    """The declared revocation checker. Raises UnknownPlugin."""
    plugin: IRevocationCheckerPlugin = _named(IRevocationCheckerPlugin, "revocation checker", name)
    return plugin


def psk_store(name: str) -> IPSKStorePlugin:
    """The declared store of pre-shared keys. Raises UnknownPlugin."""
    plugin: IPSKStorePlugin = _named(IPSKStorePlugin, "PSK store", name)
    return plugin


def event_sink(name: str) -> IEventSinkPlugin:
    """The declared event sink. Raises UnknownPlugin."""
    plugin: IEventSinkPlugin = _named(IEventSinkPlugin, "event sink", name)
    return plugin


def installed(interface: Any) -> list[Any]:
    """Every plugin of one kind, by name; those that have no name cannot be asked for."""
    named = [each for each in getPlugins(interface) if isinstance(_name(each), str)]
    return sorted(named, key=_name)


def _name(plugin: Any) -> Any:
    return getattr(plugin, "name", None)


@attrs.frozen
class Kind:
    """One kind of plugin: a word for it, a title, what names it in the configuration."""

    word: str
    title: str
    option: str
    interface: Any


KINDS: Final = (
    Kind("authenticator", "Authenticators", "authentication", IAuthenticatorPlugin),
    Kind("authorizer", "Authorizers", "authorization.sources", IAuthorizerPlugin),
    Kind("psk-store", "Stores of pre-shared keys", "psk_authentication.store", IPSKStorePlugin),
    Kind(
        "revocation-checker",
        "Revocation checkers",
        "ssl_options.enable_crl_check, .ocsp_client and .revocation_checkers",
        IRevocationCheckerPlugin,
    ),
    Kind("event-sink", "Event sinks", "event_sinks", IEventSinkPlugin),
)
"""Every kind of plugin."""


def describe() -> str:
    """The kinds of plugins and what is installed of each, for people."""
    lines = []
    for kind in KINDS:
        lines.append(f"{kind.title} ({kind.option}):")
        plugins = installed(kind.interface)
        width = max((len(each.name) for each in plugins), default=0)
        lines += [f"  {each.name:<{max(12, width)}} {_description(each)}" for each in plugins]
        if not plugins:
            lines.append("  none is installed")
    return "\n".join(lines)


def _description(plugin: Any) -> str:
    return str(getattr(plugin, "description", ""))


def _named(interface: Any, kind: str, name: str) -> Any:
    plugins = installed(interface)
    found = [plugin for plugin in plugins if plugin.name == name]
    if len(found) != 1:  # with two it would be chance whose decisions count
        raise UnknownPlugin(kind, name, [plugin.name for plugin in plugins], len(found))
    return found[0]


def made_by(plugin: Any, interface: Any, options: Any, context: PluginContext) -> Any:
    """What a plugin makes, if it is what the broker can use. Raises ValueError else."""
    made = plugin.make(options, context)
    if not interface.providedBy(made):
        name = interface.__name__
        raise ValueError(f"it made {type(made).__name__} without @implementer({name})")
    try:
        verifyObject(interface, made)
    except Invalid as problem:
        raise ValueError(str(problem)) from None
    if interface is IAuthenticator:
        methods_of(made)
    return made


def methods_of(authenticator: Any) -> Mapping[str, IEnhancedAuthenticator]:
    """Its methods of enhanced authentication by name. Raises ValueError if they are none."""
    methods: Any = getattr(authenticator, "methods", {})
    if not isinstance(methods, Mapping):
        raise ValueError(f"its methods are a {type(methods).__name__} and no mapping")
    for name, method in methods.items():
        if not isinstance(name, str) or not name:
            raise ValueError(f"one of its methods is called {name!r}, which is no text")
        if not IEnhancedAuthenticator.providedBy(method):
            raise ValueError(f"its method {name} is without @implementer(IEnhancedAuthenticator)")
    return methods


def later(answer: Any) -> Deferred[Any] | None:
    """What fires with an answer that comes later; None for anything else, which is one itself."""
    if isinstance(answer, Deferred):
        return answer
    return Deferred.fromCoroutine(_awaited(answer)) if hasattr(answer, "__await__") else None


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


def dismiss(answer: Any) -> None:
    """Nobody awaits this: an answer that a plugin gives where it must be there at once."""
    if isinstance(answer, Deferred):
        answer.addErrback(lambda _failure: None)
        answer.cancel()
    elif isinstance(answer, Coroutine):
        answer.close()

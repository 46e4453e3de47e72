"""Every plugin that the configuration asks for, made once and kept over a reload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from mqttd.auth.admission import OPEN, Doors
from mqttd.auth.chain import AuthenticatorChain, Link
from mqttd.auth.enhanced import EnhancedMethod
from mqttd.authz.authorization import Rules
from mqttd.authz.chain import Link as SourceLink
from mqttd.authz.chain import SourceChain
from mqttd.broker.ports import EnhancedAuthenticator
from mqttd.config.errors import ConfigurationErrors, error
from mqttd.config.load import Loaded, placed
from mqttd.config.schema.listeners import ListenerOptions
from mqttd.interfaces import (
    IAuthenticator,
    IAuthorizer,
    IEventSink,
    IPSKStore,
    IRevocationChecker,
    PluginContext,
)
from mqttd.log.failures import what_failed
from mqttd.net.event_hub import SinkLink
from mqttd.plugins import (
    UnknownPlugin,
    authenticator,
    authorizer,
    event_sink,
    made_by,
    methods_of,
    psk_store,
    revocation_checker,
)
from mqttd.psk.guard import GuardedStore
from mqttd.runtime.sources import digests_of
from mqttd.startup_trust import SWITCHES

_GRACE = 1.0
"""Seconds a verdict may take beyond the time its fetches may."""
_PLUGIN_TIME = 15.0
"""Seconds a checker of somebody else's has for its answer."""

CRL = "crl"
OCSP = "ocsp"


class Parts:
    """The checkers and the store of one configuration.

    What ``former`` made from the same options is taken over. ``data_dir`` is the one of the start,
    which a reload does not change. Raises ConfigurationErrors. Made in the reactor's thread, as
    plugins expect.
    """

    _log = Logger()

    def __init__(
        self,
        loaded: Loaded,
        reactor: Any,
        changed: Callable[[], object],
        former: Parts | None = None,
        data_dir: Path | None = None,
        rules_changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._made: list[tuple[tuple[object, ...], Any]] = []
        self._former = former
        self._changed = changed
        self._rules_changed = rules_changed
        configuration = loaded.configuration
        folder = data_dir or loaded.base_dir / configuration.data_dir
        self._context = PluginContext(reactor, loaded.base_dir, folder)
        self.psk: IPSKStore | None = None
        self.crl: IRevocationChecker | None = None
        self.checkers: dict[str, dict[str, IRevocationChecker]] = {}
        self.time_limits: dict[str, float] = {}
        self.doors: dict[str, Doors] = {}
        self.authenticators: list[IAuthenticator] = []
        self.authorizers: list[IAuthorizer] = []
        self.sinks: list[SinkLink] = []
        findings = []
        try:
            self.rules = self._rules(loaded)
        except ConfigurationErrors as errors:
            findings += errors.findings
        try:
            self.sinks = self._sinks(loaded)
        except ConfigurationErrors as errors:
            findings += errors.findings
        try:
            self.psk = self._psk_store(loaded)
        except ConfigurationErrors as errors:
            findings += errors.findings
        for options in configuration.listeners.enabled():
            try:
                self.checkers[options.id] = self._checkers(options, loaded)
            except ConfigurationErrors as errors:
                findings += errors.findings
            try:
                self.doors[options.id] = self._doors(options, loaded)
            except ConfigurationErrors as errors:
                findings += errors.findings
        self._former = None
        if findings:
            found = [placed(each, loaded.origins) for each in dict.fromkeys(findings)]
            raise ConfigurationErrors(found)

    def take_over(self, former: Parts | None) -> None:
        """Start what is new and stop what is no longer there; the reactor runs."""
        old = [] if former is None else former._parts()
        new = self._parts()
        for part in new:
            if not any(part is each for each in old):
                self._call(part, "start")
        for part in old:
            if not any(part is each for each in new):
                self._call(part, "stop")

    def stop(self) -> Deferred[Any]:
        """Stop every part. Fires when all of them have; never fails."""
        return DeferredList([self._call(part, "stop") for part in self._parts()])

    def _parts(self) -> list[Any]:
        return [part for _, part in self._made]

    def _call(self, part: Any, name: str) -> Deferred[Any]:
        method = getattr(part, name, None)
        if method is None:
            return succeed(None)
        called: Deferred[Any] = maybeDeferred(method)
        return called.addErrback(self.failed, part, name)

    def failed(self, failure: Failure, part: Any, name: str) -> None:
        """Log that a part did not do what it was told to; it goes on as it is."""
        key = next((key for key, each in self._made if each is part), ("", ""))
        error = failure.value
        assert error is not None
        self._log.error(
            "The plugin {plugin} failed in {name}: {what}",
            event="plugin_failed",
            plugin=key[1],
            name=name,
            what=str(error) if isinstance(error, ValueError) else what_failed(error),
        )

    def _psk_store(self, loaded: Loaded) -> IPSKStore | None:
        options = loaded.configuration.psk_authentication
        if not options.enable:
            return None
        plugin = _named(lambda: psk_store(options.store), "psk_authentication.store")
        name = options.store
        own = name == "file"
        given = options if own else options.store_options
        guard = (lambda store: store) if own else partial(GuardedStore, name)
        store: IPSKStore = self._part(
            ("psk", name, given), plugin, IPSKStore, given, "psk_authentication", guard
        )
        return store

    def _checkers(
        self, listener: ListenerOptions, loaded: Loaded
    ) -> dict[str, IRevocationChecker]:
        """The checkers of one listener by name, in the order they are to be asked."""
        options = listener.ssl_options
        if options is None:
            return {}
        path = f"{listener.path}.ssl_options"
        wanted: list[tuple[str, Any, str, float]] = []
        if options.enable_crl_check:
            crl_cache = loaded.configuration.crl_cache
            wanted.append((CRL, crl_cache, "crl_cache", crl_cache.http_timeout))
        if options.ocsp_client.enable:
            client = options.ocsp_client
            wanted.append((OCSP, client, f"{path}.ocsp_client", client.timeout))
        for name in dict.fromkeys(options.revocation_checkers):
            if name in SWITCHES:
                what = "has an option of its own"
                raise ConfigurationErrors(
                    [error(f"{path}.revocation_checkers", f"{name} {what}", SWITCHES[name])]
                )
            wanted.append((name, None, f"{path}.revocation_checkers", _PLUGIN_TIME))
        checkers: dict[str, IRevocationChecker] = {}
        for name, given, where, seconds in wanted:
            plugin = _named(lambda name=name: revocation_checker(name), where)  # type: ignore[misc]
            key = ("checker", name, given)
            checkers[name] = self._part(key, plugin, IRevocationChecker, given, where)
            limit = max(self.time_limits.get(listener.id, 0.0), seconds + _GRACE)
            self.time_limits[listener.id] = limit
        if options.enable_crl_check:
            self.crl = checkers[CRL]
        return checkers

    def _doors(self, listener: ListenerOptions, loaded: Loaded) -> Doors:
        """How clients of one listener come in: its own authenticators, or those of all."""
        if listener.enable_authn is False:
            return OPEN
        own = [entry for entry in listener.authentication if entry.enable]
        entries = own or loaded.configuration.authentication
        needs_username = listener.enable_authn == "quick_deny_anonymous"
        reactor = self._context.reactor
        links: list[Link] = []
        methods: dict[str, EnhancedAuthenticator] = {}
        for entry in entries:
            if not entry.enable:
                continue
            plugin = _named(
                lambda name=entry.name: authenticator(name),  # type: ignore[misc]
                f"{entry.path}.mechanism",
            )
            key = ("authenticator", entry.name, entry.options)
            made = self._part(key, plugin, IAuthenticator, entry.options, entry.path)
            if not any(made is each for each in self.authenticators):
                self.authenticators.append(made)
            ignores = entry.on_error == "ignore"
            links.append(Link(entry.name, made, ignores))
            for name, method in methods_of(made).items():
                if name not in methods:  # the first that has it, as the order says
                    methods[name] = EnhancedMethod(entry.name, method, reactor)
        if not links:
            return Doors(needs_username=needs_username)
        chain = AuthenticatorChain(links, reactor)
        return Doors(chain, needs_username, methods)

    def _rules(self, loaded: Loaded) -> Rules:
        """What clients may do, wherever they come in."""
        options = loaded.configuration.authorization
        links: list[SourceLink] = []
        for entry in options.sources:
            if not entry.enable:
                continue
            plugin = _named(
                lambda name=entry.type: authorizer(name),  # type: ignore[misc]
                f"{entry.path}.type",
            )
            key = ("authorizer", entry.type, entry.options)
            made = self._part(key, plugin, IAuthorizer, entry.options, entry.path)
            if not any(made is each for each in self.authorizers):
                self.authorizers.append(made)
            links.append(SourceLink(f"{entry.path} ({entry.type})", made))
        cache = options.cache
        return Rules(
            SourceChain(
                links,
                self._context.reactor,
                denies=options.denies,
                denies_ruled=options.no_match != "allow",
            ),
            remembered=cache.max_size if cache.enable else 0,
            remembered_for=cache.ttl,
            disconnects=options.deny_action == "disconnect",
            key=(
                tuple(id(link.authorizer) for link in links),
                options.denies,
                options.no_match,
                options.deny_action,
                cache,
            ),
        )

    def _sinks(self, loaded: Loaded) -> list[SinkLink]:
        """Who is told what happens."""
        links: list[SinkLink] = []
        for entry in loaded.configuration.event_sinks:
            if not entry.enable:
                continue
            plugin = _named(
                lambda name=entry.name: event_sink(name),  # type: ignore[misc]
                f"{entry.path}.type",
            )
            key = ("event sink", entry.name, entry.options)
            sink = self._part(key, plugin, IEventSink, entry.options, entry.path)
            links.append(SinkLink(entry.name, sink, entry.events))
        return links

    def _part(
        self,
        key: tuple[object, ...],
        plugin: Any,
        interface: Any,
        options: Any,
        path: str,
        guard: Callable[[Any], Any] = lambda part: part,
    ) -> Any:
        # The authorities of outgoing TLS are read once, when the part is made.
        key = (*key, digests_of(getattr(options, "ssl", None), self._context.base_dir))
        for known, part in self._known():
            if known == key:
                if not any(part is each for each in self._parts()):
                    self._made.append((key, part))
                return part
        try:
            part = guard(made_by(plugin, interface, options, self._context))
            if interface is IAuthorizer:
                on_change = getattr(part, "on_change", None)
                if on_change is not None:
                    on_change(self._rules_changed)
            elif interface not in (IAuthenticator, IEventSink):
                part.on_change(self._changed)
        except ConfigurationErrors:
            raise
        except Exception as problem:  # a stranger's plugin
            said = str(problem) if isinstance(problem, ValueError) else repr(problem)
            raise ConfigurationErrors(
                [error(path, f"the plugin {plugin.name} cannot be used: {said}")]
            ) from None
        self._made.append((key, part))
        return part

    def _known(self) -> Iterator[tuple[tuple[object, ...], Any]]:
        yield from self._made
        if self._former is not None:
            yield from self._former._made


def _named(find: Callable[[], Any], path: str) -> Any:
    try:
        return find()
    except UnknownPlugin as problem:
        raise ConfigurationErrors(
            [error(path, str(problem), f"write one of {', '.join(problem.known)}")]
        ) from None

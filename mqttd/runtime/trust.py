"""Everything TLS needs, made from one configuration and swapped as one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.logger import Logger

from mqttd.auth.admission import ListenerAdmission
from mqttd.authz.authorization import ClientAuthorization
from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.load import Loaded
from mqttd.config.schema.listeners import ListenerOptions
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.config.schema.tls import OcspOptions, SslOptions
from mqttd.interfaces import IPSKStore, IRevocationChecker
from mqttd.net.event_hub import EventHub
from mqttd.net.listeners import Listener
from mqttd.revocation.policy import RevocationPolicy
from mqttd.revocation.stapling import Stapler, client_maker, must_staple
from mqttd.runtime.expiry import OwnCertificate
from mqttd.runtime.own import authorities_of, certificates_of, stapled_by
from mqttd.runtime.parts import Parts
from mqttd.runtime.sources import Digests, digests_of
from mqttd.tls.context import ALPN_HTTP, ALPN_MQTT
from mqttd.tls.listener_context import ListenerTLS, build_listener_tls


@attrs.frozen
class Stapled:
    """A certificate of ours that responses are fetched for."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    options: OcspOptions


@attrs.frozen
class _Origin:
    """What the TLS of a listener was made from: where it is equal nothing is made anew."""

    options: SslOptions = attrs.field(repr=False)
    alpn: bytes
    psk_options: PskAuthenticationOptions | None
    psk: IPSKStore | None = attrs.field(eq=id)
    checkers: Mapping[str, IRevocationChecker] = attrs.field(
        eq=lambda checkers: [(name, id(each)) for name, each in checkers.items()]
    )
    time_limit: float
    digests: Digests = attrs.field(repr=False)


@attrs.frozen(eq=False)
class _Made:
    """TLS of one listener, and the certificates it is about."""

    origin: _Origin
    tls: ListenerTLS = attrs.field(repr=False)
    stapled: Sequence[Stapled] = attrs.field(repr=False)
    own: Sequence[OwnCertificate] = attrs.field(repr=False)


@attrs.frozen(eq=False)
class Credentials:
    """What the listeners of one configuration present and accept, by the listener's id."""

    loaded: Loaded
    parts: Parts
    made: Mapping[str, _Made] = attrs.field(repr=False)

    @property
    def stapled(self) -> list[Stapled]:
        """Every certificate that responses are to be fetched for."""
        return [each for made in self.made.values() for each in made.stapled]

    @property
    def own(self) -> list[OwnCertificate]:
        """Every certificate that is presented or trusted."""
        return [each for made in self.made.values() for each in made.own]

    def tls_of(self, options: ListenerOptions) -> ListenerTLS | None:
        """TLS of a listener by its options, or None for a plain one."""
        made = self.made.get(options.id)
        return None if made is None else made.tls

    def changed(self, former: Credentials) -> set[str]:
        """Listeners whose TLS is another than under the former credentials."""
        return {
            name
            for name, made in self.made.items()
            if name not in former.made or made.tls is not former.made[name].tls
        }

    def gate_timeout(self, options: ListenerOptions) -> float | None:
        """Seconds a client of the listener may wait for the answer of its checkers."""
        return self.parts.time_limits.get(options.id)

    def must_staple(self) -> Iterator[str]:
        """Listeners one of whose certificates demands a stapled response (RFC 7633)."""
        for name, made in self.made.items():
            if any(must_staple(each.certificate) for each in made.stapled):
                yield name


class Trust:
    """Holds the credentials in use.

    ``changed`` is called when sessions must be checked again: with the ids of listeners, or with
    None for all. ``admission`` is what the broker asks about each CONNECT, ``authorization`` about
    what clients do then; ``hub`` is given the event sinks.
    """

    _log = Logger()

    def __init__(
        self,
        loaded: Loaded,
        reactor: Any,
        changed: Callable[[Collection[str] | None], object],
        admission: ListenerAdmission | None = None,
        authorization: ClientAuthorization | None = None,
        hub: EventHub | None = None,
    ) -> None:
        self._reactor = reactor
        self._hub = hub
        self._changed = changed
        self._admission = admission or ListenerAdmission()
        self._authorization = authorization or ClientAuthorization(reactor)
        self._current: Credentials | None = None
        self._running = False
        self._data_dir = loaded.base_dir / loaded.configuration.data_dir
        folder = self._data_dir / "ocsp"
        self.stapler = Stapler(reactor, folder, client_maker(reactor, loaded.base_dir))

    # --- what is in use ----------------------------------------------------------------------

    @property
    def psk_store(self) -> IPSKStore | None:
        """The store of pre-shared keys, if they are enabled."""
        return None if self._current is None else self._current.parts.psk

    @property
    def crl(self) -> IRevocationChecker | None:
        """The one checker of revocation lists, if a listener uses it."""
        return None if self._current is None else self._current.parts.crl

    @property
    def checkers(self) -> Mapping[str, Mapping[str, IRevocationChecker]]:
        """The revocation checkers by listener id, then by their names."""
        return {} if self._current is None else self._current.parts.checkers

    def listener_tls(self, options: ListenerOptions) -> ListenerTLS | None:
        """TLS of a listener, or None for a plain one."""
        return None if self._current is None else self._current.tls_of(options)

    def own_certificates(self) -> Sequence[OwnCertificate]:
        """Every certificate that is presented or trusted."""
        return () if self._current is None else self._current.own

    # --- making and swapping -----------------------------------------------------------------

    def parts(self, loaded: Loaded) -> Parts:
        """Checkers and stores for a configuration. Raises ConfigurationErrors."""
        former = None if self._current is None else self._current.parts
        return Parts(
            loaded,
            self._reactor,
            self._tell,
            former,
            self._data_dir,
            self._authorization.changed,
        )

    def prepare(self, loaded: Loaded, parts: Parts) -> Credentials:
        """Credentials for ``loaded``, to be used by :meth:`adopt`; may run in a thread.

        Raises ConfigurationErrors with every error there is.
        """
        findings: list[Finding] = []
        if self._current is not None and parts.psk is self._current.parts.psk:
            check = getattr(parts.psk, "check", None)
            if check is not None:  # what the store would refuse, the whole reload refuses
                findings += [each for each in check() if each.severity == "error"]
        made: dict[str, _Made] = {}
        former = {} if self._current is None else self._current.made
        for options in loaded.configuration.listeners.enabled():
            if options.ssl_options is None:
                continue
            origin = self._origin(options, options.ssl_options, loaded, parts)
            known = former.get(options.id)
            if known is not None and known.origin == origin:
                made[options.id] = known
                continue
            try:
                made[options.id] = self._make(options, origin, loaded.base_dir)
            except ConfigurationErrors as errors:
                findings += errors.errors
        if findings:
            raise ConfigurationErrors(findings)
        return Credentials(loaded, parts, made)

    def _origin(
        self, options: ListenerOptions, ssl_options: SslOptions, loaded: Loaded, parts: Parts
    ) -> _Origin:
        psk_options = loaded.configuration.psk_authentication
        return _Origin(
            options=ssl_options,
            alpn=ALPN_HTTP if options.uses_websocket else ALPN_MQTT,
            psk_options=None if parts.psk is None else psk_options,
            psk=parts.psk,
            checkers=parts.checkers.get(options.id, {}),
            time_limit=parts.time_limits.get(options.id, 0.0),
            digests=digests_of(ssl_options, loaded.base_dir),
        )

    def _make(self, options: ListenerOptions, origin: _Origin, base_dir: Path) -> _Made:
        judge = None
        if origin.checkers:
            judge = RevocationPolicy(
                origin.checkers, clock=self._reactor, time_limit=origin.time_limit
            )
        tls = build_listener_tls(
            origin.options,
            base_dir,
            path=f"{options.path}.ssl_options",
            alpn=origin.alpn,
            judge=judge,
            psk=origin.psk,
            psk_options=origin.psk_options,
            staple=self.stapler.response_for,
        )
        stapled = [Stapled(*each) for each in stapled_by(options, tls, base_dir)]
        own = [*certificates_of(options, tls), *authorities_of(options, base_dir)]
        return _Made(origin, tls, stapled, own)

    def ready(self, credentials: Credentials) -> Deferred[None]:
        """Done when must-staple certificates have a response, or one try of theirs has failed.

        Never raises; takes the ``refresh_http_timeout`` of the certificates at most.
        """
        for each in credentials.stapled:
            try:
                self.stapler.add(each.certificate, each.issuer, each.options)
            except ConfigurationErrors as errors:
                # Checked before; a file can vanish in between.
                for finding in errors.errors:
                    self._log.error("{finding}", finding=finding.text)
        return self.stapler.first_fetch()

    def abandon(self) -> None:
        """What was made ready last is not used after all: fetch for what is in use again."""
        if self._current is not None:
            self.stapler.keep_only(each.certificate for each in self._current.stapled)
            self.ready(self._current)

    def adopt(self, credentials: Credentials) -> Deferred[Any]:
        """Use them in place of the former; sessions are checked again. Does not fail.

        Fires when stores and checkers have read their files again.
        """
        former, self._current = self._current, credentials
        self._admission.use(credentials.parts.doors)
        if self._running:
            credentials.parts.take_over(None if former is None else former.parts)
        self._authorization.use(credentials.parts.rules)
        if self._hub is not None:
            self._hub.use(credentials.parts.sinks)
        if former is None:
            return succeed(None)
        self.stapler.keep_only(each.certificate for each in credentials.stapled)
        self._tell(credentials.changed(former))
        return DeferredList(list(self._read_files(credentials.parts)))

    def refresh(self) -> None:
        """Servers may say something else now of clients and what they may do: ask them again."""
        if self._current is None:
            return
        parts = self._current.parts
        for part in (*parts.authenticators, *parts.authorizers):
            refresh = getattr(part, "refresh", None)
            if refresh is not None:
                refresh()
        if self._running and self._current.parts.authorizers:
            self._authorization.changed()

    def start(self, listeners: Mapping[str, Listener]) -> Deferred[None]:
        """Begin background work. Listeners with a must-staple certificate accept nobody before its
        first response was fetched, or could not be; then the Deferred fires."""
        current = self._current
        assert current is not None
        self._running = True
        current.parts.take_over(None)
        ready = self.ready(current)
        self.stapler.start()
        if ready.called:
            return ready
        held = [listeners[name] for name in current.must_staple() if name in listeners]
        for listener in held:
            listener.hold()

        def release(_result: object) -> None:
            for listener in held:
                listener.release()

        return ready.addCallback(release)

    def stop(self) -> Deferred[Any]:
        """End background work. Fires when every part has; never fails."""
        self._running = False
        self.stapler.stop()
        self._authorization.stop()
        return succeed(None) if self._current is None else self._current.parts.stop()

    # --- within ------------------------------------------------------------------------------

    def _tell(self, listeners: Collection[str] | None = None) -> None:
        if self._running and (listeners is None or listeners):
            self._changed(listeners)

    def _read_files(self, parts: Parts) -> Iterator[Deferred[Any]]:
        """Stores and checkers read the files they were made from, which were checked before."""
        for part in (parts.psk, parts.crl, *parts.authenticators, *parts.authorizers):
            reload = getattr(part, "reload", None)
            if reload is None:
                continue
            read: Deferred[Any] = maybeDeferred(reload)
            yield read.addErrback(parts.failed, part, "reload")

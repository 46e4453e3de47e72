"""What plugins implement: the interfaces, and the values that go through them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from cryptography import x509  # plugins declare themselves without it

    from mqttd.events import Event
    from mqttd.identity import AccessRequest, Authenticated, ConnectRequest, Identity

GOOD = "good"
REVOKED = "revoked"
UNKNOWN = "unknown"


@attrs.frozen
class RevocationStatus:
    """What a revocation checker says of one certificate chain.

    ``outcome`` is ``good``, ``revoked`` or ``unknown``. ``cause`` is a stable word for logs and
    counters (``revoked``, ``crl-unreachable``, ``crl-expired``, ``no-distribution-point``, ...);
    empty for ``good``. ``text`` is the cause as part of a sentence for operators, with what is
    known: when revoked, why, which list. ``allow`` on ``unknown`` says that the operator chose to
    let such clients in.
    """

    outcome: str
    cause: str = ""
    text: str = ""
    allow: bool = False


STATUS_GOOD = RevocationStatus(GOOD)


class IRevocationChecker(Interface):
    """Knows whether client certificates are revoked.

    A chain is a tuple of ``cryptography.x509.Certificate``: the client's own first, then its
    issuers up to the trusted one, all signatures verified. Not called for other chains. Methods
    are called in the reactor's thread.
    """

    def known(chain: Sequence[x509.Certificate]) -> RevocationStatus | None:
        """The answer from memory, at once and without I/O, or None when :meth:`check` must be
        asked. Called within the TLS handshake: it must take microseconds."""

    def check(chain: Sequence[x509.Certificate]) -> Awaitable[RevocationStatus]:
        """The answer, after asking whoever knows. Never raises for an outage: the status then is
        ``unknown``. An exception counts as ``unknown`` and is logged."""

    def on_change(changed: Callable[[], object]) -> None:
        """Remember a function to call when later answers may differ from earlier ones: sessions
        are then checked again with :meth:`known`."""

    def start() -> None:
        """Begin background work, such as refreshing; the reactor runs."""

    def stop() -> None:
        """End background work."""


class IPSKStore(Interface):
    """Knows the pre-shared keys. Called in the reactor's thread, within the TLS handshake."""

    def key_for(identity: bytes) -> bytes | None:
        """The key of a client, 1 to 512 bytes, or None for an identity that is not known. Must
        answer at once from memory: the handshake cannot wait."""

    def identities() -> Sequence[bytes]:
        """Every identity known, for ``mqttd ctl psk list``; keys are never shown."""

    def on_change(changed: Callable[[], object]) -> None:
        """Remember a function to call after keys or identities changed: sessions whose key is
        gone or another are then ended."""


@attrs.frozen
class PluginContext:
    """What a plugin may need to make its object: the reactor, and where files are.

    ``base_dir`` is where relative paths of the configuration start; ``data_dir`` is for what must
    outlive a restart.
    """

    reactor: Any
    base_dir: Path
    data_dir: Path


class IAuthenticator(Interface):
    """Says who a client is. Called in the reactor's thread; what takes time is awaited."""

    def authenticate(request: ConnectRequest) -> Identity | Awaitable[Identity | None] | None:
        """An Identity lets the client in, None leaves it to the next authenticator.

        Raises :exc:`~mqttd.identity.Refused` to refuse it. May be a coroutine function or return
        a Deferred. Any other exception, and an answer that does not come in time, refuses the
        client as well, unless ``on_error = ignore``: then the next one is asked.

        An authenticator may also have ``start()``, ``stop()`` and ``reload()``, called without
        arguments: when it begins and ends to be used, and when the files it reads may have
        changed.
        """


class IAuthenticatorPlugin(IPlugin):
    """Declares an authenticator; an instance stands in a module of ``twisted.plugins``."""

    name: str = Attribute("``mechanism`` of ``authentication``, or ``mechanism:backend``.")
    description: str = Attribute("One line for ``twistd mqttd --help-plugins``.")

    def make(options: Any, context: PluginContext) -> IAuthenticator:
        """Make the authenticator. ``options`` is its section without what all have in common.

        Raises ValueError for options that make no sense.
        """


class IEnhancedAuthenticator(Interface):
    """An authentication method of MQTT 5's enhanced authentication (4.12).

    An :class:`IAuthenticator` offers such methods by an attribute ``methods``: a mapping of the
    Authentication Method's name to an object with this interface.
    """

    def start(request: ConnectRequest, data: bytes | None) -> IEnhancedExchange:
        """Begin an exchange for a CONNECT, or for a re-authentication of the same client.

        ``data`` is the client's first Authentication Data; it is also given to the first step.
        """


class IEnhancedExchange(Interface):
    """One running exchange of one client; forgotten when it has ended or the client is gone."""

    def step(
        data: bytes | None,
    ) -> bytes | Authenticated | Awaitable[bytes | Authenticated]:
        """Take the client's data. Bytes are the next challenge,
        :class:`~mqttd.identity.Authenticated` lets the client in.

        Raises :exc:`~mqttd.identity.Refused` to refuse it. Any other exception, and an answer that
        does not come in time, refuses the client as well.
        """


class IAuthorizer(Interface):
    """Says what an admitted client may do. Called in the reactor's thread."""

    def authorize(request: AccessRequest) -> bool | Awaitable[bool | None] | None:
        """True allows, False denies, None leaves it to the next source of rules.

        May be a coroutine function or return a Deferred: the client is paused meanwhile. An
        exception, and an answer that does not come in time, denies. Answers are remembered as
        ``authorization.cache`` says.

        An authorizer may also have ``start()``, ``stop()``, ``reload()`` and
        ``on_change(changed)``, the last to be told a function to call when later answers may
        differ from earlier ones: what was remembered is then forgotten, and subscriptions that
        are no longer allowed are dropped.
        """


class IAuthorizerPlugin(IPlugin):
    """Declares a source of rules; an instance stands in a module of ``twisted.plugins``."""

    name: str = Attribute("``type`` of one of ``authorization.sources``.")
    description: str = Attribute("One line for ``twistd mqttd --help-plugins``.")

    def make(options: Any, context: PluginContext) -> IAuthorizer:
        """Make the authorizer. ``options`` is its section without what all have in common.

        Raises ValueError for options that make no sense.
        """


class IEventSink(Interface):
    """Is told what happens: for an audit, a bridge, a database. Called in the reactor's thread.

    Events wait in a queue of bounded length and are handed over in order, one after the other. A
    sink never holds up a client: what it is too slow for is dropped, counted and told in the log.
    """

    def handle(event: Event) -> object | Awaitable[object]:
        """One event, a value of :mod:`mqttd.events`.

        May be a coroutine function or return a Deferred: the next event comes when it has ended.
        An exception is logged; the event is then done with.

        A sink may also have ``start()`` and ``stop()``, called when it begins and ends to be used;
        ``stop`` may return a Deferred.
        """


class IEventSinkPlugin(IPlugin):
    """Declares an event sink; an instance stands in a module of ``twisted.plugins``."""

    name: str = Attribute("``type`` of one of ``event_sinks``.")
    description: str = Attribute("One line for ``twistd mqttd --help-plugins``.")

    def make(options: Any, context: PluginContext) -> IEventSink:
        """Make the sink. ``options`` is its section without what all have in common.

        Raises ValueError for options that make no sense.
        """


class IRevocationCheckerPlugin(IPlugin):
    """Declares a revocation checker; an instance stands in a module of ``twisted.plugins``."""

    name: str = Attribute("What ``ssl_options.revocation_checkers`` calls it.")
    description: str = Attribute("One line for ``twistd mqttd --help-plugins``.")

    def make(options: Any, context: PluginContext) -> IRevocationChecker:
        """Make the checker. Raises ValueError for options that make no sense."""


class IPSKStorePlugin(IPlugin):
    """Declares a store of pre-shared keys, an instance of it standing in ``twisted.plugins``."""

    name: str = Attribute("What ``psk_authentication.store`` calls it.")
    description: str = Attribute("One line for ``twistd mqttd --help-plugins``.")

    def make(options: Any, context: PluginContext) -> IPSKStore:
        """Make the store. Raises ValueError for options that make no sense."""

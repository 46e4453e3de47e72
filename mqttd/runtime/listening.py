"""The listeners of a running broker: made, opened, moved, stopped, and given other options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd.abuse.guard import Guard
from mqttd.broker.broker import Broker
from mqttd.broker.limits import Limits
from mqttd.config.schema import Configuration
from mqttd.config.schema.listeners import ListenerOptions
from mqttd.config.types import Bind
from mqttd.engine.options import EngineOptions
from mqttd.log.trace import packet_trace
from mqttd.net.factory import ListenerFactory
from mqttd.net.gate import GATE_TIMEOUT
from mqttd.net.listeners import Listener, ListenError
from mqttd.net.refusals import Refusals
from mqttd.net.turn import Turn
from mqttd.packets.reason_codes import ReasonCode

_LIMIT_NAMES = frozenset(field.name for field in attrs.fields(Limits))
_OWN_LIMITS = ("peer_cert_as_username", "peer_cert_as_clientid", "psk_identity_as_username")
"""Options of ``mqtt`` that one listener can have otherwise."""


_GRACE = 1.0
"""Seconds the gate waits longer than the checkers may take: they know why they have no answer."""

_ANY_HOSTS = frozenset(("0.0.0.0", "::"))  # noqa: S104 - compared with, not listened on


class Security(Protocol):
    """What the listeners of one configuration present and accept."""

    def tls_of(self, options: ListenerOptions) -> Any:
        """TLS of a listener, or None for a plain one."""

    def gate_timeout(self, options: ListenerOptions) -> float | None:
        """Seconds a client may wait for the verdict on its certificate; None: as usual."""


@attrs.define
class Moves:
    """Ports opened ahead of a change, which then cannot fail; and what is to be closed."""

    added: list[Listener] = attrs.field(factory=list)
    moved: list[tuple[Listener, Any]] = attrs.field(factory=list)
    removed: list[Listener] = attrs.field(factory=list)
    ahead: list[tuple[Listener, Bind]] = attrs.field(factory=list)
    """Closed ahead, with where they listened: another port could not be opened beside theirs."""

    async def undo(self) -> list[str]:
        """The change does not take place; returns what could not be opened again."""
        closing: list[Deferred[Any]] = [listener.close() for listener in self.added]
        closing += [maybeDeferred(port.stopListening) for _, port in self.moved]
        await DeferredList(closing)
        problems = []
        for listener, bind in self.ahead:
            try:
                listener.move(listener.listen(attrs.evolve(listener.factory.options, bind=bind)))
            except ListenError as error:
                problems.append(str(error))
        return problems


class Listening:
    """Every enabled listener by its id, running or stopped, in the configuration's order.

    Iterated over it gives the factories whose connections are to be swept: also those of
    listeners that are no more, as long as connections of theirs are.
    """

    _log = Logger()

    def __init__(
        self,
        broker: Broker,
        turn: Turn,
        clock: IReactorTime,
        reactor: Any,
        guard: Guard | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._broker = broker
        self._turn = turn
        self._clock = clock
        self._reactor = reactor
        self._retired: list[Listener] = []
        self._guard = guard
        self.refusals = refusals or Refusals(clock)
        self.listeners: dict[str, Listener] = {}

    def __iter__(self) -> Iterator[ListenerFactory]:
        self._retired = [each for each in self._retired if each.factory.connections]
        for listener in (*self.listeners.values(), *self._retired):
            yield listener.factory

    def make(self, configuration: Configuration, security: Security) -> None:
        """Make every enabled listener; no port is opened yet."""
        for options in configuration.listeners.enabled():
            self.listeners[options.id] = self._made(options, configuration, security)

    def open(self) -> list[str]:
        """Open every port, or none; returns why not, one line for each that could not be."""
        problems = []
        for listener in self.listeners.values():
            try:
                listener.open()
            except ListenError as error:
                problems.append(str(error))
        if problems:
            self.close()
        return problems

    def close(self) -> list[Deferred[None]]:
        """Accept nobody any more; connections stay."""
        return [listener.close() for listener in self.listeners.values()]

    # --- one listener, as the operator asks --------------------------------------------------

    def start(self, name: str) -> None:
        """Open a stopped listener. Raises KeyError for an id that is not enabled, ListenError."""
        listener = self.listeners[name]
        if not listener.running:
            listener.open()
            self._say_open(listener)

    def stop(self, name: str) -> Deferred[None]:
        """Close a listener and end its connections. Raises KeyError."""
        listener = self.listeners[name]
        closed = listener.close()
        self._log.info("{listener} is stopped", event="listener_stopped", listener=name)
        self.end_connections(listener)
        return closed

    def restart(self, name: str) -> Deferred[None]:
        """Stop and start. Raises KeyError; fires with ListenError."""
        return self.stop(name).addCallback(lambda _: self.start(name))

    def end_connections(self, listener: Listener) -> None:
        """MQTT 5 clients are told why: 0x98, Administrative action."""
        self._turn.touch()
        for connection in list(listener.factory.connections):
            if connection.mqtt is None:
                connection.transport.abortConnection()
            else:
                connection.mqtt.close(ReasonCode.ADMINISTRATIVE_ACTION, "the listener is stopped")

    # --- another configuration ---------------------------------------------------------------

    async def prepare(self, new: Configuration, security: Security) -> Moves:
        """Open what the new configuration wants open and is not.

        Where a port can be opened only after another is closed, such as one of all addresses in
        place of one address, that one is closed for a moment. Raises ListenError when a port
        cannot be opened; everything is as before then.
        """
        moves = Moves()
        wanted = {options.id: options for options in new.listeners.enabled()}
        moves.removed = [self.listeners[name] for name in self.listeners if name not in wanted]
        moving = {
            name: listener
            for name, listener in self.listeners.items()
            if listener.running
            and name in wanted
            and wanted[name].bind != listener.factory.options.bind
        }
        binds = [
            options.bind
            for name, options in wanted.items()
            if name in moving or name not in self.listeners
        ]
        for listener in (*moving.values(), *moves.removed):
            bind = Bind(listener.factory.options.bind.host, listener.port)
            if listener.running and any(_overlap(bind, each) for each in binds):
                moves.ahead.append((listener, bind))
                await listener.close()
        try:
            for name, options in wanted.items():
                if name in moving:
                    moves.moved.append((moving[name], moving[name].listen(options)))
                elif name not in self.listeners:
                    added = self._made(options, new, security)
                    added.open()
                    moves.added.append(added)
        except ListenError:
            for problem in await moves.undo():
                self._log.error("{problem}", problem=problem)
            raise
        return moves

    def apply(self, moves: Moves, new: Configuration, security: Security) -> None:
        """Take the new configuration into use. Does not fail."""
        for listener in moves.removed:
            listener.close()
            del self.listeners[listener.id]
            self._retired.append(listener)
            self._log.info("{listener} is closed", event="listener_stopped", listener=listener.id)
            self.end_connections(listener)
        for listener in moves.added:
            self.listeners[listener.id] = listener
        for options in new.listeners.enabled():
            factory = self.listeners[options.id].factory
            tls = security.tls_of(options)
            factory.configure_with(options, limits_of(new, options), tls)
            _set_gate(factory, options, security)
        for listener, port in moves.moved:
            listener.move(port)
        for listener in (*moves.added, *(listener for listener, _ in moves.moved)):
            self._say_open(listener)
        order = [options.id for options in new.listeners.enabled()]
        self.listeners = {name: self.listeners[name] for name in order}

    # --- within ------------------------------------------------------------------------------

    def say_open(self) -> None:
        """A line for each open listener."""
        for listener in self.listeners.values():
            self._say_open(listener)

    def _say_open(self, listener: Listener) -> None:
        self._log.info(
            "{listener} listening on {address}{tls}",
            event="listener_started",
            listener=listener.id,
            address=listener.address,
            tls=_tls_text(listener.factory.options),
        )

    def _made(
        self, options: ListenerOptions, configuration: Configuration, security: Security
    ) -> Listener:
        factory = ListenerFactory(
            options,
            self._broker,
            limits_of(configuration, options),
            self._turn,
            self._clock,
            security.tls_of(options),
            packet_trace,
            refusals=self.refusals,
            guard=self._guard,
        )
        _set_gate(factory, options, security)
        return Listener(factory, self._reactor)


def limits_of(configuration: Configuration, options: ListenerOptions | None = None) -> Limits:
    """The limits of the broker, or those of one listener's clients."""
    mqtt = configuration.mqtt
    values: dict[str, Any] = {name: getattr(mqtt, name) for name in _LIMIT_NAMES}
    if options is not None:
        own = {name: getattr(options, name) for name in _OWN_LIMITS if name in _LIMIT_NAMES}
        values |= {name: value for name, value in own.items() if value is not None}
    return Limits(**values)


def engine_options(configuration: Configuration) -> EngineOptions:
    """What the engine may keep."""
    names = (field.name for field in attrs.fields(EngineOptions))
    mqtt = configuration.mqtt
    return EngineOptions(**{name: getattr(mqtt, name) for name in names if hasattr(mqtt, name)})


def _set_gate(factory: ListenerFactory, options: ListenerOptions, security: Security) -> None:
    seconds = security.gate_timeout(options)
    factory.gate_timeout = GATE_TIMEOUT if seconds is None else seconds + _GRACE


def _overlap(one: Bind, other: Bind) -> bool:
    """Whether the two cannot be open at once."""
    if one.port != other.port or one.port == 0 or (":" in one.host) != (":" in other.host):
        return False
    return one.host == other.host or not _ANY_HOSTS.isdisjoint((one.host, other.host))


def _tls_text(options: ListenerOptions) -> str:
    if options.ssl_options is None:
        return ""
    clients = "client certificates required" if options.ssl_options.requires_peer_cert else ""
    return f" (TLS{', ' + clients if clients else ''})"

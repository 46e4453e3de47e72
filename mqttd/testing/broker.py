"""A whole broker in memory, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import attrs
from twisted.internet.task import Clock

from mqttd.auth.chain import AuthenticatorChain, Link
from mqttd.auth.enhanced import EnhancedMethod
from mqttd.authz.authorization import ClientAuthorization, Rules
from mqttd.authz.chain import Link as SourceLink
from mqttd.authz.chain import SourceChain
from mqttd.broker.broker import Broker
from mqttd.broker.limits import Limits
from mqttd.broker.ports import Admission, Authorization, EnhancedAuthenticator
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions
from mqttd.events import EVENTS
from mqttd.identity import ConnectRequest, Identity, PeerInfo, Refused
from mqttd.interfaces import IAuthenticator, IAuthorizer, IEventSink
from mqttd.net.event_hub import EventHub, SinkLink
from mqttd.net.events import LoggedEvents
from mqttd.net.reported_events import ReportedEvents, ReportedMessages
from mqttd.packets.reason_codes import ReasonCode
from mqttd.plugins import methods_of
from mqttd.testing.client import MemoryClient
from mqttd.testing.requests import SOMEBODY

_STEPS = 100


class AdmitAll:
    """Admits every client under the User Name it gave."""

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        """Say yes at once."""
        done(Identity(username=request.username))


class MemoryBroker:
    """A broker with the memory engine. ``options`` are the names of the ``mqtt {}`` options.

    ``authenticators`` are asked in order, as those of the configuration, and their ``methods`` are
    offered for enhanced authentication; without any, everybody comes in. ``authorizers`` say in
    order what clients may do, and what none of them speaks of is denied; without any, everything
    is allowed. ``event_sinks`` are told everything, each message too. ``admission``, ``enhanced``
    and ``authorization`` are the broker's own ports instead, for tests of the broker.

    ``clock`` is a :class:`twisted.internet.task.Clock`, for plugins that want a reactor to call
    them later (a new one at 1000 seconds unless given); ``now`` is its time, and counts as the
    time of day too. ``core`` and ``engine`` are the parts that run. Choices of the broker that are
    random in production repeat from run to run.
    """

    def __init__(
        self,
        *,
        authenticators: Sequence[IAuthenticator] = (),
        authorizers: Sequence[IAuthorizer] = (),
        event_sinks: Sequence[IEventSink] = (),
        clock: Clock | None = None,
        admission: Admission | None = None,
        enhanced: Mapping[str, EnhancedAuthenticator] | None = None,
        authorization: Authorization | None = None,
        **options: Any,
    ) -> None:
        if clock is None:
            clock = Clock()
            clock.rightNow = 1_000.0
        self.clock = clock
        known = set(attrs.fields_dict(Limits))
        for_limits = {name: value for name, value in options.items() if name in known}
        engine_names = set(attrs.fields_dict(EngineOptions))
        for_engine = {name: value for name, value in options.items() if name in engine_names}
        unknown = set(options) - known - engine_names
        if unknown:
            raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
        if authenticators:
            if admission is not None or enhanced is not None:
                raise TypeError("authenticators take the place of admission and enhanced")
            links = [Link(type(each).__name__, each) for each in authenticators]
            admission = AuthenticatorChain(links, self.clock, now=self.clock.seconds)
            enhanced = {
                name: EnhancedMethod(name, method, self.clock, now=self.clock.seconds)
                for each in authenticators
                for name, method in methods_of(each).items()
            }
        self.engine = MemoryEngine(EngineOptions(**for_engine))
        self.core = Broker(
            self.engine,
            Limits(**for_limits),
            admission or AdmitAll(),
            enhanced=enhanced,
            authorization=authorization,
            rng=Random(0),  # noqa: S311 - the same choices in every run
        )
        if authorizers and authorization is not None:
            raise TypeError("authorizers take the place of authorization")
        if authorization is None and (authenticators or authorizers):  # identities bring rules
            self._authorize(authorizers)
        self._tells = bool(event_sinks)
        if event_sinks:
            self._report(event_sinks)
        self.clients: list[MemoryClient] = []
        self._made = 0

    def _authorize(self, authorizers: Sequence[IAuthorizer]) -> None:
        own = ClientAuthorization(self.clock)
        own.attach(self.core)
        sources = [SourceLink(type(each).__name__, each) for each in authorizers]
        own.use(Rules(SourceChain(sources, self.clock, denies=bool(sources))))
        for each in authorizers:
            on_change = getattr(each, "on_change", None)
            if on_change is not None:
                on_change(own.changed)

    def _report(self, event_sinks: Sequence[IEventSink]) -> None:
        hub = EventHub(self.clock, now=self.clock.seconds)
        events = frozenset(EVENTS)
        hub.use([SinkLink(type(each).__name__, each, events) for each in event_sinks])
        messages = ReportedMessages(hub)
        self.core.events = ReportedEvents(LoggedEvents(), hub)
        self.core.messages = messages
        self.engine.lost = messages.dropped

    @property
    def now(self) -> float:
        """The broker's time in seconds."""
        return self.clock.rightNow

    def client(
        self,
        level: int = 5,
        *,
        peer: PeerInfo = SOMEBODY,
        mountpoint: str | Callable[[str | None, str], str] = "",
    ) -> MemoryClient:
        """A new Network Connection that speaks MQTT 3.1 (3), 3.1.1 (4) or 5; nothing is sent.

        ``peer`` is who the broker takes it for, ``mountpoint`` that of the listener it came to.
        """
        self._made += 1
        connect = partial(self.core.connect, peer=peer, now=self.now, mountpoint=mountpoint)
        client = MemoryClient(self, level, self._made, connect)
        self.clients.append(client)
        return client

    def connected(
        self, client_id: str, level: int = 5, *, peer: PeerInfo = SOMEBODY, **fields: Any
    ) -> MemoryClient:
        """A client whose CONNECT was accepted. ``fields`` are those of ``Connect``."""
        client = self.client(level, peer=peer)
        connack = client.connect(client_id=client_id, **fields)
        assert connack.reason_code == 0, f"refused: {connack!r}"
        return client

    def advance(self, seconds: float) -> None:
        """Let time pass. The broker sweeps once a second, or a hundred times when that is less."""
        step = max(1.0, seconds / _STEPS)
        end = self.now + seconds
        while self.now < end:
            then = min(end, self.now + step)
            self.clock.advance(then - self.now)
            self.clock.rightNow = then  # sums of fractions would drift
            self.sweep()

    def sweep(self) -> None:
        """Let the broker look at every deadline."""
        while self.core.sweep(self.now):
            pass
        for client in list(self.clients):
            end = client.connection.identity.expires_at
            if end is not None and end <= self.now:  # as the listeners do
                client.connection.close(ReasonCode.NOT_AUTHORIZED, "authentication expired")
        self.turn()

    def turn(self) -> None:
        """End a turn: complete what was begun, and report closed connections to the broker.

        To be called after an answer was given from outside of the broker: a Deferred that fired.
        """
        self._settle()
        for _ in range(_STEPS if self._tells else 0):  # sinks are told in the next turn
            if not any(call.getTime() <= self.now for call in self.clock.getDelayedCalls()):
                break
            self.clock.advance(0)
            self._settle()

    def _settle(self) -> None:
        again = True
        while again:
            self.core.commit(self.now)
            again = bool(self.core.resting or self.core.unfinished)
            for client in list(self.clients):
                again = client.end_turn() or again

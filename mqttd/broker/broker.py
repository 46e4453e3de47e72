"""The broker: what all connections share; handlers find it through their connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from random import Random, SystemRandom

from mqttd.broker.connection import Connection
from mqttd.broker.counters import Counters
from mqttd.broker.limits import Limits
from mqttd.broker.ports import (
    Admission,
    Authorization,
    Engine,
    EnhancedAuthenticator,
    Events,
    MessageEvents,
    Outlet,
)
from mqttd.broker.session import Session
from mqttd.broker.strict_mode import is_discouraged
from mqttd.broker.topics import check_topic_name
from mqttd.identity import PeerInfo
from mqttd.packets.errors import TopicNameInvalid
from mqttd.packets.reason_codes import ReasonCode

_KNOWN_TOPICS = 50_000
_SWEEP_SLICE = 2_000
_PUT_OFF_TIME = 0.01
"""Seconds of a turn after which work that was put off waits for the next."""


class Broker:
    """Holds the engine, the limits and every live connection; has no clock of its own.

    ``now`` is seconds, any epoch, never going back; the caller gives it to every entry point. The
    caller ends each turn with :meth:`commit`. ``clients`` counts those that were admitted and are
    still here, ``maximum_clients`` the most there were at once.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        admission: Admission,
        *,
        events: Events | None = None,
        enhanced: Mapping[str, EnhancedAuthenticator] | None = None,
        authorization: Authorization | None = None,
        rng: Random | None = None,
    ) -> None:
        self.engine = engine
        self.limits = limits
        self.admission = admission
        self.events = events
        self.messages: MessageEvents | None = None
        """Who is told of each message; None while nobody wants to know."""
        self.enhanced = {} if enhanced is None else enhanced  # empty now, maybe not later
        self.authorization = authorization
        self.rules = object()
        """The rules in force, for what is remembered under them: another object, other rules."""
        self.rng = rng or SystemRandom()
        self.counters = Counters()
        self.connections: set[Connection] = set()
        self.clients = 0
        self.maximum_clients = 0
        self.now = 0.0
        self.wake: Callable[[], float] = lambda: self.now
        """Given by who runs the broker: sees to it that :meth:`commit` comes, returns the time.
        Called when an answer that was awaited is there, which can be at any moment."""
        self.starved: set[Session] = set()
        self.resting: set[Session] = set()
        """Those who go on in the next turn, so that others have theirs."""
        self.unfinished: deque[Callable[[], object]] = deque()
        """See :meth:`put_off`."""
        self._known_topics: dict[bytes, None] = {}
        self._swept: list[Connection] = []

    def connect(
        self,
        outlet: Outlet,
        peer: PeerInfo,
        now: float,
        *,
        mountpoint: str | Callable[[str | None, str], str] = "",
        limits: Limits | None = None,
    ) -> Connection:
        """A Network Connection is there. ``mountpoint`` is text, or is asked with (username,
        client_id) once they are known; a ValueError from it refuses the client."""
        self.now = now
        self.counters.sockets += 1
        connection = Connection(self, outlet, peer, limits or self.limits, mountpoint)
        self.connections.add(connection)
        return connection

    def commit(self, now: float) -> None:
        """End of a turn: the engine stores, and acknowledgements leave."""
        self.now = now
        resting, self.resting = self.resting, set()
        for session in resting:
            session.go_on()
        if self.unfinished:
            self._finish(now + _PUT_OFF_TIME)
        self.engine.commit(now)
        while self.starved:
            self.starved.pop().flow()

    def put_off(self, connection: Connection, work: Callable[[], object]) -> None:
        """Go on with a client's work in a later turn, so that others have theirs."""
        self.unfinished.append(partial(self._work, connection, work))
        self.wake()

    def _finish(self, until: float) -> None:
        for _ in range(len(self.unfinished)):
            self.unfinished.popleft()()
            if self.unfinished and self.wake() >= until:
                break

    def _work(self, connection: Connection, work: Callable[[], object]) -> None:
        self.now = self.wake()
        try:
            work()
        except Exception:  # ours; nobody would ever go on with the client
            connection.close(ReasonCode.UNSPECIFIED_ERROR, "internal error")
            raise

    def answered(self) -> None:
        """An answer that was awaited is there; what follows from it needs a turn to end."""
        self.now = self.wake()

    def sweep(self, now: float) -> bool:
        """Look at deadlines; to be called about once a second.

        Works in slices: returns True when it wants to be called again soon, so that tens of
        thousands of connections never stall the others.
        """
        self.now = now
        again = self.engine.sweep(now)
        if not self._swept:
            self._swept = list(self.connections)
        # Taken off first: if one cannot be swept, the others' turn still comes.
        piece = self._swept[:_SWEEP_SLICE]
        del self._swept[:_SWEEP_SLICE]
        for connection in piece:
            connection.sweep(now)
        self.commit(now)
        return again or bool(self._swept)

    def shut_down(self, now: float) -> None:
        """Tell every client, and end. [MQTT 5, 3.14.2.1: 0x8B]."""
        self.now = now
        for connection in list(self.connections):
            connection.close(ReasonCode.SERVER_SHUTTING_DOWN, "server shutting down")
        self.commit(now)

    def note_client(self) -> None:
        """A client was admitted: keep the high-water mark for ``$SYS``."""
        self.clients += 1
        self.maximum_clients = max(self.maximum_clients, self.clients)

    def check_topic(self, topic: bytes) -> None:
        """Validate a Topic Name; what was found good is remembered: one dict look-up."""
        known = self._known_topics
        if topic in known:
            return
        check_topic_name(topic, self.limits.max_topic_levels)
        if self.limits.strict_mode and is_discouraged(topic.decode()):
            raise TopicNameInvalid("the topic name holds a control or non-character")
        if len(known) >= _KNOWN_TOPICS:
            known.clear()
        # Long names are not kept: 50,000 of 64 KiB would be gigabytes.
        if len(topic) <= 256:
            known[topic] = None

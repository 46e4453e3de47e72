"""One listener's connections: who may connect at all, and what they share."""

from __future__ import annotations

import math
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from typing_extensions import override

from mqttd.abuse.guard import Guard, Objection
from mqttd.abuse.rates import Bucket
from mqttd.broker.broker import Broker
from mqttd.broker.limits import Limits
from mqttd.config.schema.listeners import ListenerOptions
from mqttd.identity import PeerInfo
from mqttd.log.lines import new_connection
from mqttd.net.access_rules import parse_access_rules
from mqttd.net.connection import NetworkConnection
from mqttd.net.credentials import ENDED, EXPIRED
from mqttd.net.cuts import Cuts
from mqttd.net.gate import GATE_TIMEOUT, Gate
from mqttd.net.meter import ListenerRates
from mqttd.net.mountpoint import render_mountpoint
from mqttd.net.refusals import OTHER, Refusals
from mqttd.net.turn import Turn
from mqttd.packets.decode import Packet
from mqttd.packets.reason_codes import ReasonCode
from mqttd.tls.channel import TLSFailure
from mqttd.tls.context import ServerContext
from mqttd.tls.listener_context import ListenerTLS

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection

_MOST_REASONS = 200
_BAD_PROOFS = frozenset(("psk-unknown", "psk-wrong-key", "revoked"))
"""Refusals that count as failed authentications; a mistake in the set-up of TLS does not."""
_CONN_RATES = ("max_conn_rate", "max_conn_burst")
_RATES = tuple(
    f"{whose}{what}_{kind}"
    for whose in ("", "listener_")
    for what in ("messages", "bytes")
    for kind in ("rate", "burst")
)


class ListenerFactory(ServerFactory):
    """Builds a :class:`NetworkConnection` for each socket that the listener's rules let in.

    ``trace`` is asked for each new connection and gives the packet log, or None when it is off.
    ``refusals`` is best shared by all listeners; without, this one has its own.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        options: ListenerOptions,
        broker: Broker,
        limits: Limits,
        turn: Turn,
        reactor: IReactorTime,
        tls: ListenerTLS | ServerContext | None,
        trace: Callable[[PeerInfo], Callable[[str, Packet], None] | None] = lambda _peer: None,
        *,
        refusals: Refusals | None = None,
        wall_clock: Callable[[], float] = time.time,
        guard: Guard | None = None,
    ) -> None:
        self.id = options.id
        self.options = options
        self.broker = broker
        self.turn = turn
        self.now = reactor.seconds
        self.connections: set[NetworkConnection] = set()
        self._trace = trace
        self.most_connections = 0
        """The most there were at a time."""
        self.shutdown_counts: Counter[str] = Counter()
        """How many connections ended, by a word for how; bounded."""
        self.refusals = refusals or Refusals(reactor)
        self.gate = Gate()
        self.gate_timeout = GATE_TIMEOUT
        """Seconds a client may wait for a verdict: the checkers' own limits and a little more."""
        self.generation = 0
        """One more whenever credentials changed; see :class:`LiveTrust`."""
        self._wall_clock = wall_clock
        self._cuts = Cuts(reactor, self.refusals.hub)
        self._emptied: Deferred[None] | None = None
        self.guard = guard
        """Asked about each address; None: nobody is."""
        self.throttled = 0
        """How often a client had to wait for a rate."""
        self._clock = reactor
        self._rate = _rate(options)
        self.rates = ListenerRates(options, reactor)
        self.configure_with(options, limits, tls)

    def configure_with(
        self, options: ListenerOptions, limits: Limits, tls: ListenerTLS | ServerContext | None
    ) -> None:
        """What connections that come from now on follow; those that are there keep theirs."""
        former, self.options = self.options, options
        if _differ(options, former, _CONN_RATES):
            self._rate = _rate(options)
        if _differ(options, former, _RATES):
            self.rates = ListenerRates(options, self._clock)
            for connection in self.connections:
                if connection.mqtt is not None and not connection.closing:
                    connection.reading.measure(self.rates.meter(connection))
        self.limits = limits
        self.tls_context = ListenerTLS(tls) if isinstance(tls, ServerContext) else tls
        ssl = options.ssl_options
        self.live_enforcement = ssl is not None and ssl.live_enforcement
        self.access_rules = parse_access_rules(options.access_rules)
        # Two buffers, here and in the transport, each with the watermark and one message more.
        self.crowd = 2 * (options.tcp_options.high_watermark + limits.max_packet_size)

    @override
    def buildProtocol(self, addr: IAddress | None) -> NetworkConnection | None:  # type: ignore[override]
        """None, and so a closed socket, for a peer the listener does not want."""
        assert isinstance(addr, IPv4Address | IPv6Address)
        connection = NetworkConnection(self, (addr.host, addr.port))
        objection = self._objection(connection, addr.host)
        if objection is None:
            return connection
        self.count(objection.kind)
        self.refusals.refused(
            listener=self.id,
            peer=(addr.host, addr.port),
            kind=objection.kind,
            text=objection.text,
        )
        return None

    def _objection(self, connection: NetworkConnection, host: str) -> Objection | None:
        maximum = self.options.max_connections
        if maximum is not None and len(self.connections) >= maximum:
            return Objection("max-connections", f"{maximum}")
        if not self.options.proxy_protocol:
            if not self.access_rules.allows(host):
                return Objection("access-rules")
            # Before the rate of all: who comes too often must not use up what others need.
            objection = connection.enter_address(host)
            if objection is not None:
                return objection
        if self._rate is not None and not self._rate.take(self.now()):
            self.leave_address(connection)
            return Objection("max-conn-rate")
        return None

    def leave_address(self, connection: NetworkConnection) -> None:
        """The connection's address is no longer charged with it."""
        visit, connection.visit = connection.visit, None
        if visit is not None and self.guard is not None:
            self.guard.leave(visit)

    def configure(self, transport: Any) -> None:
        """Apply ``tcp_options`` to an accepted socket."""
        options = self.options.tcp_options
        transport.setTcpNoDelay(options.nodelay)
        # Also what Twisted reads at a time; less than its own 64 KiB would only cost speed.
        transport.bufferSize = max(transport.bufferSize, options.buffer)
        handle = transport.getHandle()
        if not isinstance(handle, socket.socket):
            return
        if options.keepalive is not None:
            transport.setTcpKeepAlive(True)
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, options.keepalive.idle)
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, options.keepalive.interval)
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, options.keepalive.probes)
        if options.nolinger:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def unsent(self, transport: Any) -> int:
        """Bytes the transport holds; only to see whether it makes progress."""
        later: int = transport._tempDataLen  # written, and not yet joined to the buffer
        return len(transport.dataBuffer) - int(transport.offset) + later

    def joined(self, connection: NetworkConnection) -> None:
        """A connection began."""
        self.connections.add(connection)
        self.most_connections = max(self.most_connections, len(self.connections))
        host, port = connection.peer.peer
        number = connection.transport.getHost().port
        new_connection(self._log, listener=self.id, peer=f"{host}:{port}", port=number)

    def left(self, connection: NetworkConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self.leave_address(connection)
        self.count(connection.ended or "lost")
        if not self.connections and self._emptied is not None:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def when_empty(self) -> Deferred[None]:
        """Fires when no connection is left; there is one such waiter, the service's stop."""
        if not self.connections:
            return succeed(None)
        self._emptied = Deferred()
        return self._emptied

    def refused(
        self,
        connection: NetworkConnection,
        kind: str,
        text: str = "",
        failure: TLSFailure | None = None,
    ) -> None:
        """A connection ended before MQTT began: one line for the operator, with all we know.

        ``kind`` is that of the cause table, ``text`` what is known beyond it, ``failure`` that
        of TLS where it is the cause.
        """
        facts: dict[str, Any] = {}
        if connection.tls is not None:
            facts = connection.tls.facts(failure)
        peer = connection.peer.peer
        connection.ended = self.refusals.refused(
            listener=self.id, peer=peer, kind=kind, text=text, **facts
        )
        if connection.ended in _BAD_PROOFS and self.guard is not None:
            self.guard.handshake_failed(peer[0])

    def count(self, reason: str) -> None:
        """Count how a connection ended."""
        counts = self.shutdown_counts
        if reason not in counts and len(counts) >= _MOST_REASONS:
            reason = OTHER
        counts[reason] += 1

    def open_mqtt(self, outlet: NetworkConnection, peer: PeerInfo) -> Connection:
        """MQTT begins on a connection."""
        mountpoint = self.options.mountpoint
        connection = self.broker.connect(
            outlet,
            peer,
            self.now(),
            mountpoint=(
                (lambda username, client_id: render_mountpoint(mountpoint, username, client_id))
                if mountpoint
                else ""
            ),
            limits=self.limits,
        )
        connection.trace = self._trace(peer)
        return connection

    def sweep(self, now: float) -> None:
        """Look at every connection's deadline, and whether its certificate has ended."""
        wall = self._wall_clock()
        today = wall if self.live_enforcement else -math.inf
        for connection in list(self.connections):
            try:
                connection.check_deadline(now)
                if connection.expires <= today:
                    connection.expires = math.inf
                    self._cuts.queue(connection, EXPIRED)
                mqtt = connection.mqtt
                end = None if mqtt is None else mqtt.identity.expires_at
                if end is not None and end <= wall and not connection.closing:
                    self._cuts.queue(connection, ENDED)
            except Exception:
                connection.fail()

    def cut(self, reason: str) -> None:
        """End every connection; MQTT 5 clients are told 0x98, Administrative action."""
        for connection in list(self.connections):
            try:
                connection.cut(ReasonCode.ADMINISTRATIVE_ACTION, reason, "stopping")
            except Exception:
                connection.fail()

    def trace_open_connections(self) -> None:
        """The packet log was turned on or off: ask for it anew for each open connection."""
        for connection in self.connections:
            if connection.mqtt is not None:
                connection.mqtt.trace = self._trace(connection.peer)


def _rate(options: ListenerOptions) -> Bucket | None:
    rate = options.max_conn_rate
    return None if rate is None else Bucket(rate, options.max_conn_burst)


def _differ(one: ListenerOptions, other: ListenerOptions, names: Sequence[str]) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in names)

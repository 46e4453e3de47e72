"""One accepted socket: PROXY header, TLS, WebSocket and MQTT, stage upon stage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import attrs
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection as TCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from mqttd.abuse.guard import Objection, Visit
from mqttd.identity import PeerInfo, ProxyHeader
from mqttd.net.first_bytes import foreign_kind
from mqttd.net.proxy_protocol import InvalidProxyHeader, ProxyParser
from mqttd.net.reading import Reading
from mqttd.net.tls_stage import TLSStage
from mqttd.net.websocket_stage import WebSocketStage
from mqttd.net.wire import write_now
from mqttd.net.write_buffer import WriteBuffer
from mqttd.packets.reason_codes import ReasonCode
from mqttd.tls.channel import TLSFailure
from mqttd.tls.verdict import ACCEPT, UNDECIDED

if TYPE_CHECKING:
    from mqttd.broker.connection import Connection
    from mqttd.net.factory import ListenerFactory

LINGER = 1.0
"""Seconds a closed connection's input is read away, so that the peer gets the last bytes."""

FLUSH_TIME = 5.0
"""Seconds the last bytes of a connection may take."""


class Stage(Protocol):
    """Takes the bytes of the stage below."""

    def __call__(self, data: bytes) -> None:
        """Bytes came."""


class NetworkConnection(TwistedProtocol):
    """The Twisted protocol under every listener type, and the broker's Outlet.

    ``deadline`` is when the current stage must be over; the factory looks at it about once a
    second. Everything a peer can do wrong ends in :meth:`refuse` or in the broker's own answer.
    """

    _log = Logger()
    transport: TCPTransport

    def __init__(self, factory: ListenerFactory, peer: tuple[str, int]) -> None:
        self.factory: ListenerFactory = factory
        self.peer = PeerInfo(listener=factory.id, peer=peer)
        self.mqtt: Connection | None = None
        self.deadline = math.inf
        self._stage: Stage = self._discard
        self.expires = math.inf
        """When the client's certificate ends, in seconds since the epoch."""
        self.ended = ""
        """How it ended, as a word for counters; empty while it has not."""
        self._late = "timeout"
        self._tls: TLSStage | None = None
        self._websocket: WebSocketStage | None = None
        self._proxy: ProxyParser | None = None
        self._buffer: WriteBuffer | None = None
        # Asked for each QoS 0 message: an attribute, not a property.
        self.writable = True
        """False while more than the high watermark waits."""
        self._closing = False
        self.reading = Reading(self)
        self.visit: Visit | None = None
        """What its address is charged with, None while nobody is."""
        self._stalled: tuple[float, int] | None = None

    # --- Twisted calls ----------------------------------------------------------------------

    @override
    def connectionMade(self) -> None:
        factory = self.factory
        factory.configure(self.transport)
        self._buffer = WriteBuffer(
            self.transport,
            factory.turn,
            factory.options.tcp_options.high_watermark,
            self._write,
            self._outlet_filled,
            self._outlet_drained,
            self._outlet_resumed,
        )
        self.transport.registerProducer(self._buffer, True)
        factory.joined(self)
        if factory.options.proxy_protocol:
            self._proxy = ProxyParser()
            self.enter(
                self._proxy_received, factory.options.proxy_protocol_timeout, "timeout-proxy"
            )
        else:
            self._start_tls()

    @override
    def dataReceived(self, data: bytes) -> None:
        self.factory.turn.touch()
        try:
            self._stage(data)
            if self._buffer is not None and self._buffer.paused:
                self._check_crowd(self._buffer)
        except Exception:
            # Ours, not the peer's: peers' errors are values by the time they get here.
            self.fail()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stage = self._discard
        closing, self._closing = self._closing, True
        try:
            self.reading.drain()
            if self._buffer is not None:
                self._buffer.clear()
            if self._tls is not None:
                self._tls.leave()
            if self.mqtt is not None:
                self.factory.turn.touch()
                self.mqtt.connection_lost(self.factory.now())
                self.ended = self.ended or self.mqtt.ended
            elif not closing:
                self._lost_early(reset=reason.check(ConnectionLost) is not None)
        finally:
            self.factory.left(self)

    def _lost_early(self, *, reset: bool) -> None:
        failure = None if self._tls is None else self._tls.end_of_input()
        if failure is not None and failure.kind == "closed-after-certificate":
            self.factory.refused(self, failure.kind, str(failure), failure)
        elif reset:
            self.factory.refused(self, "reset")
        elif failure is not None:
            self.factory.refused(self, failure.kind, str(failure), failure)
        else:
            self.factory.refused(self, "closed")

    @property
    def tls(self) -> TLSStage | None:
        """TLS of the connection, None without."""
        return self._tls

    @property
    def crowding(self) -> bool:
        """Whether the peer has not taken what was written: no need to write more."""
        return self._buffer is not None and self._buffer.paused

    # --- stages -----------------------------------------------------------------------------

    def enter(self, stage: Stage, seconds: float, late: str) -> None:
        """``stage`` takes what the socket brings, and has its time."""
        self._stage = stage
        self._allow(seconds, late)

    def _allow(self, seconds: float, late: str) -> None:
        """The stage that begins has its time; ``late`` is the cause once that is over."""
        self.deadline = self.factory.now() + seconds
        self._late = late

    def _proxy_received(self, data: bytes) -> None:
        assert self._proxy is not None
        try:
            result = self._proxy.feed(data)
        except InvalidProxyHeader as error:
            self.refuse("no-proxy-header", str(error))
            return
        if result is None:
            return
        header, rest = result
        self._proxy = None
        if not self._take_proxy(header):
            return
        self._start_tls()
        if rest:
            self._stage(rest)

    def _take_proxy(self, header: ProxyHeader) -> bool:
        if header.source is not None:
            self.peer = attrs.evolve(self.peer, peer=header.source, proxy=header)
        else:
            self.peer = attrs.evolve(self.peer, proxy=header)
        # With a PROXY header the rules see the real client, not the balancer.
        return self.welcome(header.source is not None)

    def welcome(self, known: bool = True) -> bool:
        """Whether the client that a proxy names may connect; one that may not is refused.

        ``known`` False: the proxy speaks for itself, and has no address to count.
        """
        host = self.peer.peer[0]
        if not self.factory.access_rules.allows(host):
            self.refuse("access-rules")
            return False
        if known:
            objection = self.enter_address(host)
            if objection is not None:
                self.refuse(objection.kind, objection.text)
                return False
        return True

    def enter_address(self, host: str) -> Objection | None:
        """Charge the client's address with this connection, unless that is too much for it."""
        guard = self.factory.guard
        if guard is None:
            return None
        tls = self.factory.tls_context is not None and self._tls is None
        if self.visit is not None:
            guard.leave(self.visit)
            self.visit = None
        visit = guard.enter(host, tls=tls)
        if isinstance(visit, Objection):
            return visit
        self.visit = visit
        return None

    def _start_tls(self) -> None:
        tls = self.factory.tls_context
        if tls is None:
            self._start_websocket()
            return
        self._tls = TLSStage(self, tls)
        assert self.factory.options.ssl_options is not None
        self.enter(
            self._tls.handshake, self.factory.options.ssl_options.handshake_timeout, "timeout-tls"
        )

    def tls_ready(self, records: Stage) -> None:
        """The handshake is done: ``records`` takes what the socket brings from here on."""
        self._stage = records
        if self.visit is not None and self.factory.guard is not None:
            self.factory.guard.handshake_done(self.visit)
        if self.peer.certificate is not None:
            self.expires = self.peer.certificate.not_after
        self._start_websocket()

    def tls_failed(self, failure: TLSFailure) -> None:
        """TLS is over; its alert is written."""
        if self._closing:
            return
        if self.mqtt is not None:
            self._closing = True
            self.mqtt.connection_lost(self.factory.now(), f"TLS failed: {failure}")
            self._shut(linger=False)
        else:
            verdict = failure.verdict
            if verdict is not None and verdict.error not in (ACCEPT, UNDECIDED):
                self.refuse(verdict.cause, verdict.text, failure)
            else:
                self.refuse(failure.kind, failure.cause, failure)

    def tls_closed(self) -> None:
        """close_notify came: what this turn still answers goes out, then ours, then the end."""
        if self._closing:
            return
        if self.mqtt is None:
            self.factory.refused(self, "closed")
        self.reading.finish()
        self._closing = True
        self._stage = self._discard
        self.factory.turn.dirty.append(self)

    def flush(self) -> None:
        """The end of the turn in which the peer closed."""
        self._shut(linger=False)

    def _above_tls(self, stage: Stage) -> None:
        """``stage`` takes the plaintext."""
        if self._tls is None:
            self._stage = stage
        else:
            self._tls.above = stage

    def _start_websocket(self) -> None:
        options = self.factory.options.websocket
        if options is None:
            self._start_mqtt()
            return
        self._websocket = WebSocketStage(self, options)
        self._above_tls(self._websocket.received)
        self._allow(self.factory.limits.idle_timeout, "timeout-websocket")

    def _start_mqtt(self) -> None:
        self.open_mqtt()
        self._above_tls(self._first_received)

    def _first_received(self, data: bytes) -> None:
        """The first bytes where MQTT is expected: what another protocol begins with is named."""
        assert self.mqtt is not None
        kind = foreign_kind(data)
        if kind is not None:
            self.mqtt.abandon(kind)
            self.refuse(kind, "the first packet is not an MQTT CONNECT")
            return
        self._above_tls(self._mqtt_received)
        self._mqtt_received(data)

    def open_mqtt(self) -> None:
        """MQTT begins."""
        self.deadline = math.inf  # from here on the broker watches the time
        self.mqtt = self.factory.open_mqtt(self, self.peer)
        meter = self.factory.rates.meter(self)
        if meter is not None:
            self.reading.measure(meter)

    def _mqtt_received(self, data: bytes) -> None:
        assert self.mqtt is not None
        self.mqtt.receive(data, self.factory.now())
        if self.reading.meter is not None:
            self.reading.meter.received(len(data))

    def _discard(self, data: bytes) -> None:
        """After the end: read away, so that the peer's stack does not answer our last bytes
        with a reset before the peer has read them."""

    # --- the broker's Outlet ----------------------------------------------------------------

    def send(self, *parts: bytes) -> None:
        """Bytes of MQTT for the peer."""
        assert self._buffer is not None
        self._buffer.add(parts)

    def close(self, *, linger: bool) -> None:
        """The broker is done with this peer."""
        if not self._closing:
            self._shut(linger=linger)

    def pause(self) -> None:
        """Stop reading."""
        self.reading.hold()

    def resume(self) -> None:
        """Read again."""
        self.reading.release()

    def _outlet_filled(self) -> None:
        self.writable = False
        if self.mqtt is not None:
            self.mqtt.outlet_filled()

    def _outlet_drained(self) -> None:
        self.writable = True
        if self.mqtt is not None and not self._closing:
            self.mqtt.outlet_drained(self.factory.now())

    def _check_crowd(self, buffer: WriteBuffer) -> None:
        """Messages stop at the high watermark; answers do not. A peer that asks and asks, and
        takes no answer, is not read until it does."""
        if self.reading.crowded or self._closing:
            return
        if buffer.size + self.factory.unsent(self.transport) > self.factory.crowd:
            self.reading.crowd()

    def _outlet_resumed(self) -> None:
        self.reading.disperse()

    # --- bytes out --------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        self.factory.broker.counters.bytes_sent += len(data)
        websocket = self._websocket
        try:
            if websocket is not None:
                websocket.send(data)
            else:
                self.write_plain(data)
        except Exception:
            # What was lost cannot be sent again: the rest would make no sense to the peer.
            self.fail()

    def write_plain(self, data: bytes) -> None:
        """Write what is plaintext where there is TLS."""
        tls = self._tls
        if tls is None:
            write_now(self.transport, data)
        else:
            tls.send(data)

    # --- the end ----------------------------------------------------------------------------

    def check_deadline(self, now: float) -> None:
        """Called about once a second: the stage's time, and a peer that takes no bytes."""
        if now >= self.deadline:
            if self._closing:
                self.transport.abortConnection()
            elif self.mqtt is not None:
                self.mqtt.close(ReasonCode.KEEP_ALIVE_TIMEOUT, "the WebSocket was idle")
            elif self._tls is None or not self._tls.late():
                self.refuse(self._late)
            return
        assert self._buffer is not None
        if not self._buffer.paused:
            self._stalled = None
            return
        if not self.factory.options.tcp_options.send_timeout_close:
            return
        waiting = self.factory.unsent(self.transport)
        if self._stalled is None or self._stalled[1] != waiting:
            self._stalled = (now, waiting)
        elif now - self._stalled[0] >= self.factory.options.tcp_options.send_timeout:
            self._break("takes no bytes")

    def refuse(self, kind: str, text: str = "", failure: TLSFailure | None = None) -> None:
        """The peer got no further than the stages before MQTT."""
        self.factory.refused(self, kind, text, failure)
        self._shut(linger=True)

    def cut(self, code: ReasonCode, text: str, kind: str, more: str = "") -> None:
        """End the connection from our side, in whatever stage it is.

        MQTT 5 clients are told ``code`` and ``text``; ``kind`` is for counters, ``more`` for the
        log. Its Will follows the rules of a connection that the server ends.
        """
        if self._closing:
            return
        self.factory.turn.touch()
        if self.mqtt is None:
            self.refuse(kind, more or text)
        else:
            self.ended = kind
            self.factory.broker.now = self.factory.now()
            self.mqtt.close(code, text)

    @property
    def closing(self) -> bool:
        """Whether the end has begun."""
        return self._closing

    def fail(self) -> None:
        """An error of our own is being handled: it ends this connection and no other."""
        self._log.failure(
            "an error of mqttd's own on {listener} from {peer}",
            listener=self.factory.id,
            peer=self._peer_text(),
        )
        self._break()

    def _break(self, reason: str = "internal error") -> None:
        """End without ceremony."""
        self._closing = True
        self._stage = self._discard
        if self.mqtt is not None:
            try:
                self.mqtt.close(ReasonCode.UNSPECIFIED_ERROR, reason)
            except Exception:
                self._log.failure("closing a broken connection failed")
            self.mqtt.connection_lost(self.factory.now(), reason)
        self.transport.abortConnection()

    def _shut(self, *, linger: bool) -> None:
        """Write the last bytes and close; with ``linger`` read the peer's rest away first."""
        self._closing = True
        self._stage = self._discard
        assert self._buffer is not None
        self._buffer.force()
        if self._websocket is not None:
            self._websocket.close()
        if self._tls is not None:
            self._tls.close()
        self.transport.unregisterProducer()
        self.transport.resumeProducing()
        if linger:
            self.transport.loseWriteConnection()
            self.deadline = self.factory.now() + LINGER
        else:
            self.transport.loseConnection()
            self.deadline = self.factory.now() + FLUSH_TIME

    def _peer_text(self) -> str:
        host, port = self.peer.peer
        return f"{host}:{port}"

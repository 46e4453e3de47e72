"""TLS of one connection: the handshake, the gate behind it, and records that carry the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
from cryptography import x509

from mqttd.net.credentials import CHANGED, fingerprint, objection, shared
from mqttd.net.gate import BUSY, LATE, Place
from mqttd.net.wire import write_now
from mqttd.tls.channel import TLSChannel, TLSFailure
from mqttd.tls.context import ServerContext
from mqttd.tls.listener_context import ListenerTLS
from mqttd.tls.verdict import ACCEPT, UNDECIDED, Verdict

if TYPE_CHECKING:
    from mqttd.net.connection import NetworkConnection, Stage

_KEPT: Final = 4096
"""Bytes read from a client that waits at the gate; then its socket is left alone. Reading on a
little shows at once when it goes away."""


@attrs.define
class _Waiting:
    """A client at the gate: its place, our last flight that it has not been sent, its bytes."""

    place: Place
    flight: bytes
    plaintext: bytes
    records: list[bytes] = attrs.Factory(list)
    size: int = 0


class TLSStage:
    """Between the socket of a connection and the stage above, which gets plaintext.

    ``above`` takes it once the client is admitted: its handshake is done and, where that could
    not be said at once, the gate has let it through. ``server`` is what it was verified under,
    ``key_fingerprint`` tells the pre-shared key that admitted it; see :func:`objection`.
    """

    __slots__ = (
        "_connection",
        "_generation",
        "_issuers",
        "_tls",
        "_waiting",
        "above",
        "admitted",
        "channel",
        "key_fingerprint",
        "server",
    )

    above: Stage

    def __init__(self, connection: NetworkConnection, tls: ListenerTLS) -> None:
        self._connection = connection
        self._tls: ListenerTLS | None = tls
        self._generation = connection.factory.generation
        self._waiting: _Waiting | None = None
        self._issuers: tuple[x509.Certificate, ...] = ()
        self.channel = TLSChannel(tls)
        self.server: ServerContext = tls.default
        self.key_fingerprint = b""
        self.admitted = False

    # --- handshake ---------------------------------------------------------------------------

    def handshake(self, data: bytes) -> None:
        """Bytes of the peer's handshake came."""
        channel = self.channel
        try:
            plaintext = channel.receive(data)
        except TLSFailure as failure:
            self.flush()
            self._connection.tls_failed(failure)
            return
        if not channel.handshake_complete:
            self.flush()
            return
        self._remember()
        if channel.undecided:
            self._wait(plaintext)
        else:
            self._check(channel.outgoing(), plaintext, asked=False)

    def _remember(self) -> None:
        """The handshake is done: what it proved."""
        channel = self.channel
        connection = self._connection
        tls = self._tls
        assert tls is not None
        info = channel.info()
        identity = channel.psk_identity
        connection.peer = attrs.evolve(
            connection.peer,
            certificate=channel.peer_certificate(),
            psk_identity=identity,
            tls_version=info.version,
            cipher=info.cipher,
            sni=info.sni,
        )
        self.server = tls.select(info.sni)
        self._issuers = shared(tuple(channel.chain[1:]))
        if identity is not None and tls.psk is not None:
            self.key_fingerprint = fingerprint(tls.psk.key_for(identity))

    def _check(self, flight: bytes, plaintext: bytes, *, asked: bool) -> None:
        """Let the client in, unless what is trusted changed while it was in its handshake.

        ``asked``: the judge has just been, and there is nothing newer to hear from it.
        """
        connection = self._connection
        factory = connection.factory
        if self._generation != factory.generation or self._tls is not factory.tls_context:
            # Which key the handshake used can no longer be said; a new one will tell.
            changed = connection.peer.psk_identity is not None
            verdict = CHANGED if changed else objection(connection, {})
            if verdict.error == UNDECIDED and not asked:
                self._wait(plaintext, flight)
                return
            if verdict.error not in (ACCEPT, UNDECIDED):
                self._refuse(verdict, flight)
                return
        self._admit(flight, plaintext)

    def _admit(self, flight: bytes, plaintext: bytes) -> None:
        connection = self._connection
        self.admitted = True
        self._tls = None
        self.channel.chain = ()  # see chain()
        self.channel.forget_hello()
        self._write(flight)
        connection.tls_ready(self.records)
        self._deliver(plaintext)

    # --- the gate ----------------------------------------------------------------------------

    def _wait(self, plaintext: bytes, flight: bytes = b"") -> None:
        """Hold the client back: nothing it says is looked at before there is a verdict."""
        connection = self._connection
        tls = self._tls
        assert tls is not None
        flight += self.channel.outgoing()
        gate = connection.factory.gate
        if gate.full:
            self._refuse(BUSY, flight)
            return
        place = gate.enter(self._decided)
        self._waiting = _Waiting(place, flight, plaintext)
        connection.enter(self._received_waiting, connection.factory.gate_timeout, "timeout-gate")
        self._keep(b"", len(plaintext))
        gate.ask(tls.judge, self.channel.chain, place)

    def _received_waiting(self, data: bytes) -> None:
        self._keep(data, len(data))

    def _keep(self, data: bytes, size: int) -> None:
        waiting = self._waiting
        assert waiting is not None
        if data:
            waiting.records.append(data)
        waiting.size += size
        if waiting.size > _KEPT:
            self._connection.transport.pauseProducing()

    def late(self) -> bool:
        """The time of the stage is over; True when that was the gate's, and the client is told."""
        waiting = self._waiting
        if waiting is None:
            return False
        waiting.place.leave()
        self._decided(LATE)
        return True

    def _decided(self, verdict: Verdict) -> None:
        """The gate's verdict, at any time; errors here are ours and end this connection only."""
        connection = self._connection
        waiting, self._waiting = self._waiting, None
        if waiting is None or connection.closing:
            return
        connection.factory.turn.touch()
        try:
            if verdict.error != ACCEPT:
                self._refuse(verdict, waiting.flight)
                return
            connection.transport.resumeProducing()
            self._check(waiting.flight, waiting.plaintext, asked=True)
            if self.admitted and waiting.records and not connection.closing:
                self.records(b"".join(waiting.records))
        except Exception:
            connection.fail()

    def _refuse(self, verdict: Verdict, flight: bytes) -> None:
        """Say so in place of the last flight, as far as the TLS version can."""
        self._write(self.channel.refuse(flight, verdict))
        self._connection.refuse(verdict.cause, verdict.text)

    def leave(self) -> None:
        """The connection is gone."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.place.leave()

    # --- records -----------------------------------------------------------------------------

    def records(self, data: bytes) -> None:
        """Records came."""
        channel = self.channel
        try:
            plaintext = channel.receive(data)
        except TLSFailure as failure:
            self.flush()
            if failure.plaintext and self._connection.mqtt is not None:
                self.above(failure.plaintext)
            self._connection.tls_failed(failure)
            return
        answer = channel.outgoing()
        if answer:
            write_now(self._connection.transport, answer)
        self._deliver(plaintext)

    def _deliver(self, plaintext: bytes) -> None:
        if plaintext:
            self.above(plaintext)
        if self.channel.peer_closed:
            self._connection.tls_closed()

    def send(self, plaintext: bytes) -> None:
        """Encrypt and write."""
        channel = self.channel
        channel.send(plaintext)
        data = channel.outgoing()
        if data:
            write_now(self._connection.transport, data)

    def close(self) -> None:
        """Write close_notify, or what a client at the gate can understand."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.place.leave()
            # The flight goes first: without it, TLS 1.3 would count records the client lacks.
            self._write(self.channel.refuse(waiting.flight))
            return
        self.channel.close()
        self.flush()

    def flush(self) -> None:
        """Write what the channel wants to say."""
        self._write(self.channel.outgoing())

    def _write(self, data: bytes) -> None:
        if data:
            write_now(self._connection.transport, data)

    # --- facts -------------------------------------------------------------------------------

    def chain(self) -> tuple[x509.Certificate, ...]:
        """The client's verified chain, its own certificate first; empty without one.

        The issuers are shared between connections, and the client's own is kept as bytes only.
        """
        certificate = self._connection.peer.certificate
        if certificate is None:
            return ()
        return (x509.load_der_x509_certificate(certificate.der), *self._issuers)

    def facts(self, failure: TLSFailure | None) -> dict[str, Any]:
        """What is known of the client, for the line about its refusal."""
        channel = self.channel
        chain = channel.chain or self.chain()
        facts: dict[str, Any] = {
            "hello": channel.hello(),
            "certificate": chain[0] if chain else None,
            "psk_identity": channel.psk_identity or channel.psk_asked,
        }
        if failure is not None:
            facts["alert"] = failure.alert
            facts["alert_sent"] = failure.alert_sent
            facts["certificate"] = failure.certificate or facts["certificate"]
            facts["verify_error"] = failure.verify_error
        return facts

    def end_of_input(self) -> TLSFailure | None:
        """The peer has closed the socket: what that means for the handshake, None once done."""
        try:
            self.channel.eof()
        except TLSFailure as failure:
            return failure
        return None

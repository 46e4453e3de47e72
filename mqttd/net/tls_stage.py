"""TLS of one connection: the handshake, and then records that carry MQTT or WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from cryptography import x509

from mqttd.net.wire import write_now
from mqttd.tls.channel import TLSChannel, TLSFailure
from mqttd.tls.context import ServerContext

if TYPE_CHECKING:
    from mqttd.net.connection import NetworkConnection, Stage


class TLSStage:
    """Between the socket of a connection and the stage above, which gets plaintext.

    ``above`` takes it once the handshake is done.
    """

    __slots__ = ("_connection", "above", "channel")

    above: Stage

    def __init__(self, connection: NetworkConnection, tls: ServerContext) -> None:
        self._connection = connection
        self.channel = TLSChannel(tls)

    @property
    def admitted(self) -> bool:
        """Whether the handshake is done."""
        return self.channel.handshake_complete

    def handshake(self, data: bytes) -> None:
        """Bytes of the peer's handshake came."""
        connection = self._connection
        channel = self.channel
        try:
            plaintext = channel.receive(data)
        except TLSFailure as failure:
            self.flush()
            connection.tls_failed(failure)
            return
        self.flush()
        if channel.handshake_complete:
            self._admit(plaintext)

    def _admit(self, plaintext: bytes) -> None:
        connection = self._connection
        channel = self.channel
        info = channel.info()
        connection.peer = attrs.evolve(
            connection.peer,
            certificate=channel.peer_certificate(),
            psk_identity=channel.psk_identity,
            tls_version=info.version,
            cipher=info.cipher,
            sni=info.sni,
        )
        connection.tls_ready(self.records)
        self._deliver(plaintext)

    def records(self, data: bytes) -> None:
        """Records came."""
        try:
            plaintext = self.channel.receive(data)
        except TLSFailure as failure:
            self.flush()
            if failure.plaintext and self._connection.mqtt is not None:
                self.above(failure.plaintext)
            self._connection.tls_failed(failure)
            return
        self.flush()
        self._deliver(plaintext)

    def _deliver(self, plaintext: bytes) -> None:
        if plaintext:
            self.above(plaintext)
        if self.channel.peer_closed:
            self._connection.tls_closed()

    def send(self, plaintext: bytes) -> None:
        """Encrypt and write."""
        self.channel.send(plaintext)
        self.flush()

    def close(self) -> None:
        """Write close_notify, if that can be said."""
        self.channel.close()
        self.flush()

    def flush(self) -> None:
        """Write what the channel wants to say."""
        data = self.channel.outgoing()
        if data:
            write_now(self._connection.transport, data)

    def end_of_input(self) -> TLSFailure | None:
        """The peer has closed the socket: what that means for the handshake, None once done."""
        try:
            self.channel.eof()
        except TLSFailure as failure:
            return failure
        return None

    def refused_certificate(self) -> x509.Certificate | None:
        """The client's certificate as far as it is known, for the log."""
        return None

"""One TLS connection without I/O: ciphertext in, plaintext and events out, and the reverse."""

from __future__ import annotations

import ipaddress

import attrs
from cryptography import x509
from OpenSSL import SSL

from mqttd.identity import PeerCertificate
from mqttd.tls import native
from mqttd.tls.context import ServerContext
from mqttd.tls.failure import FIRST_BYTES, TLSFailure, explain
from mqttd.tls.peer import describe_subject, peer_certificate

__all__ = ["TLSChannel", "TLSFailure", "TLSInfo"]

_LARGE = 1 << 15
"""The memory BIOs never shrink: they are replaced after the handshake and after a call with more
bytes than this, or else each idle connection would keep the memory of its largest moment."""

_BEFORE = b"before SSL initialization"
"""OpenSSL's name of the state before a whole ClientHello has come."""


@attrs.frozen
class TLSInfo:
    """What was negotiated, in OpenSSL's words; ``alpn`` is empty when no protocol was."""

    version: str = ""
    cipher: str = ""
    group: str | None = None
    sni: str | None = None
    alpn: bytes = b""


class TLSChannel:
    """The TLS state of one Network Connection; knows no transport, clock or log.

    Feed what the network brings to :meth:`receive`, and after each call of any method write
    what :meth:`outgoing` returns. Not thread-safe. Memory is bounded: the plaintext returned
    by one call is never longer than the ciphertext given, and OpenSSL keeps at most one
    unfinished record (or handshake message) of the peer.

    When a ``receive`` completes the handshake, the last flight of it is still in
    :meth:`outgoing`: whoever wants to hold the peer back until something is decided keeps those
    bytes. Under TLS 1.2 the peer cannot send data before it has them.

    A client that just drops TCP is told by :meth:`eof`. Renegotiation is refused, sessions are
    never resumed.
    """

    __slots__ = (
        "_alert_received",
        "_alert_sent",
        "_connection",
        "_early",
        "_failed",
        "_first",
        "_handles",
        "_judge",
        "_rejected",
        "_server",
        "_settling",
        "handshake_complete",
        "peer_closed",
        "psk_identity",
    )

    def __init__(
        self,
        context: SSL.Context | ServerContext,
        *,
        server: bool = True,
        server_hostname: bytes | None = None,
    ) -> None:
        """``server_hostname`` (a name or an IP address, client side only) is asked for by SNI, and
        with a Context that verifies, the server's certificate must have it among its
        subjectAltNames. Raises ``SSL.Error`` when OpenSSL has no memory."""
        if isinstance(context, ServerContext):
            self._judge = context.judge
            context = context.context
        else:
            self._judge = None
        self._connection = connection = SSL.Connection(context, None)
        native.report_alerts(connection)
        self._handles = native.Handles(connection)
        self._server = server
        self._failed = False
        self._first = b""
        self._settling = True
        self._early: list[bytes] | None = []
        self._alert_sent: int | None = None
        self._alert_received: int | None = None
        self._rejected: str | None = None
        self.handshake_complete = False
        """True from the ``receive`` on that completed the handshake: the peer is verified."""
        self.peer_closed = False
        """True once the peer sent close_notify: all it wanted to say has been received."""
        self.psk_identity: bytes | None = None
        """The pre-shared key identity the handshake proved; None without one."""
        if server:
            connection.set_accept_state()
            return
        connection.set_connect_state()
        if server_hostname is not None:
            self._expect(server_hostname)

    def _expect(self, host: bytes) -> None:
        try:
            address = ipaddress.ip_address(host.decode("ascii", "replace")).packed
        except ValueError:
            address = None
            self._connection.set_tlsext_host_name(host)  # names only: RFC 6066 section 3
        native.expect_host(self._connection, host, address)

    def start(self) -> None:
        """Client side: produce the ClientHello. Does nothing on a server."""
        if not self._server and not self.handshake_complete and not self._failed:
            self._shake(b"")

    def receive(self, ciphertext: bytes | bytearray | memoryview) -> bytes:
        """Take bytes from the network; return the plaintext that can be read now, maybe none.

        Raises :exc:`TLSFailure` once, when the connection cannot go on; :meth:`outgoing` then
        holds the alert for the peer. After that, and after close_notify, input is ignored.
        """
        if self._failed or self.peer_closed:
            return b""
        if self.handshake_complete:
            plaintext, status = native.decrypt(self._handles, self, ciphertext)
        else:
            if len(self._first) < FIRST_BYTES:
                self._first += bytes(ciphertext[:FIRST_BYTES])
            if not self._shake(ciphertext):
                return b""
            plaintext, status = native.decrypt(self._handles, self, b"")
        if status == native.WANT:
            if len(ciphertext) > _LARGE:
                native.fresh_input(self._handles)
        elif status == native.CLOSED:
            self.peer_closed = True
        else:
            raise self._fail(plaintext)
        return plaintext

    def send(self, plaintext: bytes) -> None:
        """Encrypt; the records (16 KiB at most each) are then in :meth:`outgoing`.

        What is sent before the handshake is complete is kept and goes out right after it: the
        caller bounds it. After a failure or :meth:`close` it is dropped. Never raises for
        anything the peer did.
        """
        if self._early is not None:
            if not self._failed:
                self._early.append(plaintext)
            return
        if not self._failed and native.write_plaintext(self._handles, plaintext):
            native.take_errors()

    def outgoing(self) -> bytes:
        """Take the ciphertext to be written to the network; empty when there is none."""
        data = native.read_ciphertext(self._handles)
        if self.handshake_complete and (self._settling or len(data) > _LARGE):
            native.fresh_output(self._handles)
            if self._settling:
                native.fresh_input(self._handles)
                self._settling = False
        return data

    def eof(self) -> None:
        """The network reports the end of input.

        Raises :exc:`TLSFailure` when the handshake was not complete. Later it is no failure, even
        without close_notify: a Control Packet says its own length, so nothing can be cut unseen.
        """
        if self._failed or self.handshake_complete:
            return
        if not self._first:
            said = "having said nothing" if self._server else "having answered nothing"
        elif self._server and self._connection.get_state_string() != _BEFORE:
            said = "after it was sent our certificate, which it may not trust"
        else:
            said = "in the middle of the handshake"
        self._failed = True
        raise TLSFailure("truncated", f"the peer closed the connection, {said}")

    def close(self) -> None:
        """Queue close_notify. The peer may go on sending until it answers with its own."""
        if not self._failed and self.handshake_complete:
            native.shutdown(self._handles)

    def info(self) -> TLSInfo:
        """What was negotiated; all empty before the handshake is complete."""
        if not self.handshake_complete:
            return TLSInfo()
        connection = self._connection
        sni = connection.get_servername()
        return TLSInfo(
            version=connection.get_protocol_version_name(),
            cipher=connection.get_cipher_name() or "",
            group=connection.get_group_name(),
            sni=None if sni is None else sni.decode("ascii", "backslashreplace"),
            alpn=connection.get_alpn_proto_negotiated(),
        )

    def peer_certificate(self) -> PeerCertificate | None:
        """The peer's certificate, its chain and possession of the key proved; else None."""
        if not self.handshake_complete or native.verify_result(self._handles) != native.VERIFY_OK:
            return None
        if not self._connection.get_context().get_verify_mode() & SSL.VERIFY_PEER:
            return None
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        return None if certificate is None else peer_certificate(certificate)

    def _shake(self, ciphertext: bytes | bytearray | memoryview) -> bool:
        status = native.handshake(self._handles, self, ciphertext)
        if status == native.WANT:
            return False
        if status != native.DONE:
            raise self._fail(b"")
        self.handshake_complete = True
        self._first = b""
        early, self._early = self._early, None
        for plaintext in early or ():
            self.send(plaintext)
        return True

    def _fail(self, plaintext: bytes) -> TLSFailure:
        self._early = []
        error = native.verify_result(self._handles)
        if self._rejected is None and error != native.VERIFY_OK:
            self.rejected(error, 0, None)  # a Context without our own verification
        self._failed = True
        return explain(
            native.take_errors(),
            first_bytes=self._first,
            sent=self._alert_sent,
            received=self._alert_received,
            rejected=self._rejected,
            plaintext=plaintext,
        )

    # native.Observer: what OpenSSL's callbacks report during a call made above.

    def alert(self, number: int, *, sent: bool) -> None:
        """A fatal alert went out or came in."""
        if sent:
            self._alert_sent = number
        else:
            self._alert_received = number

    def rejected(self, error: int, depth: int, certificate: x509.Certificate | None) -> None:
        """The peer's chain does not verify."""
        whose = "the peer's certificate" if depth == 0 else "an issuer of the peer's certificate"
        self._rejected = (
            f"{whose} was refused: {native.verify_error_text(error)}"
            f"{describe_subject(certificate)}"
        )

    def judge(self, certificate: x509.Certificate) -> int:
        """The verdict on a certificate whose chain is verified: the context's, if it has one."""
        judge = self._judge
        return native.VERIFY_OK if judge is None else judge(certificate)

    def broken(self, error: BaseException) -> None:
        """A callback of ours raised: the peer is refused, the reason is ours."""
        self._rejected = f"an internal error: {type(error).__name__}"

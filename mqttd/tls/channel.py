"""One TLS connection without I/O: ciphertext in, plaintext and events out, and the reverse."""

from __future__ import annotations

import ipaddress
import os

import attrs
from cryptography import x509
from OpenSSL import SSL

from mqttd.identity import PeerCertificate
from mqttd.tls import native
from mqttd.tls.client_hello import MOST as MOST_HELLO
from mqttd.tls.client_hello import ClientHello, parse_client_hello
from mqttd.tls.context import ServerContext
from mqttd.tls.failure import FIRST_BYTES, TLSFailure, alert_of, explain
from mqttd.tls.listener_context import ListenerTLS, looks_like_ticket
from mqttd.tls.peer import describe_subject, peer_certificate
from mqttd.tls.verdict import ACCEPT, REJECTED, UNDECIDED, Verdict

__all__ = ["TLSChannel", "TLSFailure", "TLSInfo"]

_LARGE = 1 << 15
"""The memory BIOs never shrink: they are replaced after the handshake and after a call with more
bytes than this, or else each idle connection would keep the memory of its largest moment."""

_MOST_IDENTITY = 1024
"""Bytes of a pre-shared key identity. What is longer is some ticket: nobody is asked for it."""

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
        "_internal",
        "_listener",
        "_psk_found",
        "_refused",
        "_rejected",
        "_server",
        "_settling",
        "_verify_error",
        "chain",
        "handshake_complete",
        "peer_closed",
        "psk_asked",
        "psk_identity",
        "verdict",
    )

    def __init__(
        self,
        context: SSL.Context | ServerContext | ListenerTLS,
        *,
        server: bool = True,
        server_hostname: bytes | None = None,
    ) -> None:
        """``server_hostname`` (a name or an IP address, client side only) is asked for by SNI, and
        with a Context that verifies, the server's certificate must have it among its
        subjectAltNames. Raises ``SSL.Error`` when OpenSSL has no memory."""
        if isinstance(context, ServerContext):
            context = ListenerTLS(default=context)
        if isinstance(context, ListenerTLS):
            self._listener: ListenerTLS | None = context
            context = context.default.context
        else:
            self._listener = None
        self._connection = connection = SSL.Connection(context, None)
        native.report_alerts(connection)
        self._handles = native.Handles(connection)
        self._server = server
        self._failed = False
        self._first = bytearray()
        self._settling = True
        self._early: list[bytes] | None = []
        self._alert_sent: int | None = None
        self._alert_received: int | None = None
        self._rejected: str | None = None
        self._internal = False
        self._psk_found = False
        self._refused: x509.Certificate | None = None
        self._verify_error: int | None = None
        self.chain: tuple[x509.Certificate, ...] = ()
        """The peer's verified chain, its own certificate first; empty without one."""
        self.verdict: Verdict | None = None
        """What the listener's judge said of the chain; None when it was not asked."""
        self.handshake_complete = False
        """True from the ``receive`` on that completed the handshake: the peer is verified."""
        self.peer_closed = False
        """True once the peer sent close_notify: all it wanted to say has been received."""
        self.psk_asked: bytes | None = None
        """The pre-shared key identity the peer named last; not proved: for explanations only."""
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
            if len(self._first) < MOST_HELLO:
                self._first += ciphertext[: MOST_HELLO - len(self._first)]
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
        kind = "truncated"
        if not self._first:
            said = "having said nothing" if self._server else "having answered nothing"
        elif self._server and self._connection.get_state_string() != _BEFORE:
            said = "after it was sent our certificate, which it may not trust"
            kind = "closed-after-certificate"
        else:
            said = "in the middle of the handshake"
        self._failed = True
        raise TLSFailure(kind, f"the peer closed the connection, {said}")

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
        if not native.asks_for_certificate(self._connection):
            return None
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        return None if certificate is None else peer_certificate(certificate)

    @property
    def undecided(self) -> bool:
        """Whether the judge could not say at once: the peer is to be held back until it does."""
        return self.verdict is not None and self.verdict.error == UNDECIDED

    def hello(self) -> ClientHello | None:
        """What the client offered, as far as it came; None once it was let in."""
        return parse_client_hello(bytes(self._first)) if self._server else None

    def forget_hello(self) -> None:
        """Who was let in needs no explanation: what it sent first is kept no longer."""
        self._first.clear()

    def refuse(self, held: bytes, verdict: Verdict | None = None) -> bytes:
        """What to write in place of ``held``, our last flight, to refuse a peer held back.

        A client of TLS 1.2 or older is still in its handshake and takes a plain alert; with TLS
        1.3 its handshake is over, and nothing but close_notify can be said.
        """
        if not self._server or not self.handshake_complete or self._failed:
            return b""
        if self.info().version == "TLSv1.3":
            self.close()
            return held + self.outgoing()
        self._failed = True
        native.read_ciphertext(self._handles)
        number = alert_of(REJECTED if verdict is None else verdict.error)
        return bytes((21, 3, 3, 0, 2, 2, number))

    def _shake(self, ciphertext: bytes | bytearray | memoryview) -> bool:
        status = native.handshake(self._handles, self, ciphertext)
        if status == native.WANT:
            return False
        if status != native.DONE:
            raise self._fail(b"")
        self.handshake_complete = True
        self._settle_psk()
        listener = self._listener
        if listener is not None and listener.psk_only and self.psk_identity is None:
            self.close()
            self._failed = True
            raise TLSFailure("psk-required", "the peer proved no pre-shared key")
        if not self.undecided:
            self.forget_hello()
        early, self._early = self._early, None
        for plaintext in early or ():
            self.send(plaintext)
        return True

    def _settle_psk(self) -> None:
        """Which identity counts, now that the handshake is over.

        The look-up alone proves nothing: in TLS 1.3 OpenSSL asks for the key, may then pass the
        pre-shared key over for want of a fitting suite, and completes a handshake by certificate.
        Sessions are never resumed here, so a resumed one is a pre-shared key that was used; of
        several offered it is the one asked for last.
        """
        if self.psk_asked is None or not self._psk_found:
            return
        connection = self._connection
        if connection.get_protocol_version() >= SSL.TLS1_3_VERSION:
            proved = native.is_resumed(connection)
        else:
            proved = "PSK" in (connection.get_cipher_name() or "").split("-")
        if proved:
            self.psk_identity = self.psk_asked

    def _fail(self, plaintext: bytes) -> TLSFailure:
        self._early = []
        error = native.verify_result(self._handles)
        # After the handshake the result is that of a pre-shared key's session: no certificate's.
        if self._rejected is None and error != native.VERIFY_OK and not self.handshake_complete:
            self.rejected(error, 0, None)  # a Context without our own verification
        self._failed = True
        failure = explain(
            native.take_errors(),
            first_bytes=bytes(self._first[:FIRST_BYTES]),
            sent=self._alert_sent,
            received=self._alert_received,
            rejected=self._rejected,
            plaintext=plaintext,
            psk_asked=self.psk_asked is not None and not self.handshake_complete,
            psk_known=self._psk_found,
        )
        failure.certificate = self._refused
        failure.verify_error = self._verify_error
        failure.verdict = self.verdict
        if self._internal:
            failure.kind = "internal"
        elif self._rejected is not None and self.verdict is not None and self.verdict.cause:
            failure.kind = self.verdict.cause
        return failure

    # native.Observer: what OpenSSL's callbacks report during a call made above.

    def alert(self, number: int, *, sent: bool) -> None:
        """A fatal alert went out or came in."""
        if sent:
            self._alert_sent = number
        else:
            self._alert_received = number

    def rejected(self, error: int, depth: int, certificate: x509.Certificate | None) -> None:
        """The peer's chain does not verify."""
        self._refused = certificate
        self._verify_error = error
        whose = "the peer's certificate" if depth == 0 else "an issuer of the peer's certificate"
        verdict = self.verdict
        words = native.verify_error_text(error)
        if depth == 0 and verdict is not None and verdict.text:
            words = verdict.text
        self._rejected = f"{whose} was refused: {words}{describe_subject(certificate)}"

    def judge(self, chain: tuple[x509.Certificate, ...]) -> int:
        """The verdict on a verified chain: the listener's, if it has one."""
        self.chain = chain
        listener = self._listener
        if listener is None:
            return ACCEPT
        self.verdict = verdict = listener.verdict_on(chain)
        return ACCEPT if verdict is None or verdict.error == UNDECIDED else verdict.error

    def psk_key(self, identity: bytes, version: int) -> bytes | None:
        """The key of an identity; of an unknown one a random key where that is to be hidden."""
        self.psk_asked = None
        self._psk_found = False
        listener = self._listener
        if listener is None or listener.psk is None:
            return None
        tls13 = version >= SSL.TLS1_3_VERSION
        if (tls13 and not listener.psk_tls13) or len(identity) > _MOST_IDENTITY:
            return None
        key = listener.psk.key_for(identity)
        self._psk_found = key is not None
        if key is not None or not tls13 or not looks_like_ticket(identity):
            self.psk_asked = identity
        if key is None and listener.hides(identity, tls13=tls13):
            return os.urandom(32)
        return key

    def server_name(self, name: bytes | None) -> None:
        """Go on with the certificate and the demands of the name the client asks for."""
        listener = self._listener
        if listener is None or not listener.names:
            return
        chosen = listener.select(None if name is None else name.decode("ascii", "replace"))
        if chosen is not listener.default:
            native.switch_context(
                self._connection,
                chosen.context,
                verify=chosen.verify_peer,
                optional=not chosen.requires_peer_cert,
            )

    def broken(self, error: BaseException) -> None:
        """A callback of ours raised: the peer is refused, the reason is ours."""
        self._internal = True
        self._rejected = f"an internal error: {type(error).__name__}"

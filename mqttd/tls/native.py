"""The one file that touches private names of pyOpenSSL.

pyOpenSSL offers no public way to name key exchange groups, to choose the alert a refused
certificate or ALPN offer is answered with, to learn which alert was sent, or to read and write
without raising an exception for "nothing to read yet". All of that is here, as small functions
over the handles of one ``SSL.Connection``; nothing else in the project knows the names used.
Whether they are there is checked at start (:mod:`mqttd.tls.self_test`).

Callbacks are static: they live as long as the module, never belong to one Context, and find
the channel they work for through a thread-local pointer that is set around each call into
OpenSSL. A callback that is owned by a Context dangles once the Context is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from cryptography import x509
from OpenSSL import SSL, crypto

_lib: Any = getattr(SSL, "_lib", None)
_ffi: Any = getattr(SSL, "_ffi", None)

GROUPS: Final = b"X25519MLKEM768:X25519:P-256:P-384"
"""Key exchange groups in order of preference. P-256 must stay: TLS 1.2 with an EC certificate
on that curve fails without it."""
FFDHE_GROUPS: Final = b":ffdhe2048:ffdhe3072"
"""Added where DHE suites are wanted: OpenSSL 4 refuses those suites to a client that names such a
group (RFC 7919) when ours has none, whatever parameters ``load_tmp_dh`` was given."""

VERIFY_OK: Final = 0
"""``X509_V_OK``: what :meth:`Observer.judge` returns for a certificate it has nothing against."""

MOST_KEY: Final = 512
"""Bytes of the longest pre-shared key OpenSSL takes."""

_AES_128_GCM_SHA256: Final = b"\x13\x01"
_BUFFER_SIZE: Final = 1 << 16
_ALPN_OK: Final = 0
_ALPN_FATAL: Final = 2
_CB_ALERT: Final = 0x4000
_CB_WRITE: Final = 0x08
_NEVER_CHECK_SUBJECT: Final = 0x20
_NO_PARTIAL_WILDCARDS: Final = 0x04
_WANT_READ: Final = 2
_ZERO_RETURN: Final = 6
_HARMLESS_ALERTS: Final = frozenset({0, 90, 100})
"""close_notify, user_canceled, no_renegotiation: never the end by failure (RFC 8446 6.1)."""

_F = TypeVar("_F", bound=Callable[..., Any])

DONE: Final = 0
"""Status: what was asked for is done."""
WANT: Final = 1
"""Status: more ciphertext is needed."""
CLOSED: Final = 2
"""Status: the peer sent close_notify."""
FAILED: Final = 3
"""Status: the connection is over; see :func:`take_errors`."""


class Observer(Protocol):
    """Whom the callbacks report to during a call: the channel that made it."""

    def alert(self, number: int, *, sent: bool) -> None:
        """A fatal alert was sent to the peer or received from it (RFC 8446 section 6.2)."""

    def rejected(self, error: int, depth: int, certificate: x509.Certificate | None) -> None:
        """OpenSSL found the peer's chain invalid: ``X509_V_ERR_*``, and where in the chain."""

    def judge(self, chain: tuple[x509.Certificate, ...]) -> int:
        """The peer's verified chain, its own first: 0, or the error to refuse it with."""

    def psk_key(self, identity: bytes, version: int) -> bytes | None:
        """The key to try for an identity the peer names under a TLS version; None: unknown."""

    def server_name(self, name: bytes | None) -> None:
        """The ClientHello is read: the server name it asks for, None without one."""

    def broken(self, error: BaseException) -> None:
        """A callback of ours raised; the handshake was refused."""


class _Thread(threading.local):
    """Per thread: who is calling OpenSSL, and the buffer reads go through."""

    def __init__(self) -> None:
        self.current: Observer | None = None
        self.chain: list[x509.Certificate | None] = []
        self.buffer: Any = _ffi.new("char[]", _BUFFER_SIZE) if _ffi is not None else None


_thread: Final = _Thread()


def _on_error(_type: object, error: BaseException, _traceback: object) -> None:
    if _thread.current is not None:
        _thread.current.broken(error)


def _callback(signature: str, *, error: int | None) -> Callable[[_F], Any]:
    def wrap(function: _F) -> Any:
        if _ffi is None:
            return None
        return _ffi.callback(signature, function, error=error, onerror=_on_error)

    return wrap


@_callback("void(*)(const SSL*, int, int)", error=None)
def _info(_ssl: Any, where: int, value: int) -> None:
    if where & _CB_ALERT and _thread.current is not None:
        number = value & 0xFF
        if number not in _HARMLESS_ALERTS:
            _thread.current.alert(number, sent=bool(where & _CB_WRITE))


@_callback("int(*)(int, X509_STORE_CTX*)", error=0)
def _verify(ok: int, store: Any) -> int:
    observer = _thread.current
    if observer is None:
        return 0  # nobody to answer for this peer: refuse
    depth = _lib.X509_STORE_CTX_get_error_depth(store)
    certificate = _current_certificate(store)
    if not ok:
        observer.rejected(_lib.X509_STORE_CTX_get_error(store), depth, certificate)
        return 0  # keeps OpenSSL's own error, and so the right alert
    # Called for the root first and the peer's own certificate last, each with a good signature.
    chain = _thread.chain
    if not chain or len(chain) <= depth:
        chain[:] = [None] * (depth + 1)
    chain[depth] = certificate
    if depth == 0:
        whole = tuple(each for each in chain if each is not None)
        # A certificate only OpenSSL can read cannot be checked further, nor be an identity.
        unreadable = _lib.X509_V_ERR_CERT_REJECTED
        verdict = observer.judge(whole) if len(whole) == len(chain) else unreadable
        chain.clear()
        if verdict != VERIFY_OK:
            _lib.X509_STORE_CTX_set_error(store, verdict)
            observer.rejected(verdict, depth, certificate)
            return 0
    return 1


def _current_certificate(store: Any) -> x509.Certificate | None:
    pointer = _lib.X509_STORE_CTX_get_current_cert(store)
    if pointer == _ffi.NULL:
        return None
    _lib.X509_up_ref(pointer)
    try:
        return crypto.X509._from_raw_x509_ptr(pointer).to_cryptography()
    except (ValueError, x509.InvalidVersion):  # OpenSSL reads more than cryptography does
        return None


@_callback(
    "int(*)(SSL*, unsigned char**, unsigned char*, const unsigned char*, unsigned int, void*)",
    error=_ALPN_FATAL,
)
def _select_alpn(
    _ssl: Any, out: Any, out_length: Any, offered: Any, length: int, wanted: Any
) -> int:
    data = _ffi.buffer(offered, length)[:]
    for protocol in _ffi.from_handle(wanted):
        at = 0
        while at < length:
            size = data[at]
            if data[at + 1 : at + 1 + size] == protocol:
                # OpenSSL copies what `out` points to before the ClientHello is released.
                out[0] = _ffi.cast("unsigned char*", offered) + at + 1
                out_length[0] = size
                return _ALPN_OK
            at += 1 + size
    return _ALPN_FATAL  # alert 120, no_application_protocol (RFC 7301 section 3.2)


_alpn_handles: dict[tuple[bytes, ...], Any] = {}


@_callback("unsigned int(*)(SSL*, const char*, unsigned char*, unsigned int)", error=0)
def _psk(ssl: Any, identity: Any, out: Any, most: int) -> int:
    """TLS 1.2 and older. OpenSSL ends an identity at its first NUL."""
    observer = _thread.current
    version = _lib.SSL_version(ssl)
    if observer is None or version >= SSL.TLS1_3_VERSION:
        return 0  # asked there too, after _psk_session and for short identities only
    key = observer.psk_key(_ffi.string(identity), version)
    if not key or len(key) > most:
        return 0  # alert 115, unknown_psk_identity (RFC 4279)
    _ffi.memmove(out, key, len(key))
    return len(key)


@_callback("int(*)(SSL*, const unsigned char*, size_t, SSL_SESSION**)", error=0)
def _psk_session(ssl: Any, identity: Any, size: int, out: Any) -> int:
    """TLS 1.3: each identity offered, tickets too, until one can be used. 0 ends it all."""
    observer = _thread.current
    out[0] = _ffi.NULL
    if observer is None:
        return 0
    key = observer.psk_key(_ffi.buffer(identity, size)[:], SSL.TLS1_3_VERSION)
    if not key or len(key) > MOST_KEY:
        return 1
    session = _lib.Cryptography_SSL_SESSION_new()
    suite = _lib.SSL_CIPHER_find(ssl, _AES_128_GCM_SHA256)  # the hash of it is what counts
    if not (
        _lib.SSL_SESSION_set1_master_key(session, key, len(key))
        and _lib.SSL_SESSION_set_cipher(session, suite)
        and _lib.SSL_SESSION_set_protocol_version(session, SSL.TLS1_3_VERSION)
    ):
        _lib.SSL_SESSION_free(session)
        return 0
    out[0] = session  # OpenSSL's from here on
    return 1


_client_key: tuple[bytes, bytes] = (b"", b"")


@_callback(
    "unsigned int(*)(SSL*, const char*, char*, unsigned int, unsigned char*, unsigned int)",
    error=0,
)
def _psk_client(_ssl: Any, _hint: Any, identity: Any, most: int, out: Any, most_key: int) -> int:
    name, key = _client_key
    if len(name) >= most or len(key) > most_key:
        return 0
    _ffi.memmove(identity, name + b"\0", len(name) + 1)
    _ffi.memmove(out, key, len(key))
    return len(key)


def accept_psk(context: SSL.Context, hint: str | None) -> None:
    """Let the peer prove a pre-shared key, on a Context not used so far. Raises ``SSL.Error``."""
    _lib.SSL_CTX_set_psk_server_callback(context._context, _psk)
    _lib.SSL_CTX_set_psk_find_session_callback(context._context, _psk_session)
    if hint and _lib.SSL_CTX_use_psk_identity_hint(context._context, hint.encode()) != 1:
        raise SSL.Error(take_errors())


def offer_psk(context: SSL.Context, identity: bytes, key: bytes) -> None:
    """Client side, for the self-test: prove this key, the same on every such Context."""
    global _client_key  # noqa: PLW0603 - the callback is static
    _client_key = (identity, key)
    _lib.SSL_CTX_set_psk_client_callback(context._context, _psk_client)


def watch_server_name(context: SSL.Context) -> None:
    """Tell the observer of the server name each ClientHello asks for."""

    def asked(connection: SSL.Connection) -> None:
        observer = _thread.current
        if observer is not None:
            observer.server_name(connection.get_servername())

    context.set_tlsext_servername_callback(asked)


def switch_context(
    connection: SSL.Connection, context: SSL.Context, *, verify: bool, optional: bool
) -> None:
    """Go on with another Context, while the observer is told of the server name.

    OpenSSL takes certificate, authorities and stapling from it, but not whether the peer is asked
    for a certificate, nor versions and pre-shared keys.
    """
    connection.set_context(context)
    mode = _verify_mode(optional) if verify else SSL.VERIFY_NONE
    _lib.SSL_set_verify(connection._ssl, mode, _verify)


def asks_for_certificate(connection: SSL.Connection) -> bool:
    """Whether the peer is asked for a certificate."""
    return bool(_lib.SSL_get_verify_mode(connection._ssl) & SSL.VERIFY_PEER)


def is_resumed(connection: SSL.Connection) -> bool:
    """Whether the handshake rests on a session or key from before it: in TLS 1.3 a proven PSK."""
    return bool(_lib.SSL_session_reused(connection._ssl) == 1)


def prepare_context(
    context: SSL.Context, *, alpn: tuple[bytes, ...] = (), ffdhe: bool = False
) -> None:
    """Set groups, buffer release and ALPN on a Context not used so far.

    ``ffdhe``: finite field groups too, after the others.
    ``alpn``: what this server speaks, best first. A client that offers something else only is
    refused with alert 120; one that offers nothing is let in. Raises ``SSL.Error``.
    """
    pointer = context._context
    if _lib.SSL_CTX_set1_curves_list(pointer, GROUPS + (FFDHE_GROUPS if ffdhe else b"")) != 1:
        raise SSL.Error(take_errors())
    context.set_mode(_lib.SSL_MODE_RELEASE_BUFFERS)
    if alpn:
        if alpn not in _alpn_handles:
            _alpn_handles[alpn] = _ffi.new_handle(alpn)
        _lib.SSL_CTX_set_alpn_select_cb(pointer, _select_alpn, _alpn_handles[alpn])


def allow_signatures(context: SSL.Context, algorithms: bytes) -> None:
    """Let TLS 1.2 and newer sign with these algorithms only. Raises ``SSL.Error``."""
    if _lib.SSL_CTX_set1_sigalgs_list(context._context, algorithms) != 1:
        raise SSL.Error(take_errors())


def require_peer_certificate(context: SSL.Context, *, optional: bool) -> None:
    """Ask the peer for a certificate and verify it; ``optional``: let in a peer that has none."""
    _lib.SSL_CTX_set_verify(context._context, _verify_mode(optional), _verify)


def _verify_mode(optional: bool) -> int:
    return SSL.VERIFY_PEER | (0 if optional else SSL.VERIFY_FAIL_IF_NO_PEER_CERT)


def expect_host(connection: SSL.Connection, host: bytes, address: bytes | None) -> None:
    """Client side: the server's certificate must name ``host``, or the packed IP ``address``.

    Never by its common name (RFC 9110 section 4.3.4), and ``*`` is a whole label or none (RFC 9525
    section 6.3). Raises ``SSL.Error``.
    """
    parameters = _lib.SSL_get0_param(connection._ssl)
    flags = _NEVER_CHECK_SUBJECT | _NO_PARTIAL_WILDCARDS
    _lib.X509_VERIFY_PARAM_set_hostflags(parameters, flags)
    if address is not None:
        done = _lib.X509_VERIFY_PARAM_set1_ip(parameters, address, len(address))
    else:
        done = _lib.X509_VERIFY_PARAM_set1_host(parameters, host, len(host))
    if done != 1:
        raise SSL.Error(take_errors())


def report_alerts(connection: SSL.Connection) -> None:
    """Tell the observer of alerts that are sent and received on this Connection."""
    _lib.SSL_set_info_callback(connection._ssl, _info)


class Handles:
    """The raw pointers of one Connection: its SSL and the two memory BIOs under it."""

    __slots__ = ("connection", "into", "outof", "ssl")

    def __init__(self, connection: SSL.Connection) -> None:
        self.connection: Any = connection  # owns the three below
        self.ssl: Any = self.connection._ssl
        self.into: Any = self.connection._into_ssl
        self.outof: Any = self.connection._from_ssl


def handshake(
    handles: Handles, observer: Observer, ciphertext: bytes | bytearray | memoryview
) -> int:
    """Take bytes from the network and go as far in the handshake as they allow."""
    _thread.current = observer
    _thread.chain.clear()
    try:
        _lib.ERR_clear_error()  # what others left behind would be taken for this peer's fault
        if ciphertext:
            _write_ciphertext(handles, ciphertext)
        result = _lib.SSL_do_handshake(handles.ssl)
        return DONE if result == 1 else _status(handles.ssl, result)
    finally:
        _thread.current = None


def decrypt(
    handles: Handles, observer: Observer, ciphertext: bytes | bytearray | memoryview
) -> tuple[bytes, int]:
    """Take bytes from the network; return all plaintext there is now, and the status after it.

    The status is never ``DONE``. Written flat: this runs for every chunk of every connection.
    """
    thread = _thread
    thread.current = observer
    try:
        if ciphertext:
            _write_ciphertext(handles, ciphertext)
        ssl = handles.ssl
        buffer = thread.buffer
        read = _lib.SSL_read
        size = 0
        full: list[bytes] = []
        while (got := read(ssl, buffer + size, _BUFFER_SIZE - size)) > 0:
            size += got
            if size == _BUFFER_SIZE:
                full.append(_ffi.buffer(buffer, size)[:])
                size = 0
        data = _ffi.buffer(buffer, size)[:] if size else b""
        if full:
            full.append(data)
            data = b"".join(full)
        return data, _status(ssl, got)
    finally:
        thread.current = None


def _write_ciphertext(handles: Handles, data: bytes | bytearray | memoryview) -> None:
    if type(data) is bytes:
        written = _lib.BIO_write(handles.into, data, len(data))
    else:
        with _ffi.from_buffer(data) as view:
            written = _lib.BIO_write(handles.into, view, len(data))
    if written != len(data):
        raise MemoryError("OpenSSL could not take the ciphertext")


def write_plaintext(handles: Handles, data: bytes) -> int:
    """Encrypt all of ``data``, in records of at most 16 KiB."""
    ssl = handles.ssl
    size = len(data)
    written = _lib.SSL_write(ssl, data, size) if size else 0
    if written == size:
        return DONE
    with _ffi.from_buffer(data) as view:
        at = 0
        while written > 0:
            at += written
            if at == size:
                return DONE
            written = _lib.SSL_write(ssl, view + at, size - at)
    return _status(ssl, written)


def read_ciphertext(handles: Handles) -> bytes:
    """Take all bytes OpenSSL wants to send."""
    buffer = _thread.buffer
    got: int = _lib.BIO_read(handles.outof, buffer, _BUFFER_SIZE)
    if got <= 0:
        return b""
    if got < _BUFFER_SIZE:
        return bytes(_ffi.buffer(buffer, got))
    parts = []
    while got > 0:
        parts.append(_ffi.buffer(buffer, got)[:])
        got = _lib.BIO_read(handles.outof, buffer, _BUFFER_SIZE)
    return b"".join(parts)


def shutdown(handles: Handles) -> None:
    """Queue close_notify. Does nothing before the handshake is complete or after a failure."""
    if _lib.SSL_shutdown(handles.ssl) < 0:
        _lib.ERR_clear_error()


def fresh_input(handles: Handles) -> None:
    """Replace the BIO ciphertext is given to, which never shrinks. It must be empty."""
    bio = _new_bio()
    _lib.SSL_set_bio(handles.ssl, bio, handles.outof)  # frees the former one
    handles.connection._into_ssl = handles.into = bio


def fresh_output(handles: Handles) -> None:
    """Replace the BIO ciphertext is taken from. It must be empty, the handshake complete."""
    bio = _new_bio()
    _lib.SSL_set_bio(handles.ssl, handles.into, bio)
    handles.connection._from_ssl = handles.outof = bio


def _new_bio() -> Any:
    bio = _lib.BIO_new(_lib.BIO_s_mem())
    if bio == _ffi.NULL:
        raise MemoryError("no memory for the buffers of a TLS connection")
    return bio


def verify_result(handles: Handles) -> int:
    """``X509_V_OK`` (0) or the error the peer's chain was found to have."""
    return int(_lib.SSL_get_verify_result(handles.ssl))


def verify_error_text(error: int) -> str:
    """OpenSSL's words for an ``X509_V_ERR_*`` number."""
    return str(_ffi.string(_lib.X509_verify_cert_error_string(error)), "ascii", "replace")


def binding() -> Any:
    """What pyOpenSSL is bound to, for the self-test; None when it no longer shows it."""
    return None if _ffi is None else _lib


def take_errors() -> list[str]:
    """Empty OpenSSL's error queue of this thread and return the reasons, oldest first."""
    reasons = []
    while error := _lib.ERR_get_error():
        text = _lib.ERR_reason_error_string(error)
        reasons.append(_ffi.string(text).decode("ascii", "replace") if text else str(error))
    return reasons


def _status(ssl: Any, result: int) -> int:
    code = _lib.SSL_get_error(ssl, result)
    if code == _WANT_READ:
        return WANT
    return CLOSED if code == _ZERO_RETURN else FAILED

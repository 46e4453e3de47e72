"""The start-up test of TLS: is everything there that we use, and does a handshake work?"""

from __future__ import annotations

import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from mqttd.tls import native
from mqttd.tls.channel import TLSChannel, TLSFailure
from mqttd.tls.ciphers import Suites
from mqttd.tls.context import ServerContext
from mqttd.tls.listener_context import ListenerTLS


class TLSUnavailable(Exception):  # noqa: N818 - says what is the case
    """This build of pyOpenSSL or OpenSSL lacks something the broker needs; says what."""


def self_test() -> str:
    """Check that TLS works here: the names we use, then two handshakes in memory (10 ms).

    Returns one line that says what was found. Raises :exc:`TLSUnavailable` in plain words.
    """
    version = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode("ascii", "replace")
    if lacks := missing(native.binding()):
        raise TLSUnavailable(f"{version} with this pyOpenSSL cannot do: {'; '.join(lacks)}")
    try:
        group = _try_handshake()
        _try_psk()
    except (SSL.Error, TLSFailure, TLSUnavailable) as problem:
        raise TLSUnavailable(f"{version}: a handshake in memory fails: {problem}") from problem
    return f"{version}, TLS 1.3 with {group}"


def _try_handshake() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self-test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    native.prepare_context(context, alpn=(b"mqtt",))
    client, server = TLSChannel(context, server=False), TLSChannel(context)
    client.send(b"ping")
    client.start()
    said = b""
    for _ in range(3):  # two flights each way, and what was sent
        said += server.receive(client.outgoing())
        client.receive(server.outgoing())
    if said != b"ping":
        raise TLSUnavailable("what was sent did not arrive")
    return client.info().group or "an unnamed group"


def _try_psk() -> None:
    """A pre-shared key, and the identity it proves."""

    class Keys:
        def key_for(self, identity: bytes) -> bytes | None:
            return bytes(32) if identity == b"self-test" else None

    suite = Suites((), ("PSK-AES128-GCM-SHA256",), ("tlsv1.2",))
    contexts = [SSL.Context(SSL.TLS_METHOD), SSL.Context(SSL.TLS_METHOD)]
    for context in contexts:
        suite.apply(context)
    native.accept_psk(contexts[0], None)
    native.offer_psk(contexts[1], b"self-test", bytes(32))
    default = ServerContext(contexts[0], suite, (), verify_peer=False, requires_peer_cert=False)
    server = TLSChannel(ListenerTLS(default=default, psk=Keys(), psk_only=True))
    client = TLSChannel(contexts[1], server=False)
    client.start()
    for _ in range(2):
        server.receive(client.outgoing())
        client.receive(server.outgoing())
    if server.psk_identity != b"self-test":
        raise TLSUnavailable("a pre-shared key did not prove its identity")


_NEEDED: Final = {
    "naming key exchange groups": ["SSL_CTX_set1_curves_list"],
    "naming signature algorithms": ["SSL_CTX_set1_sigalgs_list"],
    "releasing idle buffers": ["SSL_MODE_RELEASE_BUFFERS"],
    "telling which alert was sent": ["SSL_set_info_callback"],
    "refusing an ALPN offer": ["SSL_CTX_set_alpn_select_cb"],
    "choosing a certificate by server name": ["SSL_get_verify_mode", "SSL_set_verify"],
    "choosing the alert for a refused certificate": [
        "SSL_CTX_set_verify",
        "SSL_get_verify_result",
        "X509_STORE_CTX_get_current_cert",
        "X509_STORE_CTX_get_error",
        "X509_STORE_CTX_get_error_depth",
        "X509_STORE_CTX_set_error",
        "X509_V_ERR_CERT_REJECTED",
        "X509_up_ref",
        "X509_verify_cert_error_string",
    ],
    "checking a server's name": [
        "SSL_get0_param",
        "X509_VERIFY_PARAM_set1_host",
        "X509_VERIFY_PARAM_set1_ip",
        "X509_VERIFY_PARAM_set_hostflags",
    ],
    "pre-shared keys": [
        "SSL_CTX_set_psk_client_callback",
        "SSL_CTX_set_psk_server_callback",
        "SSL_CTX_use_psk_identity_hint",
        "SSL_session_reused",
        "SSL_version",
    ],
    "reading and writing records": [
        "BIO_new",
        "BIO_read",
        "BIO_s_mem",
        "BIO_write",
        "ERR_clear_error",
        "ERR_get_error",
        "ERR_reason_error_string",
        "SSL_do_handshake",
        "SSL_get_error",
        "SSL_read",
        "SSL_set_bio",
        "SSL_shutdown",
        "SSL_write",
    ],
}


def missing(library: object) -> list[str]:
    """Say in plain words what the binding ``library`` cannot do for us; [] when all is well."""
    if library is None:
        return ["pyOpenSSL no longer shows its binding (SSL._lib, SSL._ffi)"]
    lacks = [
        f"{purpose} ({', '.join(gone)})"
        for purpose, names in _NEEDED.items()
        if (gone := [name for name in names if not hasattr(library, name)])
    ]
    if not hasattr(crypto.X509, "_from_raw_x509_ptr"):
        lacks.append("reading a certificate in a callback (X509._from_raw_x509_ptr)")
    context = SSL.Context(SSL.TLS_METHOD)
    if not hasattr(context, "_context"):
        lacks.append("reaching the Context itself (Context._context)")
    connection = SSL.Connection(context, None)
    if gone := [n for n in ("_ssl", "_into_ssl", "_from_ssl") if not hasattr(connection, n)]:
        lacks.append(f"reaching a Connection itself ({', '.join(gone)})")
    return lacks

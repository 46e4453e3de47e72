"""The start-up test of TLS: is everything there that we use, and does a handshake work?"""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from mqttd.tls import native
from mqttd.tls.channel import TLSChannel, TLSFailure
from mqttd.tls.ciphers import Suites
from mqttd.tls.context import ServerContext
from mqttd.tls.listener_context import ListenerTLS
from mqttd.tls.needed import missing, missing_for_psk


class TLSUnavailable(Exception):  # noqa: N818 - says what is the case
    """This build of pyOpenSSL or OpenSSL lacks something the broker needs; says what."""


def self_test(*, psk: bool = False) -> str:
    """Check that TLS works here: the names we use, then two handshakes in memory (10 ms).

    Returns one line that says what was found. Raises :exc:`TLSUnavailable` in plain words; for
    want of pre-shared keys only where they are used (``psk``).
    """
    version = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode("ascii", "replace")
    if lacks := missing(native.binding()):
        raise TLSUnavailable(f"{version} with this pyOpenSSL cannot do: {'; '.join(lacks)}")
    try:
        group = _try_handshake()
    except (SSL.Error, TLSFailure, TLSUnavailable) as problem:
        raise TLSUnavailable(f"{version}: a handshake in memory fails: {problem}") from problem
    found = f"{version}, TLS 1.3 with {group}"
    if problem_with_psk := _problem_with_psk():
        if psk:
            raise TLSUnavailable(f"{version} with this pyOpenSSL cannot do: {problem_with_psk}")
        found += f", without {problem_with_psk}"
    return found


def _problem_with_psk() -> str:
    """Why pre-shared keys cannot be used, empty when they can."""
    if lacks := missing_for_psk():
        return lacks
    try:
        _try_psk()
    except (SSL.Error, TLSFailure, TLSUnavailable) as problem:
        return f"pre-shared keys (a handshake in memory fails: {problem})"
    return ""


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

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


class TLSUnavailable(Exception):  # noqa: N818 - says what is the case
    """This build of pyOpenSSL or OpenSSL lacks something the broker needs; says what."""


def self_test() -> str:
    """Check that TLS works here: the names we use, then a handshake in memory (10 ms).

    Returns one line that says what was found. Raises :exc:`TLSUnavailable` in plain words.
    """
    version = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode("ascii", "replace")
    if lacks := native.missing():
        raise TLSUnavailable(f"{version} with this pyOpenSSL cannot do: {'; '.join(lacks)}")
    try:
        group = _try_handshake()
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

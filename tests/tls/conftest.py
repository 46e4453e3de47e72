"""Certificates made for one test run, and two channels joined in memory."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL, crypto

from mqttd.config.schema.tls import SslOptions
from mqttd.tls.channel import TLSChannel
from mqttd.tls.context import ServerContext, build_server_context

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def new_key(kind: str) -> Any:
    """A private key: ``ec``, ``rsa`` or ``rsa1024``."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 1024 if kind == "rsa1024" else 2048)


def key_pem(key: Any, password: str | None = None) -> str:
    """PKCS#8 PEM text."""
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return text.decode()


def cert_pem(*certificates: x509.Certificate) -> str:
    return "".join(c.public_bytes(Encoding.PEM).decode() for c in certificates)


class Issued:
    """A certificate, its key and its issuers."""

    def __init__(self, cert: x509.Certificate, key: Any, issuers: list[x509.Certificate]) -> None:
        self.cert = cert
        self.key = key
        self.issuers = issuers

    @property
    def chain_pem(self) -> str:
        """The certificate and its intermediates; not the root."""
        return cert_pem(self.cert, *self.issuers[:-1])

    @property
    def key_pem(self) -> str:
        return key_pem(self.key)


class Authority(Issued):
    """A certificate authority that issues."""

    def issue(
        self,
        common_name: str = "localhost",
        *,
        key: Any = None,
        kind: str = "ec",
        san: list[x509.GeneralName] | None = None,
        subject: x509.Name | None = None,
        usage: x509.ObjectIdentifier | None = None,
        ca: bool = False,
        begin: datetime.datetime = NOW - DAY,
        end: datetime.datetime = NOW + 90 * DAY,
        extra: list[x509.ExtensionType] | None = None,
    ) -> Authority:
        """Issue a certificate; with ``san`` None it is good for localhost, [] leaves it out."""
        key = key or new_key(kind)
        if san is None:
            san = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name if subject is None else subject)
            .issuer_name(self.cert.subject if self.cert else name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if san and not ca:
            builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        for extension in extra or []:
            builder = builder.add_extension(extension, critical=False)
        cert = builder.sign(self.key if self.cert else key, hashes.SHA256())
        return Authority(cert, key, [self.cert, *self.issuers] if self.cert else [])

    def client(self, common_name: str = "dev1", **options: Any) -> Authority:
        """Issue a client certificate."""
        options.setdefault("san", [])
        return self.issue(common_name, usage=ExtendedKeyUsageOID.CLIENT_AUTH, **options)


def new_root(common_name: str, kind: str = "ec", **options: Any) -> Authority:
    """A self-signed authority."""
    nothing: Any = None
    return Authority(nothing, nothing, []).issue(common_name, kind=kind, ca=True, **options)


class Pki:
    """One authority with an intermediate, and server and client certificates of both kinds."""

    def __init__(self) -> None:
        self.root = new_root("Test Root")
        self.intermediate = self.root.issue("Test Intermediate", ca=True)
        self.other_root = new_root("Other Root")
        self.rsa_key = new_key("rsa")
        self.ec = self.intermediate.issue()
        self.rsa = self.intermediate.issue(key=self.rsa_key)
        self.client_ec = self.root.client("dev-ec")
        self.client_rsa = self.root.client("dev-rsa", key=self.rsa_key)
        self.stranger = self.other_root.client("stranger")

    def options(self, server: Issued | None = None, **options: Any) -> SslOptions:
        """``ssl_options`` with PEM texts."""
        server = server or self.ec
        options.setdefault("keyfile", server.key_pem)
        options.setdefault("certfile", server.chain_pem)
        return SslOptions(**options)

    def server_context(self, server: Issued | None = None, **options: Any) -> ServerContext:
        return build_server_context(self.options(server, **options))

    def mutual(self, server: Issued | None = None, **options: Any) -> ServerContext:
        """A server that demands client certificates of our root."""
        options.setdefault("cacertfile", cert_pem(self.root.cert))
        return self.server_context(server, verify="verify_peer", **options)

    def client_context(
        self,
        certificate: Issued | None = None,
        *,
        version: int | None = None,
        ciphers: bytes = b"",
        trust: x509.Certificate | None = None,
        alpn: list[bytes] | None = None,
    ) -> SSL.Context:
        """A client that trusts our root and checks the server."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if version is not None:
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
        if ciphers:
            context.set_cipher_list(ciphers)
        if alpn:
            context.set_alpn_protos(alpn)
        context.set_verify(SSL.VERIFY_PEER)
        store = context.get_cert_store()
        assert store is not None
        store.add_cert(crypto.X509.from_cryptography(trust or self.root.cert))
        if certificate is not None:
            context.use_certificate(certificate.cert)
            for issuer in certificate.issuers[:-1]:
                context.add_extra_chain_cert(issuer)
            context.use_privatekey(certificate.key)
        return context


class Joined:
    """A client and a server channel with a wire between them."""

    def __init__(self, client: TLSChannel, server: TLSChannel) -> None:
        self.client = client
        self.server = server
        self.to_server = b""
        self.to_client = b""

    def run(self, chunk: int = 1 << 20) -> None:
        """Carry bytes to and fro until both are silent."""
        self.client.start()
        while True:
            up, down = self.client.outgoing(), self.server.outgoing()
            if not up and not down:
                return
            for at in range(0, len(up), chunk):
                self.to_server += self.server.receive(up[at : at + chunk])
            for at in range(0, len(down), chunk):
                self.to_client += self.client.receive(down[at : at + chunk])


@pytest.fixture(scope="session")
def pki() -> Pki:
    """Keys and certificates of this test run."""
    return Pki()


@pytest.fixture(scope="session")
def join() -> Callable[..., Joined]:
    """Make a client and a server channel from two Contexts."""

    def make(client: SSL.Context, server: ServerContext, host: bytes = b"localhost") -> Joined:
        return Joined(TLSChannel(client, server=False, server_hostname=host), TLSChannel(server))

    return make


@pytest.fixture(scope="session")
def make_root() -> Callable[..., Authority]:
    """Make a self-signed authority."""
    return new_root


@pytest.fixture(scope="session")
def make_key_pem() -> Callable[..., str]:
    return key_pem


@pytest.fixture(scope="session")
def make_cert_pem() -> Callable[..., str]:
    return cert_pem


@pytest.fixture
def folder(tmp_path: Path, pki: Pki) -> Path:
    """A folder with key.pem, cert.pem and cacert.pem."""
    (tmp_path / "key.pem").write_text(pki.ec.key_pem)
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "cert.pem").write_text(pki.ec.chain_pem)
    (tmp_path / "cacert.pem").write_text(cert_pem(pki.root.cert))
    return tmp_path

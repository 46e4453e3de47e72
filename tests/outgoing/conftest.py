"""Servers for the clients under test: twisted.web over TCP and TLS, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from OpenSSL import SSL, crypto
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer


class Root(Resource):
    """Answers by path, and remembers what it was asked."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, bytes]] = []
        self.headers: list[Any] = []
        self.names: list[bytes | None] = []
        self.connections: set[Any] = set()

    def render(self, request: Any) -> Any:
        body = request.content.read()
        path = request.path.decode()
        self.asked.append((request.method.decode(), path, body))
        self.headers.append(request.requestHeaders.copy())
        self.connections.add(request.transport)
        if request.isSecure():
            self.names.append(request.transport.getHandle().get_servername())
        if path == "/loop":
            request.redirect(b"/loop")
            return b""
        if path.startswith("/to/"):
            _, _, status, target = path.split("/", 3)
            request.setResponseCode(int(status))
            request.setHeader(b"Location", request.args[b"at"][0] if target == "at" else b"/end")
            return b""
        if path == "/silent":
            return NOT_DONE_YET
        if path == "/half":
            request.setHeader(b"Content-Length", b"100")
            request.write(b"half")
            return NOT_DONE_YET
        if path == "/cut":
            request.setHeader(b"Content-Length", b"100")
            request.write(b"cut")
            request.transport.loseConnection()
            return NOT_DONE_YET
        if path == "/big":
            request.write(b"x" * 60_000)
            request.write(b"x" * 60_000)
            return b"x"
        if path == "/gzip":
            request.setHeader(b"Content-Encoding", b"gzip")
            return b"\x1f\x8b"
        if path == "/missing":
            request.setResponseCode(404)
            return b"not here"
        return b"hello " + body


class Quiet(Site):
    noisy = False

    def log(self, request: Any) -> None:
        """Nothing."""


@implementer(IOpenSSLServerConnectionCreator)
class ServerSide:
    def __init__(self, context: SSL.Context) -> None:
        self.context = context

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803
        return SSL.Connection(self.context, None)


@attrs.define
class Server:
    """Where it listens, and what it was asked."""

    port: int
    root: Root
    listening: Any

    def url(self, path: str = "/", host: str = "localhost", scheme: str = "https") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@pytest.fixture
def serve(live_reactor: Any, settle: Callable[..., Any]) -> Iterator[Callable[..., Server]]:
    """Start a server: with ``issued`` over TLS, with ``clients`` demanding certificates of it."""
    from twisted.protocols.tls import TLSMemoryBIOFactory

    started: list[Any] = []

    def start(issued: Any = None, *, clients: Any = None, interface: str = "127.0.0.1") -> Server:
        root = Root()
        factory: Any = Quiet(root)
        if issued is not None:
            context = SSL.Context(SSL.TLS_SERVER_METHOD)
            context.use_certificate(issued.cert)
            for issuer in issued.issuers[:-1]:
                context.add_extra_chain_cert(issuer)
            context.use_privatekey(issued.key)
            if clients is not None:
                context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
                store = context.get_cert_store()
                assert store is not None
                store.add_cert(crypto.X509.from_cryptography(clients))
                context.set_session_id(b"test")
            factory = TLSMemoryBIOFactory(ServerSide(context), False, factory)
        port = live_reactor.listenTCP(0, factory, interface=interface)
        started.append(port)
        return Server(port.getHost().port, root, port)

    yield start
    for port in started:
        settle(maybeDeferred(port.stopListening))


class Raw(Protocol):
    """Sends one text to whoever connects or, with None, says nothing."""

    def connectionMade(self) -> None:
        factory: Any = self.factory
        text = factory.text
        factory.made.append(self)
        if text is not None:
            self.transport.write(text)  # type: ignore[union-attr]


@pytest.fixture
def serve_bytes(live_reactor: Any, settle: Callable[..., Any]) -> Iterator[Callable[..., int]]:
    """Start a server that sends ``text`` to everybody at once; returns its port."""
    started: list[tuple[Any, Any]] = []

    def start(text: bytes | None) -> int:
        factory: Any = Factory.forProtocol(Raw)
        factory.noisy = False
        factory.text = text
        factory.made = []
        port = live_reactor.listenTCP(0, factory, interface="127.0.0.1")
        started.append((port, factory))
        return int(port.getHost().port)

    yield start
    for port, factory in started:
        for each in factory.made:
            each.transport.abortConnection()
        settle(maybeDeferred(port.stopListening))

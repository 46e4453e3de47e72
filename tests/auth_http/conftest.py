"""Requests of clients, and HTTP servers that answer them well or badly, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from OpenSSL import SSL, crypto
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from mqttd.auth.http_authenticator import HTTPAuthenticator, make
from mqttd.config.schema.authentication_http import HttpAuthenticatorOptions
from mqttd.config.structure import structure
from mqttd.identity import ConnectRequest, PeerCertificate, PeerInfo
from mqttd.interfaces import PluginContext

CERTIFICATE = PeerCertificate(
    der=b"\x30\x03abc",
    pem="-----BEGIN CERTIFICATE-----\n",
    common_name="dev1",
    subject="CN=dev1,O=Lab",
    issuer="CN=root",
    serial=255,
    not_before=0.0,
    not_after=1.0,
    san_dns=("a.test", "b.test"),
    san_uri=("urn:x",),
    san_email=("a@b.test",),
)


def _request(**changes: Any) -> ConnectRequest:
    peer = {"listener": "ssl:default", "peer": ("192.0.2.7", 4711)}
    for name in [name for name in changes if name in attrs.fields_dict(PeerInfo)]:
        peer[name] = changes.pop(name)
    values: dict[str, Any] = {
        "client_id": "c1",
        "username": "u1",
        "password": b"p1",
        "level": 5,
        "clean_start": True,
        "keep_alive": 60,
    }
    return ConnectRequest(peer=PeerInfo(**peer), **(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def request_of() -> Callable[..., ConnectRequest]:
    """A client's request; fields of the request and of its peer can be changed."""
    return _request


@pytest.fixture(scope="session")
def certificate() -> PeerCertificate:
    return CERTIFICATE


class Root(Resource):
    """Answers each question with what ``answer`` makes of it: status, content type, body.

    The words ``silent``, ``head`` and ``cut`` are answers as well.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []
        self.bodies: list[bytes] = []
        self.answer: Any = {"result": "allow"}
        self.running = 0
        self.most = 0
        self.held: list[Any] = []

    def render(self, request: Any) -> Any:
        self.asked.append(request)
        self.bodies.append(request.content.read())
        answer = self.answer
        if isinstance(answer, dict):
            answer = (200, "application/json", json.dumps(answer).encode())
        if answer == "silent":
            return NOT_DONE_YET
        if answer == "hold":
            self.running += 1
            self.most = max(self.most, self.running)
            self.held.append(request)
            return NOT_DONE_YET
        if answer in ("head", "cut"):
            request.setHeader(b"Content-Length", b"100")
            request.setHeader(b"Content-Type", b"application/json")
            request.write(b'{"result"')
            if answer == "cut":
                request.transport.loseConnection()
            return NOT_DONE_YET
        status, kind, body = answer
        request.setResponseCode(status)
        if kind is not None:
            request.setHeader(b"Content-Type", kind.encode())
        if 300 <= status < 400:
            request.setHeader(b"Location", b"/elsewhere?password=p1")
        return body

    def let_go(self) -> None:
        """Answer whoever was held."""
        for request in self.held:
            self.running -= 1
            request.setHeader(b"Content-Type", b"application/json")
            request.write(b'{"result": "allow"}')
            request.finish()
        self.held.clear()


class Quiet(Site):
    noisy = False

    def log(self, request: Any) -> None:
        """Nothing."""


@implementer(IOpenSSLServerConnectionCreator)
class ServerSide:
    def __init__(self, context: SSL.Context) -> None:
        self.context = context
        self.names: list[bytes | None] = []
        context.set_tlsext_servername_callback(lambda c: self.names.append(c.get_servername()))

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803
        return SSL.Connection(self.context, None)


@attrs.define
class Server:
    """Where it listens, what it was asked, and the names it was called by."""

    port: int
    root: Root
    listening: Any
    factory: Any
    names: list[Any]

    def url(self, path: str = "/auth", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@pytest.fixture
def serve(live_reactor: Any, settle: Callable[..., Any]) -> Iterator[Callable[..., Server]]:
    """Start a server: with ``issued`` over TLS, with ``clients`` demanding certificates of it."""
    from twisted.protocols.tls import TLSMemoryBIOFactory

    started: list[Any] = []

    def start(issued: Any = None, *, clients: Any = None, port: int = 0) -> Server:
        root = Root()
        factory: Any = Quiet(root)
        names: list[Any] = []
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
            side = ServerSide(context)
            names = side.names
            factory = TLSMemoryBIOFactory(side, False, factory)
        listening = live_reactor.listenTCP(port, factory, interface="127.0.0.1")
        started.append(listening)
        return Server(listening.getHost().port, root, listening, factory, names)

    yield start
    for each in started:
        settle(maybeDeferred(each.stopListening))


@pytest.fixture
def structured() -> Callable[..., Any]:
    """Options out of a section as the file has it; nothing in it may be wrong."""

    def make_options(section: dict[str, Any]) -> HttpAuthenticatorOptions:
        options, findings = structure(section, HttpAuthenticatorOptions, Path("."), "authn")
        assert not [each for each in findings if each.severity == "error"], findings
        return options

    return make_options


@pytest.fixture
def authenticator(
    live_reactor: Any, settle: Callable[..., Any], structured: Callable[..., Any], tmp_path: Path
) -> Iterator[Callable[..., HTTPAuthenticator]]:
    """Make an authenticator out of its section; it is stopped afterwards."""
    made: list[HTTPAuthenticator] = []

    def build(url: str | list[str], **section: Any) -> HTTPAuthenticator:
        key = "url" if isinstance(url, str) else "urls"
        context = PluginContext(live_reactor, tmp_path, tmp_path)
        made.append(make(structured({key: url, **section}), context))
        made[-1].start()
        return made[-1]

    yield build
    for each in made:
        stopped: Deferred[None] = each.stop()
        settle(stopped)


@pytest.fixture(scope="session")
def cert_text() -> Callable[..., str]:
    """PEM text of certificates."""
    from cryptography.hazmat.primitives.serialization import Encoding

    def text(*certificates: Any) -> str:
        return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)

    return text

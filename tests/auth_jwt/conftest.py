"""Keys of every kind, tokens signed with them, and servers that give keys away well or badly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms
from OpenSSL import SSL
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from mqttd.auth.jwt_authenticator import JWTAuthenticator
from mqttd.auth.jwt_plan import prepare
from mqttd.config.errors import Finding
from mqttd.config.schema.authentication_jwt import JwtOptions
from mqttd.config.structure import structure
from mqttd.identity import ConnectRequest, PeerInfo

NOW = 1_700_000_000.0
SECRET = "a secret of 64 bytes, which is as many as the largest hash needs"
_KINDS: dict[str, Callable[[], Any]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa2": lambda: rsa.generate_private_key(65537, 2048),
    "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
}
_LIBRARY = {"rsa": "RS256", "rsa2": "RS256", "rsa1024": "RS256", "ed25519": "EdDSA"} | {
    "ed448": "EdDSA",
    "k1": "ES256K",
}


class Keys:
    """The private keys of this test run, made when asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, kind: str) -> Any:
        if kind not in self._made:
            self._made[kind] = _KINDS[kind]()
        return self._made[kind]

    def pem(self, *kinds: str) -> str:
        """Public keys, PEM."""
        return "".join(
            self[kind]
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode()
            for kind in kinds
        )

    def jwk(self, kind: str, **more: Any) -> dict[str, Any]:
        """The public part as a JSON Web Key."""
        algorithm: Any = get_default_algorithms()[_LIBRARY.get(kind, "ES256")]
        return {**algorithm.to_jwk(self[kind].public_key(), as_dict=True), **more}

    def jwks(self, **kinds: str) -> bytes:
        """A key set of ``kid=kind``."""
        keys = [self.jwk(kind, kid=key_id) for key_id, kind in kinds.items()]
        return json.dumps({"keys": keys}).encode()

    def token(
        self,
        kind: str = "",
        algorithm: str = "HS256",
        key_id: str | None = None,
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> bytes:
        """A token that ends in a minute; ``exp = None`` leaves that out."""
        claims.setdefault("exp", NOW + 60)
        given = {name: value for name, value in claims.items() if value is not None}
        more = dict(headers or {}) | ({} if key_id is None else {"kid": key_id})
        key = self[kind] if kind else SECRET
        return jwt.encode(given, key, algorithm, headers=more).encode()


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()


@pytest.fixture(scope="session")
def request_with() -> Callable[..., ConnectRequest]:
    """A client's request with a token as its password."""

    def make(token: bytes | None = None, **changes: Any) -> ConnectRequest:
        values: dict[str, Any] = {
            "client_id": "c1",
            "username": "alice",
            "password": token,
            "level": 5,
            "clean_start": True,
            "keep_alive": 60,
        }
        peer = PeerInfo("ssl:default", ("192.0.2.7", 4711))
        return ConnectRequest(peer=peer, **(values | changes))

    return make


@pytest.fixture
def options_of(tmp_path: Path) -> Callable[..., JwtOptions]:
    """Options out of a section as the file has it; nothing in it may be wrong."""

    def make(**section: Any) -> JwtOptions:
        options, findings = structure(section, JwtOptions, tmp_path, "authentication")
        assert not [each for each in findings if each.severity == "error"], findings
        return options

    return make


@pytest.fixture
def findings_of(options_of: Callable[..., JwtOptions], tmp_path: Path) -> Callable[..., Any]:
    """What there is to say of a section: severity and option of each finding."""

    def find(**section: Any) -> dict[tuple[str, str], Finding]:
        found = prepare(options_of(**section), "authentication", tmp_path)[1]
        return {
            (each.severity, each.path.removeprefix("authentication").lstrip(".")): each
            for each in found
        }

    return find


@pytest.fixture
def local(options_of: Callable[..., JwtOptions], tmp_path: Path) -> Callable[..., Any]:
    """An authenticator with keys of its own, at a moment that stands still."""

    def make(**section: Any) -> JWTAuthenticator:
        options = options_of(**section)
        plan, findings = prepare(options, "authentication", tmp_path)
        assert plan is not None, findings
        return JWTAuthenticator(options, plan, None, tmp_path, now=lambda: NOW)

    return make


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """Everything that was logged."""
    seen: list[Any] = []
    observer: Any = seen.append
    globalLogPublisher.addObserver(observer)
    yield seen
    globalLogPublisher.removeObserver(observer)


class Root(Resource):
    """Gives what ``answer`` says: status and body, or one of the words silent, head and cut."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.headers: list[Any] = []
        self.answer: Any = (200, b'{"keys": []}')
        self.held: list[Any] = []

    def render(self, request: Any) -> Any:
        self.asked += 1
        self.headers.append(request.requestHeaders)
        if self.answer in ("silent", "hold"):
            self.held.append(request)
            return NOT_DONE_YET
        if self.answer in ("head", "cut"):
            request.setHeader(b"Content-Length", b"1000")
            request.write(b'{"keys"')
            if self.answer == "cut":
                request.transport.loseConnection()
            return NOT_DONE_YET
        status, body = self.answer
        request.setResponseCode(status)
        if 300 <= status < 400:
            request.setHeader(b"Location", b"/elsewhere")
        return body

    def let_go(self, body: bytes) -> None:
        """Answer whoever was held."""
        held, self.held = self.held, []
        for request in held:
            request.write(body)
            request.finish()


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
    """Where it listens and what it gives."""

    port: int
    root: Root
    listening: Any

    def url(self, scheme: str = "http") -> str:
        return f"{scheme}://localhost:{self.port}/jwks.json"


@pytest.fixture
def key_server(live_reactor: Any, settle: Callable[..., Any]) -> Iterator[Callable[..., Server]]:
    """Start a server of keys: with ``issued`` over TLS."""
    from twisted.protocols.tls import TLSMemoryBIOFactory

    started: list[Any] = []

    def start(issued: Any = None, *, port: int = 0) -> Server:
        root = Root()
        factory: Any = Quiet(root)
        if issued is not None:
            context = SSL.Context(SSL.TLS_SERVER_METHOD)
            context.use_certificate(issued.cert)
            for issuer in issued.issuers[:-1]:
                context.add_extra_chain_cert(issuer)
            context.use_privatekey(issued.key)
            factory = TLSMemoryBIOFactory(ServerSide(context), False, factory)
        listening = live_reactor.listenTCP(port, factory, interface="127.0.0.1")
        started.append(listening)
        return Server(listening.getHost().port, root, listening)

    yield start
    for each in started:
        settle(maybeDeferred(each.stopListening))

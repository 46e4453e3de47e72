"""Under the HTTP client: how it connects, how much it reads, and what it does not let pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from typing_extensions import override
from zope.interface import implementer

from mqttd.outgoing.errors import BAD_ANSWER, BAD_URL, FetchError
from mqttd.outgoing.tls import ClientTLS, ConnectionCreator

_HEADERS: Final = 64 << 10
"""Bytes an answer may have beside its body; Twisted itself has no limit for all headers."""
_CHUNKED: Final = 8
"""Times its own size that a body may take on the wire: in chunks of a byte it takes six."""


@implementer(IAgentEndpointFactory)
class Attempt:
    """Connects for one request, and knows afterwards why it did not work.

    ``flooded``: more came than an answer with a body of ``most`` bytes can have. ``reused``: an
    idle connection was taken, no new one made.
    """

    def __init__(
        self, reactor: Any, tls: ClientTLS | None, *, connect_timeout: float, most: int
    ) -> None:
        self._reactor = reactor
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._creator: ConnectionCreator | None = None
        self.most = _HEADERS + _CHUNKED * most
        self.flooded = False
        self.reused = True
        self.connection: _Counting | None = None

    def abort(self) -> None:
        """End the connection at once, whatever the peer does."""
        if self.connection is not None:
            self.connection.abort()

    @property
    def untouched(self) -> bool:
        """Whether the connection was an idle one that closed before a byte of the answer came."""
        return self.reused and self.connection is not None and not self.connection.received

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802
        """See IAgentEndpointFactory."""
        counted: IStreamClientEndpoint = _Counted(lambda: self._endpoint(uri), self)
        return counted

    def _endpoint(self, uri: URI) -> Any:
        """Where a new connection goes to. Raises FetchError for a host that is none."""
        host = uri.host.decode("ascii")
        endpoint: Any = HostnameEndpoint(
            self._reactor, host.strip("[]"), uri.port, timeout=self._connect_timeout
        )
        if self._tls is not None:
            try:
                self._creator = self._tls.creator(host)
            except ValueError:
                raise FetchError(BAD_URL, f"{host[:200]} is no host name") from None
            endpoint = wrapClientTLS(self._creator, endpoint)
        return endpoint

    @property
    def verify_error(self) -> int:
        """What was found wrong with the server's certificate; 0: nothing."""
        return 0 if self._creator is None else self._creator.verify_error


class Pool(HTTPConnectionPool):
    """Twisted's pool, which tells each connection for whom it works now."""

    def __init__(self, reactor: Any, size: int, idle_time: float) -> None:
        super().__init__(reactor)
        self.maxPersistentPerHost = size
        self.cachedConnectionTimeout: float = idle_time  # type: ignore[assignment]
        self.retryAutomatically = False  # the client does, and for every method

    @override
    def getConnection(self, key: Any, endpoint: Any) -> Deferred[Any]:
        def belongs(protocol: Any) -> Any:
            protocol.transport.serve(endpoint.attempt)
            return protocol

        return super().getConnection(key, endpoint).addCallback(belongs)


@implementer(IStreamClientEndpoint)
class _Counted:
    """An endpoint whose connections end when too much comes; made when a connection is needed."""

    def __init__(self, endpoint: Callable[[], Any], attempt: Attempt) -> None:
        self._endpoint = endpoint
        self.attempt = attempt

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """See IStreamClientEndpoint."""
        self.attempt.reused = False
        connected: Deferred[Any] = self._endpoint().connect(_CountingFactory(protocolFactory))
        return connected.addCallbacks(lambda protocol: protocol.wrappedProtocol, _no_name)


def _no_name(failure: Failure) -> None:
    """By the rules of IDNA, which Twisted says with a ValueError."""
    failure.trap(ValueError)
    raise FetchError(BAD_URL, f"the address cannot be used: {failure.getErrorMessage()}") from None


class _Counting(ProtocolWrapper):
    """Counts what comes for one request."""

    attempt: Attempt | None = None
    received = 0

    def serve(self, attempt: Attempt) -> None:
        """Work for a request from now on."""
        self.attempt = attempt
        self.received = 0
        attempt.connection = self

    def abort(self) -> None:
        """End at once."""
        transport: Any = self.transport
        transport.abortConnection()

    @override
    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        attempt = self.attempt
        if attempt is not None and self.received > attempt.most:
            attempt.flooded = True
            self.abort()
            return
        super().dataReceived(data)


class _CountingFactory(WrappingFactory):
    noisy = False
    protocol = _Counting

    def __init__(self, wrapped: Any) -> None:
        wrapped.noisy = False  # else two lines in the log for each connection
        super().__init__(wrapped)


@implementer(IAgent)
class Plain:
    """Asks for bodies as they are: one that is unpacked here has no limit while it is unpacked."""

    def __init__(self, agent: Any) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        """See IAgent."""
        headers = Headers() if headers is None else headers.copy()
        headers.setRawHeaders(b"Accept-Encoding", [b"identity"])
        asked: Deferred[IResponse] = self._agent.request(method, uri, headers, bodyProducer)
        return asked.addCallback(self._check)

    def _check(self, response: Any) -> IResponse:
        codings = response.headers.getRawHeaders(b"Content-Encoding", [])
        if any(coding.strip().lower() not in (b"", b"identity") for coding in codings):
            raise FetchError(BAD_ANSWER, "the server packs its answer although asked not to")
        # Nobody here wants cookies, and whoever reads them stumbles over bytes that are no text.
        response.headers.removeHeader(b"Set-Cookie")
        plain: IResponse = response
        return plain


def collect(response: Any, attempt: Attempt, most: int) -> Deferred[bytes | None]:
    """The whole body, or None, and no more is read, when it is longer than ``most`` bytes."""
    collector = _Collector(attempt, most)
    if isinstance(response.length, int) and response.length > most:
        collector.stop()
    else:
        response.deliverBody(collector)
    return collector.done


class _Collector(Protocol):
    """Keeps a body up to a size, and then ends the connection."""

    def __init__(self, attempt: Attempt, most: int) -> None:
        self.done: Deferred[bytes | None] = Deferred(lambda _done: attempt.abort())
        self._attempt = attempt
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0

    def stop(self) -> None:
        """It is too long."""
        self._parts.clear()
        self.done.callback(None)
        self._attempt.abort()

    @override
    def dataReceived(self, data: bytes) -> None:
        if self.done.called:
            return
        self._size += len(data)
        if self._size <= self._most:
            self._parts.append(data)
        else:
            self.stop()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        # Without a length the end of the connection is the end of the body.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(reason)

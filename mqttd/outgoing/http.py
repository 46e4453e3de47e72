"""The HTTP client for everything the broker fetches or asks: bounded in time, size and number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

import attrs
from treq.client import HTTPClient as TreqClient
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure
from twisted.python.url import URL
from twisted.web.client import Agent, RequestTransmissionFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from typing_extensions import override

from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.outgoing.endpoints import Attempt, Plain, Pool, collect
from mqttd.outgoing.errors import (
    BAD_ANSWER,
    BAD_URL,
    REDIRECTS,
    TIMEOUT,
    TOO_LARGE,
    FetchError,
    explain,
    given_up,
)
from mqttd.outgoing.tls import ClientTLS, build_client_tls

__all__ = ["FetchError", "HTTPAnswer", "HTTPClient"]

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for a TCP connection."""
POOL_SIZE: Final = 8
"""Exchanges at a time; others wait their turn, within their own time."""
IDLE_TIME: Final = 15.0
"""Seconds an unused connection is kept; less than most servers keep it."""

_LONGEST_URL: Final = 8192
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OWN_ORIGIN_ONLY: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_TOKEN: Final = frozenset(
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
"""RFC 9110 section 5.6.2."""


@attrs.frozen
class HTTPAnswer:
    """What a server answered. ``url`` is where it came from, after redirects."""

    status: int
    headers: Headers
    body: bytes = attrs.field(repr=False)
    url: str


class HTTPClient:
    """Fetches over http and https; one for all that share a ``tls``.

    ``tls`` None: the operating system's authorities, and names checked. Connections are kept for
    a while and used again; ``pool_size`` bounds how many exchanges run at a time.
    """

    def __init__(
        self,
        reactor: Any,
        tls: ClientTLS | None = None,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        pool_size: int = POOL_SIZE,
    ) -> None:
        self._reactor = reactor
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._turns = DeferredSemaphore(pool_size)
        self._pool = Pool(reactor, pool_size, IDLE_TIME)

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
        timeout: float,
        max_size: int,
        max_redirects: int = 3,
        body_timeout: float | None = None,
    ) -> HTTPAnswer:
        """The answer to one request, its body whole and at most ``max_size`` bytes.

        ``timeout`` is seconds for everything together: waiting for a turn, redirects and the body
        too; ``body_timeout`` seconds for each body alone. Redirects lead to http and https only,
        and never from https to http; credentials in ``headers`` and a body do not follow them to
        another server. Every status is an answer; a redirect that is not followed because it
        names no place is one too.

        Raises FetchError.
        """
        doing = _Doing(body_timeout)
        exchange = Deferred.fromCoroutine(
            self._exchange(url, method, body, headers, max_size, max_redirects, doing)
        )

        def late(result: HTTPAnswer | Failure, seconds: float) -> HTTPAnswer:
            if not isinstance(result, Failure):
                return result
            # A server that was given less than half of the time is not the one to blame.
            asked = 0.0 if doing.turn is None else self._reactor.seconds() - doing.turn
            raise FetchError(
                TIMEOUT,
                f"{doing.text} took longer than {seconds:g} s",
                waited=asked < seconds / 2,
            )

        return await exchange.addTimeout(timeout, self._reactor, late)

    def close(self) -> Deferred[None]:
        """Close the connections that wait for further use."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing

    async def _exchange(
        self,
        url: str,
        method: str,
        body: bytes | None,
        headers: Sequence[tuple[str, str]],
        max_size: int,
        max_redirects: int,
        doing: _Doing,
    ) -> HTTPAnswer:
        _check_headers(headers)
        place = _check_url(url)
        doing.text = f"waiting for a turn to ask {_server(place)}"
        await self._turns.acquire()
        doing.turn = self._reactor.seconds()
        try:
            for _ in range(max_redirects + 1):
                answer = await self._request(url, place, method, body, headers, max_size, doing)
                target = _target(answer)
                if target is None:
                    return answer
                former, place, url = place, _check_redirect(place, target), target
                if _origin(former) != _origin(place):
                    if body is not None and answer.status in (307, 308):
                        raise FetchError(
                            REDIRECTS,
                            f"{_server(former)} sends our data on to another server, "
                            f"{_server(place)}, which is not done",
                        )
                    headers = [item for item in headers if item[0].lower() not in _OWN_ORIGIN_ONLY]
                if answer.status == 303 or (answer.status < 303 and method == "POST"):
                    # RFC 9110 section 15.4: the new place is asked with GET
                    method, body = ("HEAD" if method == "HEAD" else "GET"), None
            raise FetchError(REDIRECTS, f"more than {max_redirects} redirects, the last to {url}")
        finally:
            self._turns.release()

    async def _request(
        self,
        url: str,
        place: SplitResult,
        method: str,
        body: bytes | None,
        headers: Sequence[tuple[str, str]],
        max_size: int,
        doing: _Doing,
    ) -> HTTPAnswer:
        server = _server(place)
        tls = self._tls_for(place)
        sent = Headers()
        for name, value in headers:
            sent.addRawHeader(name, value)
        if not sent.hasHeader("User-Agent"):
            sent.addRawHeader("User-Agent", "mqttd")
        while True:
            attempt = Attempt(
                self._reactor, tls, connect_timeout=self._connect_timeout, most=max_size
            )
            agent = Plain(Agent.usingEndpointFactory(self._reactor, attempt, self._pool))
            doing.text = f"the answer of {server}"
            try:
                response = await self._send(agent, method, url, sent, body)
                doing.text = f"reading the answer of {server}"
                reading = collect(response.original, attempt, max_size)
                content = await doing.limit(reading, self._reactor)
            except (ResponseNeverReceived, RequestTransmissionFailed) as problem:
                # The server closed an idle connection while our request was on its way, or was
                # about to be: those of HTTP/1.0 close each.
                if not attempt.untouched or given_up(problem):
                    raise self._explain(problem, server, attempt, max_size) from None
            except Exception as problem:
                attempt.abort()
                raise self._explain(problem, server, attempt, max_size) from None
            else:
                break
        if not 100 <= response.code <= 599:  # RFC 9110 section 15
            raise FetchError(BAD_ANSWER, f"{server} answers with a status that is none")
        if content is None:
            text = f"the answer of {server} is larger than {max_size} bytes"
            raise FetchError(TOO_LARGE, text)
        return HTTPAnswer(response.code, response.headers, content, url)

    def _send(
        self, agent: Any, method: str, url: str, headers: Headers, body: bytes | None
    ) -> Deferred[Any]:
        try:
            sent: Deferred[Any] = TreqClient(agent).request(
                method,
                _AsItIs(url) if url.isascii() else url,
                headers=headers,
                data=body,
                allow_redirects=False,
                unbuffered=True,
                reactor=self._reactor,
            )
        except ValueError as problem:  # the host is no name, by the rules of IDNA
            raise FetchError(BAD_URL, f"the address cannot be used: {problem}") from None
        return sent

    def _explain(
        self, problem: Exception, server: str, attempt: Attempt, max_size: int
    ) -> Exception:
        if attempt.flooded:
            text = f"{server} sends more than an answer of {max_size} bytes can need"
            return FetchError(TOO_LARGE, text)
        return explain(problem, server, attempt.verify_error)

    def _tls_for(self, place: SplitResult) -> ClientTLS | None:
        if place.scheme != "https":
            return None
        if self._tls is None:
            self._tls = build_client_tls(ClientTLSOptions())
        if not self._tls.enabled:
            raise FetchError(
                BAD_URL,
                f"the address of {_server(place)} is an https one, but TLS is refused by "
                f"{self._tls.path}.enable",
            )
        return self._tls


class _AsItIs(URL):
    """An address in ASCII, sent as it is written.

    Taking it apart, and its host through IDNA, costs more than all the rest of a request here,
    and IDNA takes an IPv6 address for a bad name.
    """

    def __init__(self, text: str) -> None:
        self._written = text

    @override
    def to_uri(self) -> _AsItIs:
        return self

    @override
    def to_text(self, with_password: bool = False) -> str:
        return self._written


@attrs.define
class _Doing:
    """What an exchange is at, for the words of a time-out."""

    body_timeout: float | None
    text: str = "the request"
    turn: float | None = None
    """When it came."""

    def limit(self, reading: Deferred[bytes | None], clock: Any) -> Deferred[bytes | None]:
        """Give the reading of a body its own end."""
        if self.body_timeout is None:
            return reading

        def late(result: bytes | Failure | None, seconds: float) -> bytes | None:
            if not isinstance(result, Failure):
                return result
            raise FetchError(TIMEOUT, f"{self.text} took longer than {seconds:g} s")

        return reading.addTimeout(self.body_timeout, clock, late)


def _check_headers(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse what would let a value become another header or a request of its own."""
    for name, value in headers:
        if not name or not _TOKEN.issuperset(name):
            raise FetchError(BAD_URL, "a header name has characters that it must not have")
        if any(mark in value for mark in "\r\n\0"):
            raise FetchError(BAD_URL, f"the header {name} has a line end or NUL in its value")


def _check_url(url: str) -> SplitResult:
    """The parts of an address that can be fetched. Raises FetchError."""
    if len(url) > _LONGEST_URL or any(c <= " " or c == "\x7f" for c in url):
        raise FetchError(BAD_URL, "the address has spaces or control characters, or no end")
    try:
        place = urlsplit(url)
        port = place.port
    except ValueError as problem:
        raise FetchError(BAD_URL, f"the address cannot be read: {problem}") from None
    if place.scheme not in ("http", "https"):
        raise FetchError(BAD_URL, f"the address is no http or https one: {url[:200]}")
    if not place.hostname or port == 0:
        raise FetchError(BAD_URL, f"the address names no server: {url[:200]}")
    if place.username is not None or place.password is not None:
        raise FetchError(BAD_URL, "the address holds a user name; use a header instead")
    return place


def _check_redirect(former: SplitResult, target: str) -> SplitResult:
    try:
        place = _check_url(target)
    except FetchError as problem:
        text = f"{_server(former)} sends us on to where we do not go: {problem.text}"
        raise FetchError(REDIRECTS, text) from None
    if former.scheme == "https" and place.scheme == "http":
        raise FetchError(REDIRECTS, f"{_server(former)} sends us on without TLS: {target[:200]}")
    return place


def _target(answer: HTTPAnswer) -> str | None:
    """Where a redirect leads; None when the answer is none."""
    if answer.status not in _REDIRECTS:
        return None
    try:
        places = answer.headers.getRawHeaders("Location", [])
        return urljoin(answer.url, places[0]).partition("#")[0] if places else None
    except ValueError as problem:  # no UTF-8, or brackets that are no IPv6 address
        raise FetchError(REDIRECTS, f"a redirect leads nowhere: {problem}") from None


def _port(place: SplitResult) -> int:
    return place.port or (443 if place.scheme == "https" else 80)


def _origin(place: SplitResult) -> tuple[str, str, int]:
    return place.scheme, (place.hostname or "").lower(), _port(place)


def _server(place: SplitResult) -> str:
    host = place.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{_port(place)}"

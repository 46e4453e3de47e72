"""Asks an HTTP server whether a client may come in, within bounds of time, size and number."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mqttd.auth.circuit_breaker import CircuitBreaker
from mqttd.auth.http_answer import Allowed, BadAnswer, Denied, read_answer
from mqttd.auth.http_cache import AnswerCache
from mqttd.auth.http_complaints import Complaints
from mqttd.auth.http_plan import Plan, Question, prepare
from mqttd.auth.http_template import CannotRender, UrlTemplate
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.authentication_http import HttpAuthenticatorOptions
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.outgoing.errors import BAD_ANSWER, TIMEOUT, TLS, UNREACHABLE
from mqttd.outgoing.http import FetchError, HTTPAnswer, HTTPClient
from mqttd.outgoing.tls import ClientTLS, build_client_tls
from mqttd.packets.reason_codes import ReasonCode

_MOST_WAITING: Final = 10_000
"""Questions that run or wait for their turn, of all servers together."""
_GATEWAY: Final = frozenset({502, 503, 504})
"""Statuses that say the server itself is out of order, whatever the client sent."""


_OUTAGES: Final = frozenset({UNREACHABLE, TIMEOUT, TLS, BAD_ANSWER})
"""Causes that no client can bring about by what it sends."""


class BackendFailed(Exception):  # noqa: N818 - names what happened
    """No server gave a usable answer. ``safe_text`` says why and holds no secret."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.safe_text = text


@attrs.frozen(eq=False)
class _Server:
    """One address with its own connections and its own breaker."""

    url: UrlTemplate
    client: HTTPClient
    breaker: CircuitBreaker

    @property
    def name(self) -> str:
        return self.url.server


@implementer(IAuthenticator)
class HTTPAuthenticator:
    """Lets clients in or refuses them as an HTTP server says.

    The servers are asked in order until one gives a usable answer. A failure is no answer: when
    all fail, :exc:`BackendFailed` is raised and nothing is remembered.
    """

    _log = Logger(namespace="mqttd.auth.http_authenticator")

    def __init__(
        self,
        options: HttpAuthenticatorOptions,
        plan: Plan,
        tls: ClientTLS | None,
        reactor: Any,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._plan = plan
        self._reactor = reactor
        self._now = now
        self._complaints = Complaints(reactor)
        self._waiting = 0
        breaker = options.circuit_breaker
        self._servers = [
            _Server(
                url,
                HTTPClient(
                    reactor,
                    tls,
                    connect_timeout=options.connect_timeout,
                    pool_size=options.pool_size,
                ),
                CircuitBreaker(breaker.failures, breaker.reset),
            )
            for url in plan.urls
        ]
        cache = options.cache
        self._cache = (
            AnswerCache(cache.ttl, cache.max_size) if cache is not None and cache.enable else None
        )

    async def authenticate(self, request: ConnectRequest) -> Identity | None:
        """See IAuthenticator. Raises Refused, and BackendFailed when no server can say."""
        try:
            questions = self._plan.questions(request)
        except CannotRender as problem:
            raise Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, str(problem)) from None
        answer: Allowed | Denied | None = None
        name = b""
        if self._cache is not None:
            name = self._cache.name(value for question in questions for value in question.values())
            answer = self._cache.get(name, self._now())
        if answer is None:
            answer = await self._ask(questions)
            if self._cache is not None and answer is not None:
                self._cache.put(name, answer, self._now())
        match answer:
            case None:
                return None
            case Denied():
                raise Refused(ReasonCode.NOT_AUTHORIZED, "the HTTP server refuses the client")
            case Allowed():
                return self._identity(answer, request)

    def start(self) -> None:
        """See IAuthenticator."""

    def stop(self) -> Deferred[None]:
        """Close the connections that wait, and forget the answers."""
        if self._cache is not None:
            self._cache.clear()
        done: Deferred[None] = Deferred.fromCoroutine(self._close())
        return done

    async def _close(self) -> None:
        for server in self._servers:
            await server.client.close()

    async def _ask(self, questions: list[Question]) -> Allowed | Denied | None:
        if self._waiting >= _MOST_WAITING:
            text = f"{self._waiting} questions wait already"
            self._complaints.add("", "too-many", text)
            raise BackendFailed(text)
        self._waiting += 1
        try:
            problem = ""
            for server, question in zip(self._servers, questions, strict=True):
                if not server.breaker.may_ask(self._reactor.seconds()):
                    problem = problem or f"{server.name} is left alone after failures"
                    continue
                try:
                    return await self._ask_one(server, question)
                except (FetchError, BadAnswer) as failure:
                    cause = failure.cause
                    text = failure.text
                    if isinstance(failure, BadAnswer):
                        text = f"{server.name} {text}"
                    elif failure.waited:
                        cause = "busy"
                    self._complaints.add(server.name, cause, text)
                    problem = text
            raise BackendFailed(problem)
        finally:
            self._waiting -= 1

    async def _ask_one(self, server: _Server, question: Question) -> Allowed | Denied | None:
        known = False
        try:
            try:
                answer = await self._fetch(server, question)
            except FetchError as failure:
                # Waiting in our own queue says nothing of the server.
                if failure.cause in _OUTAGES and not failure.waited:
                    known = True
                    self._failed(server)
                raise _plain(failure) from None
            known = True
            if answer.status in _GATEWAY:
                self._failed(server)
            elif server.breaker.succeeded():
                self._complaints.answered(server.name)
        finally:
            if not known:  # given up: the client left, or we stop
                server.breaker.undecided(self._reactor.seconds())
        types = answer.headers.getRawHeaders("Content-Type", [])
        if len(set(types)) > 1:
            raise BadAnswer("bad-content", "answers with several content types")
        kind = types[0] if types else None
        return read_answer(answer.status, kind, answer.body, self._now())

    async def _fetch(self, server: _Server, question: Question) -> HTTPAnswer:
        options = self._options
        return await server.client.fetch(
            question.url,
            method=self._plan.method,
            body=question.body,
            headers=question.headers,
            timeout=options.request_timeout,
            body_timeout=options.body_timeout,
            max_size=options.max_body,
            max_redirects=0,
        )

    def _failed(self, server: _Server) -> None:
        if server.breaker.failed(self._reactor.seconds()):
            self._complaints.paused(server.name, self._options.circuit_breaker.reset)

    def _identity(self, answer: Allowed, request: ConnectRequest) -> Identity:
        return Identity(
            username=request.username,
            client_id=answer.client_id,
            is_superuser=answer.is_superuser,
            attributes=answer.attributes,
            expires_at=answer.expires_at,
            rules=answer.rules,
        )


def _plain(failure: FetchError) -> FetchError:
    """The failure in words without any address: one may hold a password."""
    match failure.cause:
        case "redirects":
            return FetchError(failure.cause, "the server sends us elsewhere, which is not done")
        case "bad-url":
            return FetchError(failure.cause, "a rendered address cannot be used")
        case _:
            return failure


def make(
    options: HttpAuthenticatorOptions, context: PluginContext, path: str = "authentication"
) -> HTTPAuthenticator:
    """The plugin's target. Raises ConfigurationErrors."""
    plan, findings = prepare(options, path)
    if plan is None:
        raise ConfigurationErrors(findings)
    tls = None
    if any(url.secure for url in plan.urls):
        tls = build_client_tls(options.ssl or ClientTLSOptions(), context.base_dir, f"{path}.ssl")
    return HTTPAuthenticator(options, plan, tls, context.reactor)

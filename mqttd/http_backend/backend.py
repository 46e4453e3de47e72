"""Asks the HTTP servers of one purpose in order, within bounds of time, size and number."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.schema.http_backend import HttpBackendOptions
from mqttd.http_backend.answer import BAD_CONTENT, BadAnswer
from mqttd.http_backend.cache import AnswerCache
from mqttd.http_backend.circuit_breaker import CircuitBreaker
from mqttd.http_backend.complaints import Complaints
from mqttd.http_backend.plan import Plan, Question, prepare
from mqttd.http_backend.template import UrlTemplate
from mqttd.interfaces import PluginContext
from mqttd.outgoing.errors import BAD_ANSWER, TIMEOUT, TLS, UNREACHABLE
from mqttd.outgoing.http import FetchError, HTTPAnswer, HTTPClient
from mqttd.outgoing.tls import ClientTLS, build_client_tls
from mqttd.placeholders import Placeholders

_MOST_WAITING: Final = 10_000
"""Questions that run or wait for their turn, of all servers together."""
_GATEWAY: Final = frozenset({502, 503, 504})
"""Statuses that say the server itself is out of order, whatever the client sent."""
_OUTAGES: Final = frozenset({UNREACHABLE, TIMEOUT, TLS, BAD_ANSWER})
"""Causes that no client can bring about by what it sends."""

Answer = TypeVar("Answer")
Reader = Callable[[int, str | None, bytes, float], Answer | None]
"""Makes an answer of status, content type, body and the time in epoch seconds; None: the server
leaves it to others. Raises BadAnswer."""


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


class HTTPBackend(Generic[Answer]):
    """The servers that are asked for one purpose, ``subject`` in the log.

    They are asked in order until one gives a usable answer. A failure is no answer: when all
    fail, :exc:`BackendFailed` is raised and nothing is remembered. ``ends`` says until when an
    answer holds, in epoch seconds.
    """

    def __init__(
        self,
        subject: str,
        options: HttpBackendOptions,
        plan: Plan,
        tls: ClientTLS | None,
        reactor: Any,
        read: Reader[Answer],
        *,
        ends: Callable[[Answer], float | None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._plan = plan
        self._reactor = reactor
        self._read = read
        self._ends = ends
        self._now = now
        self._complaints = Complaints(subject, reactor)
        self._waiting = 0
        self._forgotten = 0
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
        self._cache: AnswerCache[Answer] | None = None
        if cache is not None and cache.enable:
            self._cache = AnswerCache(cache.ttl, cache.max_size)

    async def ask(self, request: Any) -> Answer | None:
        """The answer about a request, a remembered one or a new one.

        Raises CannotRender when the request does not fit the templates, BackendFailed when no
        server gives a usable answer, and what the reader raises beside BadAnswer.
        """
        questions = self._plan.questions(request)
        if self._cache is None:
            return await self._ask(questions)
        name = self._cache.name(value for question in questions for value in question.values())
        answer = self._cache.get(name, self._now())
        if answer is None:
            asked = self._forgotten
            answer = await self._ask(questions)
            # What was on its way when the others were forgotten is as old as they are.
            if answer is not None and asked == self._forgotten:
                self._cache.put(name, answer, self._now(), self._ends(answer))
        return answer

    def forget(self) -> None:
        """Remember no answer any more."""
        self._forgotten += 1
        if self._cache is not None:
            self._cache.clear()

    def stop(self) -> Deferred[None]:
        """Close the connections that wait, and forget the answers."""
        self.forget()
        done: Deferred[None] = Deferred.fromCoroutine(self._close())
        return done

    async def _close(self) -> None:
        for server in self._servers:
            await server.client.close()

    async def _ask(self, questions: list[Question]) -> Answer | None:
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

    async def _ask_one(self, server: _Server, question: Question) -> Answer | None:
        known = False
        try:
            try:
                answer = await self._fetch(server, question)
            except FetchError as failure:
                # Waiting in our own queue says nothing of the server.
                if failure.cause in _OUTAGES and not failure.waited:
                    known = True
                    self._failed(server)
                raise _plain(failure, server.name) from None
            known = True
            if answer.status in _GATEWAY:
                self._failed(server)
            elif server.breaker.succeeded():
                self._complaints.answered(server.name)
        finally:
            if not known:  # given up: the client left, or we stop
                server.breaker.undecided(self._reactor.seconds())
        # as bytes: what a server sends need be no UTF-8
        types = answer.headers.getRawHeaders(b"Content-Type", [])
        if len(set(types)) > 1:
            raise BadAnswer(BAD_CONTENT, "answers with several content types")
        kind = types[0].decode("latin-1") if types else None
        return self._read(answer.status, kind, answer.body, self._now())

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


def _plain(failure: FetchError, server: str) -> FetchError:
    """The failure in words without any address: one may hold a password."""
    match failure.cause:
        case "redirects":
            return FetchError(failure.cause, f"{server} sends us elsewhere, which is not done")
        case "bad-url":
            return FetchError(failure.cause, f"a rendered address of {server} cannot be used")
        case _ if server not in failure.text:
            return FetchError(failure.cause, f"{server}: {failure.text}", waited=failure.waited)
        case _:
            return failure


def backend(
    subject: str,
    options: HttpBackendOptions,
    placeholders: Placeholders,
    context: PluginContext,
    path: str,
    read: Reader[Answer],
    ends: Callable[[Answer], float | None] = lambda _: None,
) -> HTTPBackend[Answer]:
    """The servers of a section of the configuration. Raises ConfigurationErrors."""
    plan, findings = prepare(options, path, placeholders)
    if plan is None:
        raise ConfigurationErrors(findings)
    tls = None
    if any(url.secure for url in plan.urls):
        tls = build_client_tls(options.ssl or ClientTLSOptions(), context.base_dir, f"{path}.ssl")
    return HTTPBackend(subject, options, plan, tls, context.reactor, read, ends=ends)

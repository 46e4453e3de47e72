"""A broker in memory whose clients are asked about, and sources of rules under the test's hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher

from mqttd.authz.authorization import ClientAuthorization, Rules
from mqttd.authz.chain import Link, SourceChain
from mqttd.broker.connection import Connection
from mqttd.identity import AccessRequest, ConnectRequest, Identity, Refused
from mqttd.net.events import LoggedEvents
from mqttd.testing import MemoryBroker

Answer = bool | None | Exception


class Source:
    """Answers by (action, topic), or else by ``otherwise``; notes what it was asked."""

    def __init__(self, answers: dict[tuple[str, str], Answer] | None = None) -> None:
        self.answers = answers or {}
        self.otherwise: Answer = None
        self.asked: list[AccessRequest] = []

    def authorize(self, request: AccessRequest) -> Any:
        self.asked.append(request)
        return self.said(request)

    def said(self, request: AccessRequest) -> Any:
        answer = self.answers.get((request.action, request.topic), self.otherwise)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def topics(self) -> list[str]:
        """What it was asked about, in order; forgotten then."""
        asked, self.asked = self.asked, []
        return [f"{each.action} {each.topic}" for each in asked]


class LaterSource(Source):
    """Answers when it is told to; ``waiting`` are those who wait, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Deferred[Answer]] = []

    def authorize(self, request: AccessRequest) -> Any:
        self.asked.append(request)
        waiting: Deferred[Answer] = Deferred()
        self.waiting.append(waiting)
        return waiting


class Names:
    """Admits everybody: ``boss`` is a superuser, others get what ``identities`` has for them."""

    def __init__(self) -> None:
        self.identities: dict[str, Identity] = {"boss": Identity(is_superuser=True)}

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        done(self.identities.get(request.client_id, Identity(username=request.username)))


class World:
    """``rules`` puts sources to use; ``lines`` are the log's."""

    def __init__(self, lines: Callable[[str], list[str]], **options: Any) -> None:
        self.lines = lines
        self.names = Names()
        self.broker = MemoryBroker(admission=self.names, **options)
        self.broker.core.events = LoggedEvents()
        self.clock = self.broker.clock
        self.authorization = ClientAuthorization(self.clock)
        self.authorization.attach(self.broker.core)
        self.connected = self.broker.connected

    def rules(self, *sources: Any, denies: bool = True, **more: Any) -> World:
        links = [Link(f"source {number}", each) for number, each in enumerate(sources)]
        chain = SourceChain(links, self.clock, denies=denies)
        self.authorization.use(attrs.evolve(Rules(chain), **more))
        return self

    def answer(self, source: LaterSource, answer: Answer = True) -> None:
        """Give the answer that is waited for longest, and end the turn."""
        waiting = source.waiting.pop(0)
        if isinstance(answer, Exception):
            waiting.errback(answer)
        else:
            waiting.callback(answer)
        self.broker.turn()

    def settle(self) -> None:
        """Let the looks at live sessions go on until they wait."""
        for _ in range(10_000):
            if not self.clock.getDelayedCalls():
                break
            now = self.clock.seconds()
            if all(call.getTime() > now for call in self.clock.getDelayedCalls()):
                break
            self.clock.advance(0)
        self.broker.turn()

    def step(self) -> None:
        """One turn of the reactor: what a delayed call asks for comes in the next, not in this."""
        call = self.clock.calls.pop(0)
        call.called = 1
        call.func()

    def filters(self, client: Any) -> set[str]:
        """What a client is subscribed to."""
        connection: Connection = client.connection
        assert connection.session is not None
        return set(connection.session.state.subscriptions)


@pytest.fixture
def lines() -> Iterator[Callable[[str], list[str]]]:
    """Lines of the log of one event, since they were asked for last."""
    events: list[Any] = []

    def of(name: str) -> list[str]:
        found = [formatEvent(each) for each in events if each.get("event") == name]
        events[:] = [each for each in events if each.get("event") != name]
        return found

    observer = cast("ILogObserver", events.append)
    globalLogPublisher.addObserver(observer)
    yield of
    globalLogPublisher.removeObserver(observer)


@pytest.fixture
def world(lines: Callable[[str], list[str]]) -> World:
    return World(lines)


@pytest.fixture
def make_world(lines: Callable[[str], list[str]]) -> Callable[..., World]:
    def make(**options: Any) -> World:
        return World(lines, **options)

    return make


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def later() -> LaterSource:
    return LaterSource()


@pytest.fixture
def saying() -> Callable[[Answer], Source]:
    """A source that always says the same."""

    def make(answer: Answer) -> Source:
        source = Source()
        source.otherwise = answer
        return source

    return make


@pytest.fixture
def make_later() -> Callable[[], LaterSource]:
    """Sources that answer when they are told to."""
    return LaterSource

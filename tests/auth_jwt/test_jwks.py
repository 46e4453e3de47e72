"""Keys out of an address, with real servers that give them well or badly, and their schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.task import Clock
from twisted.web.http_headers import Headers

from mqttd.auth.jwks import KeysUnavailable, RemoteKeys, Schedule
from mqttd.auth.jwt_authenticator import JWTAuthenticator, _remote_keys
from mqttd.auth.jwt_plan import prepare
from mqttd.identity import Refused
from mqttd.interfaces import PluginContext
from mqttd.outgoing.http import FetchError, HTTPAnswer

NOW = 1_700_000_000.0


@pytest.fixture
def events(lines: list[Any]) -> Callable[..., list[Any]]:
    """The lines with a name that were logged; those of one name, and one field of them."""

    def named(name: str = "", field: str = "event") -> list[Any]:
        return [each[field] for each in lines if name in each.get("event", ())]

    return named


@pytest.fixture
def remote(
    options_of: Callable[..., Any], live_reactor: Any, settle: Callable[..., Any], tmp_path: Path
) -> Iterator[Callable[..., JWTAuthenticator]]:
    """An authenticator that fetches its keys, at a moment that stands still."""
    made: list[JWTAuthenticator] = []

    def build(endpoint: str, **section: Any) -> JWTAuthenticator:
        options = options_of(endpoint=endpoint, **section)
        plan, findings = prepare(options, "authentication", tmp_path)
        assert plan is not None, findings
        context = PluginContext(live_reactor, tmp_path, tmp_path)
        keys = _remote_keys(options, plan, context, "authentication")
        made.append(JWTAuthenticator(options, plan, keys, tmp_path, now=lambda: NOW))
        made[-1].start()
        return made[-1]

    yield build
    for each in made:
        stopped = each.stop()
        assert stopped is not None
        settle(stopped)


@pytest.fixture
def ask(request_with: Callable[..., Any], settle: Callable[..., Any]) -> Callable[..., Any]:
    """The identity a token gets, or the reason of a refusal."""

    def answer(made: JWTAuthenticator, token: bytes) -> Any:
        try:
            found: Any = made.authenticate(request_with(token))
            return settle(found) if hasattr(found, "__await__") else found
        except Refused as refused:
            return refused.reason if refused.reason_code == 0x86 else refused.reason_code
        except KeysUnavailable as problem:
            return problem

    return answer


def test_keys_come_over_tls(
    key_server: Callable[..., Any],
    remote: Callable[..., Any],
    ask: Callable[..., Any],
    keys: Any,
    pki: Any,
    make_cert_pem: Callable[..., str],
) -> None:
    server = key_server(pki.ec)
    server.root.answer = (200, keys.jwks(r="rsa", e="p256", o="ed25519"))
    trust = {"cacertfile": make_cert_pem(pki.root.cert)}
    made = remote(server.url("https"), ssl=trust, headers={"X-Key": "k"})
    for key_id, kind, algorithm in (
        ("r", "rsa", "RS256"),
        ("r", "rsa", "PS512"),
        ("e", "p256", "ES256"),
        ("o", "ed25519", "EdDSA"),
    ):
        assert ask(made, keys.token(kind, algorithm, key_id)).username == "alice"
    assert ask(made, keys.token("rsa", "RS256", "e")) == "the token's alg does not fit its key"
    assert ask(made, keys.token("rsa2", "RS256", "r")) == "the token's signature is wrong"
    assert ask(made, keys.token()) == "HS256 is not one of the accepted algorithms"
    assert server.root.asked == 1
    assert server.root.headers[0].getRawHeaders("x-key") == ["k"]


def test_a_server_that_is_not_trusted_gives_no_keys(
    key_server: Callable[..., Any],
    remote: Callable[..., Any],
    ask: Callable[..., Any],
    keys: Any,
    pki: Any,
    make_cert_pem: Callable[..., str],
    events: Callable[..., Any],
) -> None:
    server = key_server(pki.ec)
    server.root.answer = (200, keys.jwks(r="rsa"))
    made = remote(server.url("https"), ssl={"cacertfile": make_cert_pem(pki.other_root.cert)})
    assert isinstance(ask(made, keys.token("rsa", "RS256", "r")), KeysUnavailable)
    assert server.root.asked == 0
    assert events("jwks_failed", "cause") == ["tls"]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ((404, b""), "bad-status"),
        ((500, b'{"keys": []}'), "bad-status"),
        ((204, b""), "bad-status"),
        ((302, b""), "redirects"),
        ((200, b"garbage"), "bad-content"),
        ((200, b"[]"), "bad-content"),
        ((200, b'{"keys": 7}'), "bad-content"),
        ((200, b" " * (256 * 1024 + 1)), "too-large"),
        ("silent", "timeout"),
        ("head", "timeout"),
        ("cut", "unreachable"),
    ],
    ids=range(11),
)
def test_servers_that_give_no_keys(
    answer: Any,
    cause: str,
    key_server: Callable[..., Any],
    remote: Callable[..., Any],
    ask: Callable[..., Any],
    keys: Any,
    events: Callable[..., Any],
) -> None:
    server = key_server()
    server.root.answer = answer
    made = remote(server.url(), request_timeout="300ms")
    problem = ask(made, keys.token("rsa", "RS256", "r"))
    assert isinstance(problem, KeysUnavailable)
    assert problem.safe_text
    assert events("jwks_failed", "cause") == [cause]
    # those that come after need not wait
    assert isinstance(ask(made, keys.token("rsa", "RS256", "r")), KeysUnavailable)


def test_nobody_listens(
    key_server: Callable[..., Any],
    remote: Callable[..., Any],
    ask: Callable[..., Any],
    settle: Callable[..., Any],
    keys: Any,
) -> None:
    server = key_server()
    settle(server.listening.stopListening())
    made = remote(server.url())
    assert isinstance(ask(made, keys.token("rsa", "RS256", "r")), KeysUnavailable)


def test_clients_wait_for_the_first_fetch_together(
    key_server: Callable[..., Any],
    remote: Callable[..., Any],
    request_with: Any,
    settle: Callable[..., Any],
    live_reactor: Any,
    keys: Any,
) -> None:
    server = key_server()
    server.root.answer = "hold"
    made = remote(server.url())
    waiting = [
        ensureDeferred(made.authenticate(request_with(keys.token("rsa", "RS256", "r"))))
        for _ in range(20)
    ]
    left = waiting.pop()
    left.addErrback(lambda _: None)
    left.cancel()
    while not server.root.held:
        live_reactor.iterate(0.05)
    server.root.let_go(keys.jwks(r="rsa"))
    assert [settle(each).username for each in waiting] == ["alice"] * 19
    assert server.root.asked == 1


def test_a_set_without_keys_refuses_everybody(
    key_server: Callable[..., Any],
    remote: Callable[..., Any],
    ask: Callable[..., Any],
    keys: Any,
    events: Callable[..., Any],
) -> None:
    server = key_server()
    server.root.answer = (200, keys.jwks(r="rsa1024"))
    made = remote(server.url())
    assert ask(made, keys.token("p256", "ES256", "r")) == "the key of the token is not known"
    assert events("jwks_empty")
    assert events("jwks_left_out")


class Answers:
    """A client whose answers are at hand, or come when let go."""

    def __init__(self, clock: Clock) -> None:
        self.asked: list[float] = []
        self.answer: Any = None
        self.held: Deferred[None] | None = None
        self._clock = clock

    def close(self) -> Deferred[None]:
        return succeed(None)

    async def fetch(self, url: str, **options: Any) -> HTTPAnswer:
        self.asked.append(self._clock.seconds())
        answer = self.answer
        if self.held is not None:
            await self.held
        if isinstance(answer, Exception):
            raise answer
        return HTTPAnswer(200, Headers(), answer, url)


class Scheduled:
    def __init__(self, **schedule: float) -> None:
        self.clock = Clock()
        self.client = Answers(self.clock)
        client: Any = self.client
        self.remote = RemoteKeys(
            "https://id.test/",
            client,
            self.clock,
            Schedule(**schedule),
            jitter=lambda low, high: high,
        )

    def known(self) -> list[str | None] | None:
        try:
            return [key.key_id for key in self.remote.keys.keys]
        except KeysUnavailable:
            return None


DOWN = FetchError("unreachable", "nobody listens")


def test_keys_are_fetched_again_and_again(keys: Any) -> None:
    it = Scheduled(interval=300.0)
    it.client.answer = keys.jwks(a="p256")
    it.remote.start()
    it.remote.start()
    assert it.known() == ["a"]
    it.client.answer = keys.jwks(b="p256")  # rotated
    it.clock.advance(299)
    assert it.known() == ["a"]
    it.clock.advance(1)
    assert it.known() == ["b"]
    it.clock.pump([300.0] * 3)
    assert it.client.asked == [0, 300, 600, 900, 1200]


def test_after_failures_the_pauses_grow(events: Callable[..., Any], keys: Any) -> None:
    it = Scheduled(interval=300.0)
    it.client.answer = DOWN
    it.remote.start()
    it.clock.pump([0.5] * 600)
    assert it.client.asked == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    assert len(events("jwks_failed")) <= 6
    it.client.answer = keys.jwks(a="p256")
    it.clock.pump([0.5] * 10)
    assert it.known() == ["a"]
    assert it.clock.getDelayedCalls()[0].getTime() == 303 + 300


def test_jitter_keeps_brokers_apart() -> None:
    clock = Clock()
    client: Any = Answers(clock)
    client.answer = DOWN
    asked = []
    remote = RemoteKeys(
        "https://id.test/",
        client,
        clock,
        Schedule(),
        jitter=lambda low, high: asked.append((low, high)) or low,  # type: ignore[func-returns-value]
    )
    remote.start()
    client.answer = b'{"keys": []}'
    clock.advance(0.5)
    assert asked == [(0.5, 1.0), (0.9, 1.0)]
    assert clock.getDelayedCalls()[0].getTime() == 0.5 + 270


def test_an_outage_leaves_the_last_keys_until_they_are_too_old(
    keys: Any, events: Callable[..., Any]
) -> None:
    it = Scheduled(interval=60.0, max_age=600.0)
    it.client.answer = keys.jwks(a="p256")
    it.remote.start()
    it.client.answer = DOWN
    it.clock.pump([1.0] * 600)
    assert it.known() == ["a"]
    assert "stay in use" in events("jwks_failed", "then")[0]
    it.clock.advance(1)
    assert it.known() is None
    it.client.answer = keys.jwks(b="p256")
    it.clock.pump([1.0] * 60)
    assert it.known() == ["b"]
    assert events()[-1] == "jwks_recovered"


def test_garbage_changes_nothing_but_an_empty_set_does(keys: Any) -> None:
    it = Scheduled(interval=60.0)
    it.client.answer = keys.jwks(a="p256")
    it.remote.start()
    it.client.answer = b"<html>"
    it.clock.pump([1.0] * 61)
    assert it.known() == ["a"]
    it.client.answer = b'{"keys": []}'
    it.clock.pump([1.0] * 60)
    assert it.known() == []


def test_unknown_keys_bring_about_a_fetch_now_and_then(keys: Any) -> None:
    it = Scheduled(interval=300.0)
    it.client.answer = keys.jwks(a="p256")
    it.remote.start()
    it.clock.advance(20)
    for _ in range(1000):
        it.remote.refreshed()
    assert it.client.asked == [0, 20]
    it.clock.advance(9.9)
    assert it.remote.refreshed() is None
    assert it.client.asked == [0, 20]
    it.clock.advance(0.1)
    assert it.remote.refreshed() is None  # the answer was at hand
    assert it.client.asked == [0, 20, 30]
    it.clock.advance(299)
    assert it.client.asked == [0, 20, 30]  # the interval begins anew
    it.clock.advance(1)
    assert it.client.asked == [0, 20, 30, 330]


def test_all_who_wait_wait_for_one_fetch(keys: Any) -> None:
    it = Scheduled()
    it.client.answer = keys.jwks(a="p256")
    it.remote.start()
    it.clock.advance(100)
    it.client.held = Deferred()
    fired: list[int] = []
    waiting = [it.remote.refreshed() for _ in range(100)]
    for number, each in enumerate(waiting):
        assert each is not None
        each.addCallbacks(lambda _, number=number: fired.append(number), lambda _: None)
    assert it.client.asked == [0, 100]
    given_up = waiting[3]
    assert given_up is not None
    given_up.cancel()
    it.client.held.callback(None)
    assert len(fired) == 99
    assert it.remote._waiting == set()


def test_not_everybody_may_wait(keys: Any) -> None:
    it = Scheduled()
    it.client.answer = keys.jwks(a="p256")
    it.client.held = Deferred()
    it.remote.start()
    waiting = [it.remote.refreshed() for _ in range(5_001)]
    assert waiting.pop() is None
    assert None not in waiting
    it.client.held.callback(None)
    assert all(each is not None and each.called for each in waiting)


def test_one_who_waited_may_give_up_another(keys: Any) -> None:
    it = Scheduled()
    it.client.answer = keys.jwks(a="p256")
    it.client.held = Deferred()
    it.remote.start()
    both = [it.remote.refreshed(), it.remote.refreshed()]
    ended: list[int] = []

    def first(_: object) -> None:
        for other in both:
            assert other is not None
            other.addErrback(lambda _: None)
            other.cancel()
        ended.append(1)

    for each in both:
        assert each is not None
        each.addCallbacks(first, lambda _: None)
    it.client.held.callback(None)
    assert ended == [1]


def test_stopped_it_fetches_no_more(keys: Any) -> None:
    it = Scheduled()
    it.client.answer = keys.jwks(a="p256")
    assert it.remote.refreshed() is None  # not begun yet
    it.remote.start()
    it.remote.stop()
    assert it.clock.getDelayedCalls() == []
    it.clock.advance(1000)
    assert it.remote.refreshed() is None
    assert it.client.asked == [0]


def test_stopped_within_a_fetch_it_lets_go_whoever_waits(keys: Any, lines: list[Any]) -> None:
    it = Scheduled()
    it.client.held = Deferred()
    it.remote.start()
    waiting = it.remote.refreshed()
    assert waiting is not None
    it.remote.stop()
    assert waiting.called
    assert it.known() is None
    assert it.clock.getDelayedCalls() == []
    assert not [each for each in lines if "log_failure" in each or "event" in each]


def test_what_nobody_thought_of_is_a_failure_as_well(keys: Any, lines: list[Any]) -> None:
    it = Scheduled(interval=60.0)
    it.client.answer = RuntimeError("?")
    it.remote.start()
    assert any("log_failure" in each for each in lines)
    it.client.answer = keys.jwks(a="p256")
    it.clock.advance(1)
    assert it.known() == ["a"]


def test_a_new_key_lets_in_at_once(
    key_server: Callable[..., Any],
    remote: Callable[..., Any],
    ask: Callable[..., Any],
    keys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = key_server()
    server.root.answer = (200, keys.jwks(a="p256"))
    made = remote(server.url())
    assert ask(made, keys.token("p256", "ES256", "a")).username == "alice"
    server.root.answer = (200, keys.jwks(b="p384"))
    for _ in range(5):
        assert ask(made, keys.token("p384", "ES384", "b")) == "the key of the token is not known"
    assert server.root.asked == 1  # too soon for another fetch
    monkeypatch.setattr("mqttd.auth.jwks._BETWEEN", 0.0)
    assert ask(made, keys.token("p384", "ES384", "b")).username == "alice"
    assert ask(made, keys.token("p256", "ES256", "a")) == "the key of the token is not known"

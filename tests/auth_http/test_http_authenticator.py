"""Real HTTP and HTTPS servers are asked: good ones, bad ones, and none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from twisted.logger import globalLogPublisher

from mqttd.http_backend.backend import BackendFailed
from mqttd.identity import AccessRule, Identity, Refused

Serve = Callable[..., Any]
Settle = Callable[..., Any]
Make = Callable[..., Any]
RequestOf = Callable[..., Any]
SECRET = "p1-never-shown"


@pytest.fixture(autouse=True)
def events() -> Iterator[list[dict[str, Any]]]:
    """What was logged; no secret may be among it."""
    seen: list[dict[str, Any]] = []

    def observe(event: Any) -> None:
        if "mqttd.http_backend" in str(event.get("log_namespace")):
            seen.append(event)

    publisher: Any = globalLogPublisher
    publisher.addObserver(observe)
    yield seen
    publisher.removeObserver(observe)
    assert SECRET not in repr(seen)


@pytest.fixture
def ask(settle: Settle, request_of: RequestOf) -> Callable[..., Any]:
    """Ask about a client: the identity, None, the code of the refusal, or the failure's text."""

    def run(authenticator: Any, **client: Any) -> Any:
        request = request_of(**({"password": SECRET.encode()} | client))
        try:
            answer = settle(authenticator.authenticate(request))
        except Refused as refused:
            text, answer = refused.reason, refused.reason_code
        except BackendFailed as failed:
            text = answer = str(failed)
        else:
            text = ""
        assert SECRET not in text
        return answer

    return run


def later(authenticator: Any, request: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(authenticator.authenticate(request))


def pause(clock: Any, seconds: float) -> Deferred[None]:
    """Fires when the pause of a breaker is over."""
    over: Deferred[None] = Deferred()
    clock.callLater(seconds, over.callback, None)
    return over


def test_a_client_is_let_in(serve: Serve, authenticator: Make, ask: Make) -> None:
    server = serve()
    server.root.answer = {
        "result": "allow",
        "is_superuser": True,
        "client_attrs": {"site": "north"},
        "expire_at": 4_000_000_000,
        "clientid_override": "c2",
    }
    assert ask(authenticator(server.url())) == Identity(
        username="u1",
        client_id="c2",
        is_superuser=True,
        attributes={"site": "north"},
        expires_at=4_000_000_000,
    )
    (request,) = server.root.asked
    assert request.method == b"POST"
    assert request.requestHeaders.getRawHeaders("Content-Type") == ["application/json"]
    assert json.loads(server.root.bodies[0]) == {
        "username": "u1",
        "password": SECRET,
        "clientid": "c1",
    }


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((204, None, b""), Identity(username="u1")),
        ({"result": "deny"}, 0x87),
        ({"result": "ignore"}, None),
        ({}, None),
        ({"result": "allow", "expire_at": 5}, 0x86),
        ((200, "application/x-www-form-urlencoded", b"result=allow"), Identity(username="u1")),
    ],
)
def test_answers(
    answer: object, expected: object, serve: Serve, authenticator: Make, ask: Make
) -> None:
    server = serve()
    server.root.answer = answer
    assert ask(authenticator(server.url())) == expected


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((401, "application/json", b'{"result": "allow"}'), "answers with status 401"),
        ((500, "application/json", b'{"result": "allow"}'), "answers with status 500"),
        ((302, None, b""), "sends us elsewhere, which is not done"),
        ((200, "text/html", b"<html>"), "content of the type text/html"),
        ((200, "application/json", b"\0\xff"), "something that is no JSON"),
        ((200, "application/json", b"x" * 70_000), "is larger than 65536 bytes"),
        ("cut", "closed the connection before its answer was complete"),
    ],
)
def test_failures(
    answer: object, text: str, serve: Serve, authenticator: Make, ask: Make, events: Any
) -> None:
    server = serve()
    server.root.answer = answer
    one = authenticator(server.url())
    assert text in ask(one)
    assert text in ask(one)
    assert len(server.root.asked) == 2
    (event,) = events  # one line for both
    assert event["log_level"].name == "warn"
    assert event["event"] == "http_backend_failed"


@pytest.mark.parametrize(
    ("answer", "limits", "text"),
    [
        ("silent", {"request_timeout": "150ms"}, "took longer than 0.15 s"),
        ("head", {"request_timeout": "150ms"}, "reading the answer"),
        ("head", {"body_timeout": "100ms"}, "took longer than 0.1 s"),
    ],
)
def test_slow_servers(
    answer: str, limits: dict[str, str], text: str, serve: Serve, authenticator: Make, ask: Make
) -> None:
    server = serve()
    server.root.answer = answer
    assert text in ask(authenticator(server.url(), **limits))


def test_a_server_that_is_down(
    serve: Serve, authenticator: Make, ask: Make, settle: Settle
) -> None:
    server = serve()
    settle(maybeDeferred(server.listening.stopListening))
    assert ask(authenticator(server.url())) == f"127.0.0.1:{server.port} refuses connections"


def test_a_server_that_is_back_is_asked_again(
    serve: Serve,
    authenticator: Make,
    ask: Make,
    settle: Settle,
    live_reactor: Any,
    events: list[dict[str, Any]],
) -> None:
    server = serve()
    settle(maybeDeferred(server.listening.stopListening))
    breaker = {"failures": 2, "reset": "150ms"}
    one = authenticator(server.url(), circuit_breaker=breaker)
    assert "refuses connections" in ask(one)
    assert "refuses connections" in ask(one)
    back = serve(port=server.port)
    assert "is left alone after failures" in ask(one)
    assert back.root.asked == []
    settle(pause(live_reactor, 0.2))
    assert ask(one) == Identity(username="u1")
    assert ask(one) == Identity(username="u1")
    assert [event["event"] for event in events] == [
        "http_backend_failed",
        "http_backend_paused",
        "http_backend_recovered",
    ]


def test_what_a_client_can_cause_opens_no_breaker(
    serve: Serve, authenticator: Make, ask: Make
) -> None:
    server = serve()
    one = authenticator(server.url(), circuit_breaker={"failures": 1})
    for status in (401, 404, 500):
        server.root.answer = (status, None, b"")
        assert "status" in ask(one)
    server.root.answer = {"result": "allow"}
    assert ask(one) == Identity(username="u1")


def test_a_server_out_of_order_is_left_alone(serve: Serve, authenticator: Make, ask: Make) -> None:
    server = serve()
    server.root.answer = (503, None, b"")
    one = authenticator(server.url(), circuit_breaker={"failures": 1})
    assert "status 503" in ask(one)
    assert "is left alone" in ask(one)
    assert len(server.root.asked) == 1


@pytest.mark.parametrize("answer", [(500, None, b""), "cut", (200, "text/plain", b"allow")])
def test_the_next_server_is_asked_when_one_fails(
    answer: object, serve: Serve, authenticator: Make, ask: Make
) -> None:
    first, second = serve(), serve()
    first.root.answer = answer
    second.root.answer = {"result": "deny"}
    one = authenticator([first.url(), second.url("/two")])
    assert ask(one) == 0x87
    first.root.answer = {"result": "allow"}
    assert ask(one) == Identity(username="u1")
    assert [request.path for request in second.root.asked] == [b"/two"]


def test_values_of_clients_in_every_place(serve: Serve, authenticator: Make, ask: Make) -> None:
    server = serve()
    one = authenticator(
        server.url("/u/${username}?c=${clientid}"), headers={"X-Host": "${peerhost}"}
    )
    assert ask(one, username="a/b?c%\u20ac", client_id="x&y= z") == Identity(
        username="a/b?c%\u20ac"
    )
    (request,) = server.root.asked
    assert request.uri == b"/u/a%2Fb%3Fc%25%E2%82%AC?c=x%26y%3D%20z"
    assert request.args == {b"c": [b"x&y= z"]}
    assert request.requestHeaders.getRawHeaders("X-Host") == ["192.0.2.7"]


@pytest.mark.parametrize("username", ["a\r\nX-Admin: 1", "a\0", " u"])
def test_who_would_write_headers_is_refused(
    username: str, serve: Serve, authenticator: Make, ask: Make
) -> None:
    server = serve()
    one = authenticator(server.url(), headers={"x-user": "${username}"})
    assert ask(one, username=username) == 0x86
    assert server.root.asked == []


def test_a_password_that_is_no_text_is_refused(
    serve: Serve, authenticator: Make, ask: Make
) -> None:
    assert ask(authenticator(serve().url()), password=b"\xff") == 0x86


def test_no_more_questions_at_a_time_than_the_pool_has(
    serve: Serve, authenticator: Make, settle: Settle, request_of: RequestOf
) -> None:
    server = serve()
    server.root.answer = "hold"
    one = authenticator(server.url(), pool_size=3)
    waiting = [later(one, request_of(client_id=str(number))) for number in range(10)]
    reached: Any = settle(_until(server.root, 3))
    assert reached == 3
    for _ in range(4):
        server.root.let_go()
        settle(_until(server.root, 1, gather := gatherResults(waiting)))
        if gather.called:
            break
    assert [identity.username for identity in settle(gatherResults(waiting))] == ["u1"] * 10
    assert server.root.most == 3


def _until(root: Any, running: int, other: Any = None) -> Deferred[int]:
    """Fires when so many questions run, or ``other`` is done."""
    from twisted.internet import reactor

    done: Deferred[int] = Deferred()
    live: Any = reactor

    def look() -> None:
        if root.running >= running or (other is not None and other.called):
            done.callback(root.running)
        else:
            live.callLater(0.005, look)

    look()
    return done


def test_waiting_for_a_turn_opens_no_breaker(
    serve: Serve, authenticator: Make, settle: Settle, request_of: RequestOf
) -> None:
    server = serve()
    server.root.answer = "hold"
    one = authenticator(
        server.url(), pool_size=1, request_timeout="200ms", circuit_breaker={"failures": 3}
    )
    waiting = [later(one, request_of()) for _ in range(8)]
    for each in waiting:
        with pytest.raises(BackendFailed):
            settle(each)
    assert server.root.most == 1
    server.root.answer = {"result": "allow"}
    assert settle(later(one, request_of())) == Identity(username="u1")


def test_a_client_that_leaves_does_not_spoil_the_try(
    serve: Serve,
    authenticator: Make,
    settle: Settle,
    request_of: RequestOf,
    ask: Make,
    live_reactor: Any,
) -> None:
    server = serve()
    server.root.answer = (503, None, b"")
    breaker = {"failures": 1, "reset": "20ms"}
    one = authenticator(server.url(), circuit_breaker=breaker)
    assert "503" in ask(one)
    settle(pause(live_reactor, 0.03))
    server.root.answer = "hold"
    leaving = later(one, request_of())
    settle(_until(server.root, 1))
    leaving.addErrback(lambda failure: failure.trap(CancelledError))
    leaving.cancel()
    settle(leaving)
    server.root.answer = {"result": "allow"}
    assert ask(one) == Identity(username="u1")


def test_answers_are_remembered_and_failures_are_not(
    serve: Serve, authenticator: Make, ask: Make
) -> None:
    server = serve()
    one = authenticator(server.url(), cache={"ttl": "1m", "max_size": 10})
    server.root.answer = (500, None, b"")
    assert "500" in ask(one)
    server.root.answer = {"result": "ignore"}
    assert ask(one) is None
    server.root.answer = {"result": "allow", "client_attrs": {"a": "b"}}
    identity = ask(one)
    server.root.answer = {"result": "deny"}
    assert ask(one) == identity
    assert ask(one, password=b"wrong") == 0x87
    assert ask(one, client_id="c3") == 0x87
    server.root.answer = {"result": "allow"}
    assert ask(one, password=b"wrong") == 0x87
    assert len(server.root.asked) == 5


def test_a_refresh_forgets_answers_even_one_on_its_way(
    serve: Serve,
    authenticator: Make,
    ask: Make,
    settle: Settle,
    request_of: Any,
    live_reactor: Any,
) -> None:
    server = serve()
    one = authenticator(server.url(), cache={"ttl": "1m"})
    server.root.answer = "hold"
    waiting = later(one, request_of(password=SECRET.encode()))
    while not server.root.held:
        live_reactor.iterate(0.01)
    one.refresh()
    server.root.let_go()
    assert settle(waiting) == Identity(username="u1")
    server.root.answer = {"result": "deny"}
    assert ask(one) == 0x87
    server.root.answer = {"result": "allow"}
    assert ask(one) == 0x87
    one.refresh()
    assert ask(one) == Identity(username="u1")


def test_without_a_cache_each_client_is_asked_for(
    serve: Serve, authenticator: Make, ask: Make
) -> None:
    server = serve()
    one = authenticator(server.url())
    ask(one)
    ask(one)
    assert len(server.root.asked) == 2


def test_rules_come_with_the_identity(serve: Serve, authenticator: Make, ask: Make) -> None:
    server = serve()
    rule = {"permission": "allow", "action": "publish", "topic": "${clientid}/#"}
    server.root.answer = {"result": "allow", "acl": [rule]}
    one = authenticator(server.url())
    topics = ("${clientid}/#",)
    assert ask(one).rules == (AccessRule(allow=True, action="publish", topics=topics),)


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_https_with_and_without_our_certificate(
    pki: Any, serve: Serve, authenticator: Make, ask: Make, tmp_path: Path, cert_text: Any
) -> None:
    server = serve(pki.ec, clients=pki.root.cert)
    cacert = write(tmp_path, "ca.pem", cert_text(pki.root.cert))
    ssl = {"enable": True, "cacertfile": cacert, "verify": "verify_peer"}
    url = server.url(scheme="https")
    assert "it wants a client certificate" in ask(authenticator(url, ssl=ssl))
    certfile = write(tmp_path, "cert.pem", pki.client_ec.chain_pem)
    keyfile = write(tmp_path, "key.pem", pki.client_ec.key_pem)
    with_ours = ssl | {"certfile": certfile, "keyfile": keyfile}
    assert ask(authenticator(url, ssl=with_ours)) == Identity(username="u1")
    (request,) = server.root.asked
    assert request.transport.getPeerCertificate().to_cryptography() == pki.client_ec.cert


def test_a_server_with_a_wrong_certificate(
    pki: Any, serve: Serve, authenticator: Make, ask: Make, tmp_path: Path, cert_text: Any
) -> None:
    cacert = write(tmp_path, "ca.pem", cert_text(pki.root.cert))
    ssl = {"enable": True, "cacertfile": cacert}
    stranger = serve(pki.other_root.issue())
    found = ask(authenticator(stranger.url(scheme="https"), ssl=ssl))
    assert "not issued by a trusted authority" in found
    assert stranger.root.asked == []


def test_the_name_of_the_server_can_be_another(
    pki: Any, serve: Serve, authenticator: Make, ask: Make, tmp_path: Path, cert_text: Any
) -> None:
    from cryptography import x509

    cacert = write(tmp_path, "ca.pem", cert_text(pki.root.cert))
    server = serve(pki.root.issue(san=[x509.DNSName("auth.test")]))
    url = server.url(scheme="https")
    ssl = {"enable": True, "cacertfile": cacert}
    assert "for another IP address" in ask(authenticator(url, ssl=ssl))
    named = ssl | {"server_name_indication": "auth.test"}
    assert ask(authenticator(url, ssl=named)) == Identity(username="u1")
    assert server.names[-1] == b"auth.test"
    unnamed = ssl | {"server_name_indication": "disable"}
    assert ask(authenticator(url, ssl=unnamed)) == Identity(username="u1")
    unchecked = {"enable": True, "verify": "verify_none"}
    assert ask(authenticator(url, ssl=unchecked)) == Identity(username="u1")

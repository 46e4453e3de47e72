"""Fetching over http and https, with servers that behave well and badly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred

from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.outgoing.http import FetchError, HTTPClient
from mqttd.outgoing.tls import build_client_tls

Serve = Callable[..., Any]
Settle = Callable[..., Any]
MakeClient = Callable[..., Any]


@pytest.fixture
def client(live_reactor: Any, settle: Settle) -> Iterator[MakeClient]:
    """Make a client; its ``get`` fetches with short limits."""
    made: list[HTTPClient] = []

    def make(tls: ClientTLSOptions | None = None, **options: Any) -> HTTPClient:
        built = None if tls is None else build_client_tls(tls)
        made.append(HTTPClient(live_reactor, built, **options))
        return made[-1]

    yield make
    for each in made:
        settle(each.close())


def fetch(client: HTTPClient, url: str, **options: Any) -> Any:
    options.setdefault("timeout", 5)
    options.setdefault("max_size", 10_000)
    return client.fetch(url, **options)


def refused(settle: Settle, client: HTTPClient, url: str, **options: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        settle(fetch(client, url, **options))
    return caught.value


def test_an_answer_comes_whole(serve: Serve, client: MakeClient, settle: Settle) -> None:
    server = serve()
    answer = settle(fetch(client(), server.url("/x", scheme="http"), method="POST", body=b"you"))
    assert (answer.status, answer.body) == (200, b"hello you")
    assert answer.headers.getRawHeaders("Content-Type") == ["text/html"]
    assert server.root.asked == [("POST", "/x", b"you")]


def test_every_status_is_an_answer(serve: Serve, client: MakeClient, settle: Settle) -> None:
    answer = settle(fetch(client(), serve().url("/missing", scheme="http")))
    assert (answer.status, answer.body) == (404, b"not here")


def test_headers_go_out_as_given(serve: Serve, client: MakeClient, settle: Settle) -> None:
    server = serve()
    settle(
        fetch(
            client(),
            server.url("/", scheme="http"),
            headers=[("Accept", "a/b"), ("X-Two", "1"), ("X-Two", "2")],
        )
    )
    sent = server.root.headers[0]
    assert sent.getRawHeaders("Accept") == ["a/b"]
    assert sent.getRawHeaders("X-Two") == ["1", "2"]
    assert sent.getRawHeaders("Accept-Encoding") == ["identity"]


@pytest.mark.parametrize(
    "header", [("X", "a\r\nB: c"), ("X", "a\nb"), ("X", "a\0b"), ("X Y", "a"), ("", "a")]
)
def test_headers_that_would_break_out_are_refused(
    client: MakeClient, settle: Settle, header: tuple[str, str]
) -> None:
    error = refused(settle, client(), "http://127.0.0.1:1/", headers=[header])
    assert error.cause == "bad-url"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.test/",
        "file:///etc/passwd",
        "ldap://example.test/cn=x",
        "http://",
        "http:///x",
        "http://a:b@example.test/",
        "http://example.test:0/",
        "http://example.test:99999/",
        "http://exa mple.test/",
        "http://example.test/\r\nX: y",
        "http://[::1/",
        "nonsense",
        "http://example.test/" + "a" * 9000,
        "https://" + "a" * 300 + ".test/",
        "http://a..b.test/",
        "http://\u2603\u0301\u200d.test/",
        "http://example.test/%zz",
    ],
)
def test_addresses_that_cannot_be_fetched(client: MakeClient, settle: Settle, url: str) -> None:
    error = refused(settle, client(), url, timeout=3)
    assert error.cause in ("bad-url", "unreachable")
    assert "\r" not in error.text


def test_a_server_that_is_down(serve: Serve, client: MakeClient, settle: Settle) -> None:
    server = serve()
    settle(maybeDeferred(server.listening.stopListening))
    error = refused(settle, client(), server.url("/", host="127.0.0.1", scheme="http"))
    assert error.cause == "unreachable"
    assert error.text == f"127.0.0.1:{server.port} refuses connections"


def test_a_name_that_is_not_known(client: MakeClient, settle: Settle) -> None:
    error = refused(settle, client(), "http://no-such-host.invalid/")
    assert (error.cause, error.text) == (
        "unreachable",
        "the name no-such-host.invalid is not known",
    )


@pytest.mark.parametrize("path", ["/silent", "/half"])
def test_the_time_is_for_everything(
    serve: Serve, client: MakeClient, settle: Settle, path: str
) -> None:
    server = serve()
    error = refused(settle, client(), server.url(path, scheme="http"), timeout=0.2)
    assert error.cause == "timeout"
    assert f"localhost:{server.port} took longer than 0.2 s" in error.text


def test_a_server_that_says_nothing_to_a_tls_hello(
    serve_bytes: Callable[..., int], client: MakeClient, settle: Settle
) -> None:
    port = serve_bytes(None)
    error = refused(settle, client(ClientTLSOptions()), f"https://127.0.0.1:{port}/", timeout=0.2)
    assert error.cause == "timeout"


def test_a_body_that_ends_early(serve: Serve, client: MakeClient, settle: Settle) -> None:
    error = refused(settle, client(), serve().url("/cut", scheme="http"))
    assert error.cause == "unreachable"
    assert "before its answer was complete" in error.text


def test_a_large_body_is_not_read_to_its_end(
    serve: Serve, client: MakeClient, settle: Settle
) -> None:
    error = refused(settle, client(), serve().url("/big", scheme="http"), max_size=100_000)
    assert error.cause == "too-large"


def test_a_body_of_exactly_the_size_is_taken(
    serve: Serve, client: MakeClient, settle: Settle
) -> None:
    url = serve().url("/big", scheme="http")
    assert len(settle(fetch(client(), url, max_size=120_001)).body) == 120_001
    assert refused(settle, client(), url, max_size=120_000).cause == "too-large"


def test_a_length_that_is_too_large_is_believed(
    serve_bytes: Callable[..., int], client: MakeClient, settle: Settle
) -> None:
    port = serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
    assert refused(settle, client(), f"http://127.0.0.1:{port}/").cause == "too-large"


def test_headers_without_end(
    serve_bytes: Callable[..., int], client: MakeClient, settle: Settle
) -> None:
    port = serve_bytes(
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(90_000))
    )
    error = refused(settle, client(), f"http://127.0.0.1:{port}/", max_size=1000)
    assert error.cause == "too-large"


@pytest.mark.parametrize(
    "text",
    [
        b"220 mail.test ESMTP\r\n" * 20,
        b"\0" * 40_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\xff: x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 99999999999999999999 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_an_answer_that_is_no_http(
    serve_bytes: Callable[..., int], client: MakeClient, settle: Settle, text: bytes
) -> None:
    error = refused(settle, client(), f"http://127.0.0.1:{serve_bytes(text)}/", timeout=3)
    assert error.cause in ("bad-answer", "unreachable")


@pytest.mark.parametrize(
    "header",
    [b"Set-Cookie: \xff=\xfe", b"Set-Cookie: ;;=;expires=99", b"Server: \xff"],
)
def test_headers_that_are_no_text(
    serve_bytes: Callable[..., int], client: MakeClient, settle: Settle, header: bytes
) -> None:
    port = serve_bytes(b"HTTP/1.1 200 OK\r\n" + header + b"\r\nContent-Length: 2\r\n\r\nok")
    answer = settle(fetch(client(), f"http://127.0.0.1:{port}/"))
    assert answer.body == b"ok"


@pytest.mark.parametrize("place", [b"\xff", b"http://[::1/", b"//a:99999/", b"http://\xc3\xa4 /"])
def test_redirects_that_are_no_address(
    serve_bytes: Callable[..., int], client: MakeClient, settle: Settle, place: bytes
) -> None:
    port = serve_bytes(
        b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n"
    )
    assert refused(settle, client(), f"http://127.0.0.1:{port}/").cause == "redirects"


def test_interim_answers_without_end(
    serve_bytes: Callable[..., int], client: MakeClient, settle: Settle
) -> None:
    port = serve_bytes(b"HTTP/1.1 100 Continue\r\n\r\n" * 40_000)
    error = refused(settle, client(), f"http://127.0.0.1:{port}/", max_size=1000)
    assert error.cause == "too-large"


def test_a_packed_answer_is_refused(serve: Serve, client: MakeClient, settle: Settle) -> None:
    error = refused(settle, client(), serve().url("/gzip", scheme="http"))
    assert error.cause == "bad-answer"


def test_a_redirect_is_followed(serve: Serve, client: MakeClient, settle: Settle) -> None:
    server = serve()
    answer = settle(fetch(client(), server.url("/to/302/end", scheme="http")))
    assert answer.body == b"hello "
    assert answer.url == server.url("/end", scheme="http")


def test_redirects_end(serve: Serve, client: MakeClient, settle: Settle) -> None:
    server = serve()
    error = refused(settle, client(), server.url("/loop", scheme="http"), max_redirects=2)
    assert error.cause == "redirects"
    assert len(server.root.asked) == 3


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (301, ("GET", "/end", b"")),
        (302, ("GET", "/end", b"")),
        (303, ("GET", "/end", b"")),
        (307, ("POST", "/end", b"data")),
        (308, ("POST", "/end", b"data")),
    ],
)
def test_what_a_redirect_makes_of_a_post(
    serve: Serve,
    client: MakeClient,
    settle: Settle,
    status: int,
    after: tuple[str, str, bytes],
) -> None:
    server = serve()
    url = server.url(f"/to/{status}/end", scheme="http")
    settle(fetch(client(), url, method="POST", body=b"data"))
    assert server.root.asked[1] == after


def test_data_does_not_go_on_to_another_server(
    serve: Serve, client: MakeClient, settle: Settle
) -> None:
    first, second = serve(), serve()
    target = second.url("/", scheme="http")
    url = first.url(f"/to/307/at?at={target}", scheme="http")
    assert refused(settle, client(), url, method="POST", body=b"pw").cause == "redirects"
    assert second.root.asked == []


def test_credentials_do_not_go_on_to_another_server(
    serve: Serve, client: MakeClient, settle: Settle
) -> None:
    first, second = serve(), serve()
    url = first.url(f"/to/302/at?at={second.url('/', scheme='http')}", scheme="http")
    settle(fetch(client(), url, headers=[("Authorization", "secret"), ("Accept", "x/y")]))
    assert second.root.headers[0].getRawHeaders("Authorization") is None
    assert second.root.headers[0].getRawHeaders("Accept") == ["x/y"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://example.test/", "http://a b/"])
def test_redirects_elsewhere_are_refused(
    serve: Serve, client: MakeClient, settle: Settle, target: str
) -> None:
    url = serve().url(f"/to/302/at?at={target.replace(' ', '%20')}", scheme="http")
    assert refused(settle, client(), url).cause == "redirects"


def test_never_from_https_down_to_http(
    serve: Serve, client: MakeClient, settle: Settle, pki: Any, make_cert_pem: Callable[..., str]
) -> None:
    plain, secure = serve(), serve(pki.ec)
    tls = ClientTLSOptions(cacertfile=make_cert_pem(pki.root.cert))
    url = secure.url(f"/to/302/at?at={plain.url('/', scheme='http')}")
    assert refused(settle, client(tls), url).cause == "redirects"
    assert plain.root.asked == []


def test_connections_are_used_again_with_the_limits_of_each_request(
    serve: Serve, client: MakeClient, settle: Settle
) -> None:
    server, one = serve(), client()
    for size in (10, 200_000):
        settle(fetch(one, server.url("/x", scheme="http"), max_size=size))
    url = server.url("/big", scheme="http")
    assert len(settle(fetch(one, url, max_size=200_000)).body) == 120_001
    assert len(server.root.connections) == 1
    assert refused(settle, one, url, max_size=1000).cause == "too-large"


def test_no_more_exchanges_at_a_time_than_allowed(
    serve: Serve, client: MakeClient, settle: Settle
) -> None:
    server, one = serve(), client(pool_size=2)
    url = server.url("/silent", scheme="http")

    async def cause() -> str:
        with pytest.raises(FetchError) as caught:
            await fetch(one, url, timeout=0.3)
        return str(caught.value.cause)

    waiting = gatherResults([Deferred.fromCoroutine(cause()) for _ in range(5)])
    assert settle(waiting) == ["timeout"] * 5
    assert len(server.root.asked) == 2
    # and the turns are given back
    assert settle(fetch(one, server.url("/", scheme="http"))).status == 200


def test_a_post_is_sent_again_when_the_server_closed_an_idle_connection(
    serve: Serve, client: MakeClient, settle: Settle
) -> None:
    server, one = serve(), client()
    url = server.url("/", scheme="http")
    settle(fetch(one, url))
    for transport in server.root.connections:
        transport.loseConnection()  # the client has not seen it yet when it asks again
    answer = settle(fetch(one, url, method="POST", body=b"again"))
    assert answer.body == b"hello again"


def test_who_waits_can_give_up(serve: Serve, client: MakeClient, settle: Settle) -> None:
    server, one = serve(), client(pool_size=1)
    waiting = Deferred.fromCoroutine(fetch(one, server.url("/silent", scheme="http")))
    waiting.cancel()
    with pytest.raises((CancelledError, FetchError)):
        settle(waiting)
    assert settle(fetch(one, server.url("/", scheme="http"))).status == 200


def test_tls_that_is_refused(client: MakeClient, settle: Settle) -> None:
    error = refused(settle, client(ClientTLSOptions(enable=False)), "https://localhost:1/")
    assert error.cause == "bad-url"
    assert "ssl.enable" in error.text


def test_a_time_out_on_a_kept_connection_is_one(
    serve: Serve, client: MakeClient, settle: Settle
) -> None:
    server = serve()
    one = client(pool_size=1)
    settle(fetch(one, server.url("/", scheme="http")))
    error = refused(settle, one, server.url("/silent", scheme="http"), timeout=0.2)
    assert (error.cause, error.waited) == ("timeout", False)
    assert [path for _, path, _ in server.root.asked] == ["/", "/silent"]


def test_waiting_for_a_turn_is_no_fault_of_the_server(
    serve: Serve, client: MakeClient, settle: Settle
) -> None:
    server = serve()
    one = client(pool_size=1)
    held = Deferred.fromCoroutine(fetch(one, server.url("/silent", scheme="http"), timeout=0.4))
    error = refused(settle, one, server.url("/", scheme="http"), timeout=0.1)
    assert (error.cause, error.waited) == ("timeout", True)
    with pytest.raises(FetchError):
        settle(held)


def test_a_body_has_a_time_of_its_own(serve: Serve, client: MakeClient, settle: Settle) -> None:
    error = refused(
        settle, client(), serve().url("/half", scheme="http"), timeout=5, body_timeout=0.1
    )
    assert error.cause == "timeout"
    assert "reading the answer" in error.text

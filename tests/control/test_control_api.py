"""The control plane's resources: addresses, methods, shapes, errors, limits."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher

from mqttd.cli.ctl_client import Refusal
from mqttd.control.api import LARGEST_BODY
from mqttd.control.server import MOST_CONNECTIONS

Ask = Callable[..., Any]


def refusal(ask: Ask, *request: str, **more: Any) -> tuple[int, str, str]:
    with pytest.raises(Refusal) as caught:
        ask(*request, **more)
    return caught.value.status, caught.value.code, str(caught.value)


def test_what_can_be_read(ask: Ask) -> None:
    assert ask("GET", "status") == {"version": "1.2.3"}
    assert ask("GET", "listeners") == [{"id": "ssl:default"}]
    assert ask("GET", "listeners", "ssl:default") == {"id": "ssl:default"}
    assert ask("GET", "psk") == [{"identity": "dev1"}]
    for name in ("crl", "ocsp", "plugins"):
        assert ask("GET", name) == []


def test_what_can_be_done(ask: Ask, memory: Any) -> None:
    for action in ("start", "stop", "restart"):
        assert ask("POST", "listeners", "ssl:default", action) == {"id": "ssl:default"}
    assert ask("DELETE", "clients", "dev1") is None
    assert ask("POST", "reload") == {"ok": True}
    assert ask("POST", "ocsp", "refresh") == []
    assert memory.done == [
        ("start", "ssl:default"),
        ("stop", "ssl:default"),
        ("restart", "ssl:default"),
        ("kick", "dev1"),
    ]


@pytest.mark.parametrize("name", ["a/b", "a?b#c", "..", "%2F", "\u00e4\u2028", " ", "a+b", "a;b"])
def test_names_of_clients_are_whatever_clients_say(ask: Ask, memory: Any, name: str) -> None:
    assert ask("GET", "clients", name) == {"clientid": name}
    ask("DELETE", "clients", name)
    assert memory.done == [("kick", name)]


def test_what_a_client_may_do_is_asked_with_its_topic(ask: Ask, memory: Any) -> None:
    query = {"action": "subscribe", "topic": "a/+/#", "qos": 1}
    assert ask("GET", "clients", "a/b", "acl", **query)["allow"] is True
    assert memory.done == [("a/b", "subscribe", "a/+/#", "1", "False")]
    assert refusal(ask, "GET", "clients", "c", "acl", qos=3)[0] == 400


def test_clients_come_in_pages(ask: Ask, memory: Any) -> None:
    first = ask("GET", "clients", page=1, limit=200)
    assert len(first["data"]) == 200
    assert first["meta"] == {"page": 1, "limit": 200, "count": 250, "hasnext": True}
    second = ask("GET", "clients", page=2, limit=200, expiring="30d")
    assert len(second["data"]) == 50
    assert second["meta"]["hasnext"] is False
    assert memory.done[-1] == ("clients", "2", "200", str(30 * 86400.0))
    assert ask("GET", "clients")["meta"]["limit"] == 100


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 1001},
        {"limit": 0},
        {"limit": "x"},
        {"limit": "\u0663"},
        {"page": -1},
        {"page": "9" * 5000},
        {"expiring": "soon"},
    ],
)
def test_queries_that_make_no_sense(ask: Ask, query: dict[str, Any]) -> None:
    status, code, text = refusal(ask, "GET", "clients", **query)
    assert (status, code) == (400, "BAD_REQUEST")
    assert next(iter(query)) in text


def test_the_log_level(ask: Ask, memory: Any) -> None:
    assert ask("PUT", "log", "level", body='{"level": "debug"}') == {"level": "debug"}
    assert ask("GET", "log", "level") == {"level": "debug"}
    said = refusal(ask, "PUT", "log", "level", body='{"level": "loud"}')
    assert said == (400, "BAD_REQUEST", "invalid level: loud")


@pytest.mark.parametrize("body", [None, "", "x", "[]", '{"level": 1}', "[" * 60_000, "\u00e4"])
def test_bodies_that_make_no_sense(ask: Ask, body: str | None) -> None:
    text = None if body is None else body.encode().decode("latin-1")
    status, code, _ = refusal(ask, "PUT", "log", "level", body=text)
    assert (status, code) == (400, "BAD_REQUEST")


def test_a_large_body_is_refused(ask: Ask) -> None:
    assert refusal(ask, "PUT", "log", "level", body="x" * (LARGEST_BODY + 1))[0] == 413


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (("GET", "nothing"), 404, "NOT_FOUND"),
        (("GET",), 404, "NOT_FOUND"),
        (("GET", "listeners", "tcp:none"), 404, "BAD_LISTENER_ID"),
        (("POST", "listeners", "tcp:none", "stop"), 404, "BAD_LISTENER_ID"),
        (("POST", "listeners", "ssl:default", "__init__"), 404, "NOT_FOUND"),
        (("GET", "reload"), 405, "METHOD_NOT_ALLOWED"),
        (("POST", "status"), 405, "METHOD_NOT_ALLOWED"),
        (("BREW", "status"), 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_refusals(ask: Ask, request_: tuple[str, ...], status: int, code: str) -> None:
    assert refusal(ask, *request_)[:2] == (status, code)


@pytest.mark.parametrize("request_", [("GET", "certs"), ("POST", "crl", "refresh")])
def test_our_own_mistakes_go_to_the_log_only(ask: Ask, request_: tuple[str, ...]) -> None:
    events: list[Any] = []
    observer = cast("ILogObserver", events.append)
    globalLogPublisher.addObserver(observer)
    try:
        status, code, text = refusal(ask, *request_)
    finally:
        globalLogPublisher.removeObserver(observer)
    assert (status, code) == (500, "INTERNAL_ERROR")
    assert "hunter2" not in text
    assert any("control socket failed" in formatEvent(event) for event in events)


def raw(path: str, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(path)
        try:
            connection.sendall(data)
            answer = b""
            while more := connection.recv(65536):
                answer += more
        except ConnectionError:
            return b""
        return answer


@pytest.mark.parametrize(
    "data",
    [
        b"GET /api/v5/clients/%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /api/v5/clients?page=%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"G\xffT /api/v5/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
    ],
)
def test_requests_that_are_no_text(server: Any, settle: Ask, data: bytes) -> None:
    answer = settle(deferToThread(raw, str(server.path), data))
    assert not answer or answer.split(b" ", 2)[1] in (b"400", b"404")
    assert b"Traceback" not in answer


def test_a_body_without_end_is_not_kept(server: Any, settle: Ask) -> None:
    head = (
        b"PUT /api/v5/log/level HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert settle(deferToThread(raw, str(server.path), head + chunk * 64)) == b""
    answer = settle(deferToThread(raw, str(server.path), head + chunk * 2 + b"0\r\n\r\n"))
    assert answer.split(b" ", 2)[1] == b"413"


def test_no_more_connections_than_allowed(server: Any, settle: Ask) -> None:
    def many() -> list[bytes]:
        held = [socket.socket(socket.AF_UNIX) for _ in range(MOST_CONNECTIONS + 2)]
        try:
            for each in held:
                each.settimeout(5)
                each.connect(str(server.path))
            return [each.recv(1) for each in held[-2:]]
        finally:
            for each in held:
                each.close()

    assert settle(deferToThread(many)) == [b"", b""]
    request = b"GET /api/v5/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = settle(deferToThread(raw, str(server.path), request))
    assert answer.startswith(b"HTTP/1.1 200")


def test_the_answer_is_json_with_its_length(server: Any, settle: Ask) -> None:
    request = b"GET /api/v5/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = settle(deferToThread(raw, str(server.path), request))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in head
    assert b"Content-Length: %d" % len(body) in head
    assert json.loads(body) == {"version": "1.2.3"}


def test_one_connection_serves_many_requests(server: Any, settle: Ask) -> None:
    def many() -> list[int]:
        connection = http.client.HTTPConnection("localhost", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        connection.sock.connect(str(server.path))
        statuses = []
        for _ in range(3):
            connection.request("GET", "/api/v5/status")
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()
        return statuses

    assert settle(deferToThread(many)) == [200, 200, 200]

"""What an HTTP server is asked about a topic, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface.verify import verifyObject

from mqttd.authz.http_authorizer import check_http_source, make
from mqttd.config.schema.authorization_http import HttpSourceOptions
from mqttd.config.structure import structure
from mqttd.http_backend.backend import BackendFailed
from mqttd.identity import AccessRequest, Identity, PeerInfo
from mqttd.interfaces import IAuthorizer, PluginContext

Serve = Callable[..., Any]


def access(**changes: Any) -> AccessRequest:
    values: dict[str, Any] = {
        "action": "publish",
        "topic": "a/b",
        "qos": 1,
        "retain": True,
        "username": "u1",
        "client_id": "c1",
        "identity": Identity(attributes={"site": "north"}),
        "peer": PeerInfo("tcp:default", ("192.0.2.7", 4711)),
    }
    return AccessRequest(**(values | changes))


@pytest.fixture
def authorize(
    live_reactor: Any, settle: Callable[..., Any], tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Ask a server by the options given: what the source says, or its failure's text."""
    made: list[Any] = []

    def ask(url: str | list[str], request: AccessRequest | None = None, **section: Any) -> Any:
        section["url" if isinstance(url, str) else "urls"] = url
        options, found = structure(section, HttpSourceOptions, tmp_path, "x")
        assert found == []
        source = make(options, PluginContext(live_reactor, tmp_path, tmp_path))
        assert verifyObject(IAuthorizer, source)
        made.append(source)
        try:
            return settle(Deferred.fromCoroutine(source.authorize(request or access())))
        except BackendFailed as failure:
            return failure.safe_text

    yield ask
    for each in made:
        settle(each.stop())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((204, None, b""), True),
        ({"result": "allow"}, True),
        ({"result": "deny"}, False),
        ({"result": "ignore"}, None),
        ({}, None),
        ((200, "application/x-www-form-urlencoded", b"result=deny"), False),
    ],
)
def test_answers(
    answer: object, expected: object, serve: Serve, authorize: Callable[..., Any]
) -> None:
    server = serve()
    server.root.answer = answer
    assert authorize(server.url()) is expected


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((403, None, b""), "answers with status 403"),
        ((500, "application/json", b'{"result": "allow"}'), "answers with status 500"),
        ((302, None, b""), "sends us elsewhere"),
        ((200, "text/plain", b"allow"), "content of the type text/plain"),
        ((200, "application/json", b"{"), "no JSON"),
        ({"result": True}, "a result that is none"),
        ("silent", "took longer than 0.2 s"),
        ("head", "took longer than 0.2 s"),
    ],
)
def test_failures_are_no_answer(
    answer: object, text: str, serve: Serve, authorize: Callable[..., Any]
) -> None:
    """The chain denies on them."""
    server = serve()
    server.root.answer = answer
    assert text in authorize(server.url(), request_timeout="200ms")


def test_a_server_that_is_down_and_one_that_helps(
    serve: Serve, authorize: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    down, server = serve(), serve()
    settle(maybeDeferred(down.listening.stopListening))
    assert "refuses connections" in authorize(down.url())
    server.root.answer = {"result": "deny"}
    assert authorize([down.url(), server.url()]) is False


def test_what_is_asked_by_itself(serve: Serve, authorize: Callable[..., Any]) -> None:
    server = serve()
    authorize(server.url())
    assert json.loads(server.root.bodies[0]) == {
        "username": "u1",
        "clientid": "c1",
        "action": "publish",
        "topic": "a/b",
        "qos": "1",
        "retain": "true",
    }


def test_every_place_takes_placeholders(serve: Serve, authorize: Callable[..., Any]) -> None:
    server = serve()
    request = access(
        action="subscribe", topic="a/+/ä?&#", qos=2, retain=False, username=None, client_id="c/1"
    )
    authorize(
        server.url("/${action}/${clientid}/${topic}?t=${topic}&q=${qos}&u=${username}"),
        request,
        method="get",
        headers={"x-site": "${client_attrs.site}", "x-retain": "${retain}"},
        body={"host": "${peerhost}", "topic": "${topic}"},
    )
    (asked,) = server.root.asked
    parts = urlsplit(asked.uri.decode())
    assert parts.path == "/subscribe/c%2F1/a%2F%2B%2F%C3%A4%3F%26%23"
    assert parse_qsl(parts.query, keep_blank_values=True) == [
        ("t", "a/+/ä?&#"),
        ("q", "2"),
        ("u", ""),
        ("host", "192.0.2.7"),
        ("topic", "a/+/ä?&#"),
    ]
    headers = asked.requestHeaders
    assert headers.getRawHeaders("x-site") == ["north"]
    assert headers.getRawHeaders("x-retain") == ["false"]


@pytest.mark.parametrize("topic", ["a\r\nx: y", "a\nb", "a\x7f", " a", "x" * 9000])
def test_what_no_header_can_hold_is_denied_unasked(
    topic: str, serve: Serve, authorize: Callable[..., Any]
) -> None:
    server = serve()
    asked = access(topic=topic)
    assert authorize(server.url(), asked, headers={"x-topic": "${topic}"}) is False
    assert server.root.asked == []


@pytest.mark.parametrize(
    ("section", "finding"),
    [
        ({"url": "http://127.0.0.1/${password}"}, "there is no placeholder ${password}"),
        ({"url": "http://${username}.test/"}, "placeholder in its host"),
        ({"url": "http://127.0.0.1/", "body": {"a": "${tpic}"}}, "did you mean ${topic}?"),
        ({"url": "http://rules.test/"}, "questions go to rules.test in the clear"),
        (
            {"url": "https://127.0.0.1/", "ssl": {"enable": True, "cacertfile": "missing.pem"}},
            "missing.pem",
        ),
        ({}, "is not set"),
    ],
)
def test_findings(section: dict[str, Any], finding: str, tmp_path: Path) -> None:
    options, found = structure(section, HttpSourceOptions, tmp_path, "source")
    found += check_http_source(options, "source", tmp_path)
    assert finding in "\n".join(map(str, found))

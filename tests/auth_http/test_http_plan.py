"""What is said of options before anybody is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mqttd.auth.connect_placeholders import CONNECT
from mqttd.auth.http_authenticator import check_http_authenticator, make
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.authentication_http import HttpAuthenticatorOptions
from mqttd.config.structure import structure
from mqttd.http_backend.plan import prepare
from mqttd.interfaces import PluginContext

Structured = Callable[..., Any]
URL = "http://127.0.0.1:1/auth"


def texts(options: Any) -> list[str]:
    return [str(finding) for finding in check_http_authenticator(options, "authn", ".")]


def test_the_usual_question(structured: Structured, request_of: Callable[..., Any]) -> None:
    options = structured({"url": URL})
    assert texts(options) == []
    plan, _ = prepare(options, "authn", CONNECT)
    assert plan is not None
    (question,) = plan.questions(request_of())
    assert question.url == URL
    assert dict(question.headers) == {
        "accept": "application/json",
        "cache-control": "no-cache",
        "content-type": "application/json",
    }
    assert question.body == b'{"username":"u1","password":"p1","clientid":"c1"}'
    assert "p1" not in repr(question) + repr(options)


def test_get_puts_the_body_into_the_query(
    structured: Structured, request_of: Callable[..., Any]
) -> None:
    options = structured({"url": URL + "?a=${clientid}", "method": "GET"})
    plan, _ = prepare(options, "authn", CONNECT)
    assert plan is not None
    (question,) = plan.questions(request_of(password=b"p&1"))
    assert question.url == URL + "?a=c1&username=u1&password=p%261&clientid=c1"
    assert question.body is None
    assert "content-type" not in dict(question.headers)


def test_a_form(structured: Structured, request_of: Callable[..., Any]) -> None:
    kind = "application/x-www-form-urlencoded"
    options = structured({"url": URL, "headers": {"Content-Type": kind, "X-Id": "${clientid}"}})
    plan, _ = prepare(options, "authn", CONNECT)
    assert plan is not None
    (question,) = plan.questions(request_of())
    assert question.body == b"username=u1&password=p1&clientid=c1"
    assert dict(question.headers)["x-id"] == "c1"
    assert dict(question.headers)["content-type"] == kind


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, "error: authn.url: is not set"),
        ({"url": URL, "urls": [URL]}, "error: authn.urls: is set beside url"),
        ({"url": "http://${clientid}/"}, "error: authn.url: has a placeholder in its host"),
        ({"urls": [URL, "http://h:0/"]}, "error: authn.urls: names no server that can be"),
        ({"url": URL + "/${usrname}"}, "error: authn.url: there is no placeholder ${usrname}"),
        ({"url": URL, "body": {"a": "${x y}"}}, "error: authn.body: there is no placeholder"),
        ({"url": URL, "headers": {"a": "${q}"}}, "error: authn.headers.a: there is no"),
        ({"url": URL, "headers": {"a b": "c"}}, "error: authn.headers.a b: is no name"),
        ({"url": URL, "headers": {"Host": "c"}}, "error: authn.headers.Host: is settled"),
        ({"url": URL, "headers": {"a": "b\nc: d"}}, "error: authn.headers.a: holds a control"),
        ({"url": URL, "headers": {"A": "b", "a": "c"}}, "error: authn.headers.a: is there twice"),
        (
            {"url": URL, "method": "get", "headers": {"content-type": "application/json"}},
            "error: authn.headers.content-type: has no meaning with method = get",
        ),
        (
            {"url": URL, "headers": {"content-type": "text/plain"}},
            "error: authn.headers.content-type: is neither JSON nor a form",
        ),
        (
            {"url": URL, "method": "get", "body": {"a": {"b": "c"}}},
            "error: authn.body: a is a section, which a form cannot hold",
        ),
        (
            {"url": "https://127.0.0.1:1/", "ssl": {"enable": False}},
            "error: authn.ssl.enable: is false, but the address is an https one",
        ),
        ({"url": URL, "ssl": {"enable": True}}, "warning: authn.ssl: has no effect for 127.0.0.1"),
        ({"url": "http://a.test/"}, "warning: authn.url: questions go to a.test in the clear"),
        (
            {"url": URL, "headers": {"connection": "keep-alive"}},
            "warning: authn.headers.connection: has no effect",
        ),
        (
            {"url": URL, "cache": {"ttl": "5s"}, "body": {"p": "${peerport}"}},
            "warning: authn.cache: remembers in vain",
        ),
        (
            {"url": "https://127.0.0.1:1/", "ssl": {"cacertfile": "none.pem"}},
            "error: authn.ssl.cacertfile:",
        ),
        (
            {"url": "https://127.0.0.1:1/", "ssl": {"verify": "verify_none"}},
            "warning: authn.ssl.verify: the server is not checked",
        ),
    ],
)
def test_findings(section: dict[str, Any], expected: str, structured: Structured) -> None:
    (found,) = texts(structured(section))
    assert found.startswith(expected)


def test_every_error_is_found_at_once(structured: Structured, tmp_path: Path) -> None:
    options = structured(
        {"url": "ftp://x", "headers": {"a": "${q}"}, "body": {"b": "${q}"}, "method": "post"}
    )
    with pytest.raises(ConfigurationErrors) as caught:
        make(options, PluginContext(None, tmp_path, tmp_path))
    assert len(caught.value.errors) == 3


def test_options_without_effect_are_named() -> None:
    section = {"url": URL, "enable_pipelining": 100, "max_inactive": "10s"}
    _, findings = structure(section, HttpAuthenticatorOptions, Path("."), "authentication")
    assert [finding.path for finding in findings] == [
        "authentication.enable_pipelining",
        "authentication.max_inactive",
    ]
    assert {finding.severity for finding in findings} == {"warning"}


@pytest.mark.parametrize("body", ["text", ["a"], 5])
def test_a_body_is_a_section(body: object) -> None:
    _, findings = structure({"body": body}, HttpAuthenticatorOptions, Path("."), "authentication")
    assert [finding.path for finding in findings] == ["authentication.body"]

"""Templates: what they may hold, and what no client's value can do in them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.auth.connect_placeholders import CONNECT
from mqttd.http_backend.template import HeaderTemplate, parse_body, parse_url
from mqttd.identity import PeerCertificate
from mqttd.placeholders import BadTemplate, CannotRender, parse_template

RequestOf = Callable[..., Any]
ANY = st.text(max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain $ text } {", "plain $ text } {"),
        ("${username}:${clientid}", "u1:c1"),
        ("${password}", "p1"),
        ("${$}{username}", "${username}"),
        ("${peerhost} ${peerport}", "192.0.2.7 4711"),
        ("${listener}/${sni}/${tls_version}", "ssl:default/broker.test/TLSv1.3"),
        ("${psk_identity}", "key1"),
        ("${cert_subject}|${cert_common_name}", "CN=dev1,O=Lab|dev1"),
        ("${cert_san_dns}|${cert_san_uri}|${cert_san_email}", "a.test,b.test|urn:x|a@b.test"),
        ("${cert_serial}", "ff"),
        ("${cert_fingerprint}", hashlib.sha256(b"\x30\x03abc").hexdigest()),
        ("${cert_pem}", base64.b64encode(b"\x30\x03abc").decode()),
        ("${client_attrs.site}${client_attrs.none}", "north"),
    ],
)
def test_placeholders(
    text: str, expected: str, request_of: RequestOf, certificate: PeerCertificate
) -> None:
    request = request_of(
        certificate=certificate,
        sni="broker.test",
        tls_version="TLSv1.3",
        psk_identity=b"key1",
        attributes={"site": "north"},
    )
    assert parse_template(text, CONNECT).render(request) == expected


def test_what_is_not_known_is_empty(request_of: RequestOf) -> None:
    names = ["username", "password", "cert_subject", "cert_pem", "cert_san_dns", "cert_serial"]
    names += ["cert_fingerprint", "sni", "tls_version", "psk_identity", "client_attrs.x"]
    text = "".join(f"${{{name}}}" for name in names)
    request = request_of(username=None, password=None)
    assert parse_template(text, CONNECT).render(request) == ""


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("${user_name}", "${username}?"),
        ("${client_id}", "${clientid}?"),
        ("${cert_san_ip}", "${cert_san_"),
        ("${zone}", "known here: cert_common_name"),
        ("${}", "known here"),
        ("${username", "close it"),
        ("${client_attrs.}", "${client_attrs.NAME}"),
        ("${client_attrs.a b}", "${client_attrs.NAME}"),
    ],
)
def test_a_mistyped_placeholder_is_named(text: str, cure: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        parse_template(text, CONNECT)
    assert cure in caught.value.cure


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://${username}.test/", "host or port"),
        ("https://host:${peerport}/", "host or port"),
        ("https://a${sni", "host or port"),
        ("${listener}://host/", "scheme"),
        ("ftp://host/", "no http"),
        ("host/path", "no http"),
        ("http:///path", "no server"),
        ("http://u:p@host/", "user name"),
        ("http://host/#x", "#"),
        ("http://host/a b", "space"),
        ("http://host/\u00e9", "characters"),
        ("http://host/\r\nX: y", "characters"),
        ("http://host/${nothing}", "no placeholder"),
    ],
)
def test_addresses_that_are_refused(text: str, problem: str) -> None:
    with pytest.raises(BadTemplate, match=problem):
        parse_url(text, CONNECT)


@pytest.mark.parametrize(
    "text", ["http://h", "https://h:8080", "http://h?x=1", "http://[::1]:1/a"]
)
def test_addresses_without_placeholders(text: str, request_of: RequestOf) -> None:
    rendered = parse_url(text, CONNECT).render(request_of())
    assert urlsplit(rendered).netloc == urlsplit(text).netloc
    assert urlsplit(rendered).query == urlsplit(text).query


@given(username=ANY, clientid=ANY)
def test_no_value_leaves_its_place_in_an_address(
    username: str, clientid: str, request_of: RequestOf
) -> None:
    url = parse_url("https://host:8080/a/x${username}/b?c=${clientid}&d=1", CONNECT)
    rendered = url.render(request_of(username=username, client_id=clientid))
    parts = urlsplit(rendered)
    assert parts.netloc == "host:8080"
    assert [unquote(part) for part in parts.path.split("/")] == ["", "a", "x" + username, "b"]
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    assert pairs == [("c", clientid), ("d", "1")]
    assert rendered.isascii()
    assert rendered.isprintable()


@pytest.mark.parametrize("username", [".", ".."])
def test_a_value_makes_no_other_path(username: str, request_of: RequestOf) -> None:
    with pytest.raises(CannotRender):
        parse_url("http://h/users/${username}/login", CONNECT).render(
            request_of(username=username)
        )


def test_an_address_without_end_is_refused(request_of: RequestOf) -> None:
    with pytest.raises(CannotRender):
        parse_url("http://h/?${username}", CONNECT).render(request_of(username="\u20ac" * 3000))


@given(values=st.tuples(ANY, ANY, ANY))
def test_json_holds_values_as_texts(values: tuple[str, str, str], request_of: RequestOf) -> None:
    username, password, clientid = values
    body = parse_body(
        {"u": "${username}", "in": {"p": ["${password}", 1, True, None]}, "c": "<${clientid}>"},
        CONNECT,
        form=False,
    )
    request = request_of(username=username, password=password.encode(), client_id=clientid)
    assert json.loads(body.json(request)) == {
        "u": username,
        "in": {"p": [password, 1, True, None]},
        "c": f"<{clientid}>",
    }


@given(username=ANY, password=ANY)
def test_a_form_holds_values_as_values(
    username: str, password: str, request_of: RequestOf
) -> None:
    content = {"u": "${username}", "p&q": "a&b=${password}", "n": 5, "t": True, "e": None}
    form = parse_body(content, CONNECT, form=True).form(
        request_of(username=username, password=password.encode())
    )
    assert parse_qsl(form, keep_blank_values=True) == [
        ("u", username),
        ("p&q", f"a&b={password}"),
        ("n", "5"),
        ("t", "true"),
        ("e", ""),
    ]


def test_a_form_holds_no_sections() -> None:
    with pytest.raises(BadTemplate, match="a form cannot hold"):
        parse_body({"a": {"b": "c"}}, CONNECT, form=True)
    with pytest.raises(BadTemplate, match="in the name"):
        parse_body({"${username}": "c"}, CONNECT, form=False)


@given(username=st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_header_is_one_header_or_none(username: str, request_of: RequestOf) -> None:
    header = HeaderTemplate("x-user", parse_template("${username}", CONNECT))
    try:
        name, value = header.render(request_of(username=username))
    except CannotRender:
        return
    assert (name, value) == ("x-user", username)
    assert not any(c < " " or c == "\x7f" for c in value)


@pytest.mark.parametrize(
    "username", ["a\r\nb: c", "a\nb", "a\0b", "a\tb", "a\x7f", " admin", "admin ", "x" * 9000]
)
def test_values_that_no_header_can_hold(username: str, request_of: RequestOf) -> None:
    header = HeaderTemplate("x-user", parse_template("${username}", CONNECT))
    with pytest.raises(CannotRender) as caught:
        header.render(request_of(username=username))
    assert "admin" not in str(caught.value)


def test_a_password_that_is_no_text(request_of: RequestOf) -> None:
    request = request_of(password=b"\xff\x00secret")
    with pytest.raises(CannotRender) as caught:
        parse_template("${password}", CONNECT).render(request)
    assert str(caught.value) == "the password is not UTF-8 text"
    assert parse_template("${username}", CONNECT).render(request) == "u1"


def test_half_of_a_pair_is_no_text(request_of: RequestOf) -> None:
    request = request_of(username="\ud800")
    for render in (
        lambda: parse_url("http://h/${username}", CONNECT).render(request),
        lambda: parse_body({"a": "${username}"}, CONNECT, form=False).json(request),
        lambda: parse_body({"a": "${username}"}, CONNECT, form=True).form(request),
        lambda: HeaderTemplate("x", parse_template("${username}", CONNECT)).render(request),
    ):
        with pytest.raises(CannotRender):
            render()

"""What an HTTP server is asked, made of the options once: addresses, headers and body."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from mqttd.config.errors import Finding, by_severity, error, warning
from mqttd.config.schema.http_backend import HttpBackendOptions
from mqttd.http_backend.template import (
    BodyTemplate,
    HeaderTemplate,
    UrlTemplate,
    names_in,
    once_only,
    parse_body,
    parse_url,
)
from mqttd.outgoing.tls import check_client_tls, server_name
from mqttd.placeholders import BadTemplate, Placeholders, parse_template

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_OURS: Final = frozenset({"connection", "keep-alive"})
"""Written by EMQX's documents; the client settles them itself."""
_FORBIDDEN: Final = frozenset(
    {"content-length", "transfer-encoding", "host", "te", "upgrade", "expect", "accept-encoding"}
)
"""Part of how messages are told apart, or of what the answer may look like."""
_TOKEN: Final = frozenset(
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


@attrs.frozen
class Question:
    """One question to one server, rendered for a request; it holds secrets."""

    url: str = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    body: bytes | None = attrs.field(repr=False)

    def values(self) -> Iterator[bytes]:
        """Everything in it, to be hashed."""
        yield self.url.encode()
        for name, value in self.headers:
            yield name.encode()
            yield value.encode()
        yield self.body or b""


@attrs.frozen
class Plan:
    """How servers are asked; everything parsed."""

    urls: tuple[UrlTemplate, ...]
    method: str
    headers: tuple[HeaderTemplate, ...]
    body: BodyTemplate
    form: bool

    def questions(self, request: Any) -> list[Question]:
        """What each server is asked about a request. Raises CannotRender."""
        headers = tuple(header.render(request) for header in self.headers)
        if self.method == "GET":
            query = self.body.form(request)
            return [Question(url.render(request, query), headers, None) for url in self.urls]
        body = self.body.form(request).encode() if self.form else self.body.json(request)
        return [Question(url.render(request), headers, body) for url in self.urls]


def prepare(
    options: HttpBackendOptions, path: str, placeholders: Placeholders
) -> tuple[Plan | None, list[Finding]]:
    """The plan and every finding about the options; no plan when one is an error."""
    found: list[Finding] = []
    urls = _urls(options, path, placeholders, found)
    headers, form = _headers(options, path, placeholders, found)
    body = None
    try:
        body = parse_body(options.body, placeholders, form=form or options.method == "get")
    except BadTemplate as problem:
        found.append(error(f"{path}.body", problem.problem, problem.cure))
    _check_tls(options, urls, path, found)
    if body is None or any(finding.severity == "error" for finding in found):
        return None, by_severity(found)
    plan = Plan(tuple(urls), options.method.upper(), tuple(headers), body, form)
    caching = options.cache is not None and options.cache.enable
    if caching and once_only(names_in(*urls, *headers, body)):
        message = "remembers in vain: ${peerport} makes each question a new one"
        found.append(warning(f"{path}.cache", message, "remove ${peerport} or the cache"))
    return plan, by_severity(found)


def check(
    options: HttpBackendOptions, path: str, placeholders: Placeholders, base_dir: str | Path
) -> list[Finding]:
    """Everything wrong or risky in the options and the files they name, errors first."""
    found = prepare(options, path, placeholders)[1]
    if options.ssl is not None and options.ssl.enable:
        found += check_client_tls(options.ssl, f"{path}.ssl", base_dir)
    return by_severity(found)


def _urls(
    options: HttpBackendOptions, path: str, placeholders: Placeholders, found: list[Finding]
) -> list[UrlTemplate]:
    parsed = []
    if options.url is None and not options.urls:
        found.append(error(f"{path}.url", "is not set", "write http://HOST/PATH or https://..."))
    elif options.url is not None and options.urls:
        found.append(error(f"{path}.urls", "is set beside url", "write all of them into urls"))
    for number, text in enumerate(options.servers):
        place = f"{path}.url" if options.url is not None and number == 0 else f"{path}.urls"
        try:
            url = parse_url(text, placeholders)
            _check_origin(url.origin)
        except BadTemplate as problem:
            found.append(error(place, problem.problem, problem.cure))
        else:
            parsed.append(url)
    return parsed


def _check_origin(origin: str) -> None:
    try:
        parts = urlsplit(origin)
        port = parts.port
        server_name(parts.hostname or "")
    except ValueError:
        port = 0
    if port == 0 or any(c <= " " or c == "\x7f" for c in origin):
        raise BadTemplate("names no server that can be", "write http://HOST:PORT/PATH")


def _headers(
    options: HttpBackendOptions, path: str, placeholders: Placeholders, found: list[Finding]
) -> tuple[list[HeaderTemplate], bool]:
    """The headers with the usual ones before them, and whether the body is a form."""
    post = options.method == "post"
    texts = {"accept": _JSON, "cache-control": "no-cache"}
    if post:
        texts["content-type"] = _JSON
    texts |= dict(_given(options.headers, f"{path}.headers", found))
    headers = []
    for name, text in texts.items():
        place = f"{path}.headers.{name}"
        try:
            value = parse_template(text, placeholders)
        except BadTemplate as problem:
            found.append(error(place, problem.problem, problem.cure))
            continue
        literal = value.literal
        if literal is not None and any(c < " " or c == "\x7f" for c in literal):
            found.append(error(place, "holds a control character", "remove it"))
        headers.append(HeaderTemplate(name, value))
    kind = texts.get("content-type")
    place = f"{path}.headers.content-type"
    if kind is None:
        return headers, False
    if not post:
        found.append(error(place, "has no meaning with method = get", "remove it"))
    name = kind.partition(";")[0].strip().lower()
    if name not in (_JSON, _FORM):
        found.append(error(place, "is neither JSON nor a form", f"write {_JSON} or {_FORM}"))
    return headers, name == _FORM


def _given(
    headers: Mapping[str, str], path: str, found: list[Finding]
) -> Iterator[tuple[str, str]]:
    seen = set()
    for given, text in headers.items():
        name = given.lower()
        place = f"{path}.{given}"
        if not name or not _TOKEN.issuperset(name):
            found.append(error(place, "is no name of a header", "use letters, digits and -"))
        elif name in _FORBIDDEN:
            found.append(error(place, "is settled by the client itself", "remove it"))
        elif name in _OURS:
            message = "has no effect: connections are kept for 15 seconds"
            found.append(warning(place, message, "remove it"))
        elif name in seen:
            found.append(error(place, "is there twice", "keep one"))
        else:
            yield name, text
        seen.add(name)


def _check_tls(
    options: HttpBackendOptions, urls: list[UrlTemplate], path: str, found: list[Finding]
) -> None:
    ssl: Any = options.ssl
    secure = [url for url in urls if url.secure]
    if secure and ssl is not None and not ssl.enable:
        found.append(
            error(
                f"{path}.ssl.enable",
                "is false, but the address is an https one",
                "set it to true, or write an http address",
            )
        )
    plain = [url for url in urls if not url.secure]
    if plain and ssl is not None and ssl.enable:
        found.append(
            warning(
                f"{path}.ssl",
                f"has no effect for {plain[0].server}: its address is an http one",
                "write https, or set ssl.enable = false",
            )
        )
    place = f"{path}.url" if options.url is not None else f"{path}.urls"
    found += [
        warning(
            place,
            f"questions go to {url.server} in the clear, and anybody in between can answer them",
            "use https",
        )
        for url in plain
        if not _is_here(url.server)
    ]


def _is_here(server: str) -> bool:
    host = (urlsplit(f"//{server}").hostname or "").lower()
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

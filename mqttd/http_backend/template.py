"""Templates of what an HTTP server is asked: parsed once, rendered for each request.

A value of a client never becomes more than a value: in an address it is percent-encoded, in a
form form-encoded, in JSON it is a text of the structure, and in a header whatever could end or
change the header refuses the client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import attrs

from mqttd.placeholders import (
    CLIENT,
    BadTemplate,
    CannotRender,
    Placeholders,
    Read,
    Template,
    parse_template,
)

LONGEST_URL: Final = 8192
"""Bytes of an address, rendered; longer ones many servers refuse."""
LONGEST_HEADER: Final = 8192
"""Bytes of one header value, rendered."""

_OF_ONE_CONNECTION: Final = "peerport"


def text_of(name: str, value: bytes | None) -> str | None:
    """The text in ``value``. Raises CannotRender when it is none: nobody else's name is sent."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        raise CannotRender(f"the {name} is not UTF-8 text") from None


ASKED_OF: Final[Mapping[str, Read]] = {
    **CLIENT,
    "psk_identity": lambda request: text_of("PSK identity", request.peer.psk_identity),
}
"""What servers are asked of a client: whoever cannot be named to them is refused."""


@attrs.frozen
class UrlTemplate:
    """An address whose scheme, host and port are fixed. ``origin`` is those, ``path`` and
    ``query`` templates; the query is None when there is none."""

    origin: str
    path: Template
    query: Template | None

    @property
    def secure(self) -> bool:
        """Whether it is an https address."""
        return self.origin.startswith("https:")

    @property
    def server(self) -> str:
        """Host and port as the address has them, for the log."""
        return self.origin.partition("://")[2]

    @property
    def names(self) -> frozenset[str]:
        """The placeholders in it."""
        return self.path.names | (self.query.names if self.query is not None else frozenset())

    def render(self, request: Any, extra_query: str = "") -> str:
        """The address for one request. Raises CannotRender."""
        path = self.path.render(request, _quote)
        if self.path.names:
            for segment in path.split("/"):
                # Servers resolve these, and another path than the operator's would be asked.
                if segment in (".", ".."):
                    raise CannotRender("a value makes a path of . or ..")
        query = "" if self.query is None else self.query.render(request, _quote)
        if extra_query:
            query = f"{query}&{extra_query}" if query else extra_query
        url = f"{self.origin}{path}?{query}" if query else f"{self.origin}{path}"
        if len(url) > LONGEST_URL:
            raise CannotRender(f"the address would have more than {LONGEST_URL} bytes")
        return url


def parse_url(text: str, placeholders: Placeholders) -> UrlTemplate:
    """The address in ``text``. Raises BadTemplate."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        problem = "scheme" if "${" in scheme else ""
        raise BadTemplate(
            "has a placeholder in its scheme" if problem else "is no http or https address",
            "write http://HOST/PATH or https://HOST/PATH",
        )
    end = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    # a ${ may hold a / of a mistyped name, and the host must not be cut there
    dollar = rest.find("${")
    if 0 <= dollar < end:
        raise BadTemplate(
            "has a placeholder in its host or port: clients would choose who is asked",
            "write host and port out; placeholders belong into path and query",
        )
    host, tail = rest[:end], rest[end:]
    if "#" in tail:
        raise BadTemplate("has a # part, which is never sent", "remove it, or write %23")
    if not host or "@" in host:
        raise BadTemplate(
            "holds a user name" if host else "names no server",
            "use a header Authorization" if host else "write http://HOST/PATH",
        )
    path, mark, query = tail.partition("?")
    parsed = UrlTemplate(
        f"{scheme.lower()}://{host}",
        parse_template(path or "/", placeholders),
        parse_template(query, placeholders) if mark else None,
    )
    for template in (parsed.path, parsed.query):
        for part in template.parts if template is not None else ():
            if isinstance(part, str) and not (part.isascii() and part.isprintable()):
                raise BadTemplate("has characters that no address has", "percent-encode them")
            if isinstance(part, str) and " " in part:
                raise BadTemplate("has a space", "write %20")
    return parsed


def _quote(value: str) -> str:
    return quote(value, safe="")


@attrs.frozen
class HeaderTemplate:
    """One header."""

    name: str
    value: Template

    def render(self, request: Any) -> tuple[str, str]:
        """Name and value for one request. Raises CannotRender for what is no header value."""
        value = self.value.render(request)
        if self.value.names:
            # RFC 9110 section 5.5: a line end would be another header, or another request
            if any(c < " " or c == "\x7f" for c in value):
                raise CannotRender(f"the header {self.name} would hold a control character")
            if value != value.strip(" "):
                # The server takes them off, and would see another value than this client has.
                raise CannotRender(f"the header {self.name} would begin or end with a space")
            try:
                length = len(value.encode())
            except UnicodeEncodeError:
                raise CannotRender(f"the header {self.name} would hold no text") from None
            if length > LONGEST_HEADER:
                raise CannotRender(f"the header {self.name} would be too long")
        return self.name, value


@attrs.frozen
class BodyTemplate:
    """A structure whose texts are templates; names are fixed."""

    content: Any
    names: frozenset[str]

    def json(self, request: Any) -> bytes:
        """JSON in ASCII for one request. Raises CannotRender."""
        content = _rendered(self.content, request)
        text = json.dumps(content, separators=(",", ":"))
        return text.encode("ascii")

    def form(self, request: Any) -> str:
        """``application/x-www-form-urlencoded`` for one request. Raises CannotRender."""
        pairs = []
        for name, value in self.content.items():
            text = value.render(request) if isinstance(value, Template) else _form_text(value)
            pairs.append((name, text))
        try:
            return urlencode(pairs)
        except UnicodeEncodeError:
            raise CannotRender("a value is no text") from None


def parse_body(
    content: Mapping[str, Any], placeholders: Placeholders, *, form: bool
) -> BodyTemplate:
    """The body of ``content``; ``form`` allows no sections inside. Raises BadTemplate."""
    names: set[str] = set()
    parsed = _parsed(content, placeholders, names)
    if form:
        for name, value in parsed.items():
            if isinstance(value, dict | list):
                raise BadTemplate(f"{name} is a section, which a form cannot hold", "use JSON")
    return BodyTemplate(parsed, frozenset(names))


def _parsed(value: Any, placeholders: Placeholders, names: set[str]) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if "${" in key:
                raise BadTemplate(f"has a placeholder in the name {key[:60]}", "use values only")
        return {key: _parsed(item, placeholders, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_parsed(item, placeholders, names) for item in value]
    if isinstance(value, str):
        template = parse_template(value, placeholders)
        names |= template.names
        return template if template.names else template.literal
    return value


def _rendered(value: Any, request: Any) -> Any:
    if isinstance(value, Template):
        text = value.render(request)
        if not text.isascii():
            _encodable(text)
        return text
    if isinstance(value, dict):
        return {key: _rendered(item, request) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item, request) for item in value]
    return value


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CannotRender("a value is no text") from None


def _form_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def once_only(names: frozenset[str]) -> bool:
    """Whether no two connections have the same values, so that remembering answers is vain."""
    return _OF_ONE_CONNECTION in names


def names_in(*templates: UrlTemplate | BodyTemplate | HeaderTemplate) -> frozenset[str]:
    """The placeholders in all of them."""
    return frozenset(_each_name(templates))


def _each_name(
    templates: tuple[UrlTemplate | BodyTemplate | HeaderTemplate, ...],
) -> Iterator[str]:
    for each in templates:
        yield from each.value.names if isinstance(each, HeaderTemplate) else each.names

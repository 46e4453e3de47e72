"""Templates of what an HTTP server is asked: parsed once, rendered for each client.

A value of a client never becomes more than a value: in an address it is percent-encoded, in a
form form-encoded, in JSON it is a text of the structure, and in a header whatever could end or
change the header refuses the client.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import string
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import attrs

from mqttd.identity import ConnectRequest, PeerCertificate

LONGEST_URL: Final = 8192
"""Bytes of an address, rendered; longer ones many servers refuse."""
LONGEST_HEADER: Final = 8192
"""Bytes of one header value, rendered."""

_ATTRIBUTE: Final = "client_attrs."
_NAME: Final = frozenset(string.ascii_letters + string.digits + "_-.")


class BadTemplate(ValueError):  # noqa: N818 - names what is wrong
    """The operator's template cannot be used: ``problem`` says why, ``cure`` what would do."""

    def __init__(self, problem: str, cure: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


class CannotRender(ValueError):  # noqa: N818 - names what is wrong
    """A value of this client does not fit where the template wants it; holds no value."""


def _certificate(read: Callable[[PeerCertificate], str]) -> Callable[[ConnectRequest], str]:
    def value(request: ConnectRequest) -> str:
        certificate = request.peer.certificate
        return "" if certificate is None else read(certificate)

    return value


def _text(name: str, value: bytes | None) -> str:
    if value is None:
        return ""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CannotRender(f"the {name} is not UTF-8 text") from None


_VALUES: Final[dict[str, Callable[[ConnectRequest], str]]] = {
    "username": lambda request: request.username or "",
    "password": lambda request: _text("password", request.password),
    "clientid": lambda request: request.client_id,
    "peerhost": lambda request: request.peer.peer[0],
    "peerport": lambda request: str(request.peer.peer[1]),
    "listener": lambda request: request.peer.listener,
    "sni": lambda request: request.peer.sni or "",
    "tls_version": lambda request: request.peer.tls_version or "",
    "psk_identity": lambda request: _text("PSK identity", request.peer.psk_identity),
    "cert_subject": _certificate(lambda certificate: certificate.subject),
    "cert_common_name": _certificate(lambda certificate: certificate.common_name),
    # base64 of the DER without lines around it, as EMQX has it under this name
    "cert_pem": _certificate(lambda certificate: base64.b64encode(certificate.der).decode()),
    "cert_san_dns": _certificate(lambda certificate: ",".join(certificate.san_dns)),
    "cert_san_uri": _certificate(lambda certificate: ",".join(certificate.san_uri)),
    "cert_san_email": _certificate(lambda certificate: ",".join(certificate.san_email)),
    "cert_serial": _certificate(lambda certificate: f"{certificate.serial:x}"),
    "cert_fingerprint": _certificate(
        lambda certificate: hashlib.sha256(certificate.der).hexdigest()
    ),
}
PLACEHOLDERS: Final = (*sorted(_VALUES), f"{_ATTRIBUTE}NAME")
"""Every name that may stand in ``${...}``."""

_OF_ONE_CONNECTION: Final = "peerport"


@attrs.frozen
class Template:
    """A text with placeholders, parsed. ``parts`` are texts and functions by turns."""

    parts: tuple[str | Callable[[ConnectRequest], str], ...]
    names: frozenset[str]

    def render(self, request: ConnectRequest, encode: Callable[[str], str] = str) -> str:
        """The text for one client, each value put through ``encode``. Raises CannotRender."""
        try:
            return "".join(
                part if isinstance(part, str) else encode(part(request)) for part in self.parts
            )
        except UnicodeEncodeError:  # a lone surrogate: no UTF-8 for it
            raise CannotRender("a value is no text") from None

    @property
    def literal(self) -> str | None:
        """The text itself when no placeholder is in it."""
        return None if self.names else "".join(self.parts)  # type: ignore[arg-type]


def parse_template(text: str) -> Template:
    """The template in ``text``; ``${$}`` is a dollar sign. Raises BadTemplate."""
    parts: list[str | Callable[[ConnectRequest], str]] = []
    names: set[str] = set()
    position = 0
    while True:
        begin = text.find("${", position)
        literal = text[position:] if begin < 0 else text[position:begin]
        if literal:
            parts.append(literal)
        if begin < 0:
            return Template(tuple(parts), frozenset(names))
        end = text.find("}", begin)
        if end < 0:
            raise BadTemplate("has a ${ without its }", "close it, or write ${$}{ for the text")
        name = text[begin + 2 : end]
        position = end + 1
        if name == "$":
            parts.append("$")
            continue
        parts.append(_value(name))
        names.add(name)


def _value(name: str) -> Callable[[ConnectRequest], str]:
    if name in _VALUES:
        return _VALUES[name]
    if name.startswith(_ATTRIBUTE):
        attribute = name.removeprefix(_ATTRIBUTE)
        if attribute and _NAME.issuperset(attribute):
            return lambda request: request.attributes.get(attribute, "")
        raise BadTemplate(f"${{{name[:60]}}} names no attribute", "write ${client_attrs.NAME}")
    near = difflib.get_close_matches(name.strip().lower(), PLACEHOLDERS, n=1, cutoff=0.5)
    cure = f"did you mean ${{{near[0]}}}?" if near else f"known here: {', '.join(PLACEHOLDERS)}"
    raise BadTemplate(f"there is no placeholder ${{{name[:60]}}}", cure)


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

    def render(self, request: ConnectRequest, extra_query: str = "") -> str:
        """The address for one client. Raises CannotRender."""
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


def parse_url(text: str) -> UrlTemplate:
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
        parse_template(path or "/"),
        parse_template(query) if mark else None,
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

    def render(self, request: ConnectRequest) -> tuple[str, str]:
        """Name and value for one client. Raises CannotRender for what is no header value."""
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

    def json(self, request: ConnectRequest) -> bytes:
        """JSON in ASCII for one client. Raises CannotRender."""
        content = _rendered(self.content, request)
        text = json.dumps(content, separators=(",", ":"))
        return text.encode("ascii")

    def form(self, request: ConnectRequest) -> str:
        """``application/x-www-form-urlencoded`` for one client. Raises CannotRender."""
        pairs = []
        for name, value in self.content.items():
            text = value.render(request) if isinstance(value, Template) else _form_text(value)
            pairs.append((name, text))
        try:
            return urlencode(pairs)
        except UnicodeEncodeError:
            raise CannotRender("a value is no text") from None


def parse_body(content: Mapping[str, Any], *, form: bool) -> BodyTemplate:
    """The body of ``content``; ``form`` allows no sections inside. Raises BadTemplate."""
    names: set[str] = set()
    parsed = _parsed(content, names)
    if form:
        for name, value in parsed.items():
            if isinstance(value, dict | list):
                raise BadTemplate(f"{name} is a section, which a form cannot hold", "use JSON")
    return BodyTemplate(parsed, frozenset(names))


def _parsed(value: Any, names: set[str]) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if "${" in key:
                raise BadTemplate(f"has a placeholder in the name {key[:60]}", "use values only")
        return {key: _parsed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_parsed(item, names) for item in value]
    if isinstance(value, str):
        template = parse_template(value)
        names |= template.names
        return template if template.names else template.literal
    return value


def _rendered(value: Any, request: ConnectRequest) -> Any:
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

"""Placeholders in the operator's texts, ``${username}`` and the others: names and parsing."""

from __future__ import annotations

import base64
import difflib
import hashlib
import string
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from mqttd.identity import PeerCertificate

Read = Callable[[Any], str | None]
"""Reads one value of a request; None when there is none. May raise CannotRender."""

_ATTRIBUTE: Final = "client_attrs."
_NAME: Final = frozenset(string.ascii_letters + string.digits + "_-.")


class BadTemplate(ValueError):  # noqa: N818 - names what is wrong
    """The operator's text cannot be used: ``problem`` says why, ``cure`` what would do."""

    def __init__(self, problem: str, cure: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


class CannotRender(ValueError):  # noqa: N818 - names what is wrong
    """A value of this client does not fit where the template wants it; holds no value."""


def _certificate(read: Callable[[PeerCertificate], str]) -> Read:
    def value(request: Any) -> str | None:
        certificate = request.peer.certificate
        return None if certificate is None else read(certificate)

    return value


def _psk_identity(request: Any) -> str | None:
    identity = request.peer.psk_identity
    try:
        return None if identity is None else identity.decode()
    except UnicodeDecodeError:
        return None


CLIENT: Final[Mapping[str, Read]] = {
    "username": lambda request: request.username,
    "clientid": lambda request: request.client_id,
    "peerhost": lambda request: request.peer.peer[0],
    "peerport": lambda request: str(request.peer.peer[1]),
    "listener": lambda request: request.peer.listener,
    "sni": lambda request: request.peer.sni,
    "tls_version": lambda request: request.peer.tls_version,
    "psk_identity": _psk_identity,
    "cert_subject": _certificate(lambda certificate: certificate.subject),
    "cert_issuer": _certificate(lambda certificate: certificate.issuer),
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
"""What is known of a client, by placeholder: of a ConnectRequest and of an AccessRequest."""


def is_attribute_name(name: str) -> bool:
    """Whether an attribute can be called so."""
    return bool(name) and _NAME.issuperset(name)


@attrs.frozen
class Placeholders:
    """The names that may stand in ``${...}``, and what reads each of a request.

    ``attributes`` gives the client's attributes, for ``${client_attrs.NAME}``.
    """

    values: Mapping[str, Read]
    attributes: Callable[[Any], Mapping[str, str]]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name."""
        return (*sorted(self.values), f"{_ATTRIBUTE}NAME")

    def read(self, name: str) -> Read:
        """What reads the value of this name. Raises BadTemplate."""
        if name in self.values:
            return self.values[name]
        if name.startswith(_ATTRIBUTE):
            attribute = name.removeprefix(_ATTRIBUTE)
            if is_attribute_name(attribute):
                attributes = self.attributes
                return lambda request: attributes(request).get(attribute)
            raise BadTemplate(f"${{{name[:60]}}} names no attribute", "write ${client_attrs.NAME}")
        near = difflib.get_close_matches(name.strip().lower(), self.names, n=1, cutoff=0.5)
        cure = f"did you mean ${{{near[0]}}}?" if near else f"known here: {', '.join(self.names)}"
        raise BadTemplate(f"there is no placeholder ${{{name[:60]}}}", cure)


@attrs.frozen
class Template:
    """A text with placeholders, parsed: ``parts`` are texts and functions, ``names`` those of
    the placeholders."""

    parts: tuple[str | Read, ...]
    names: frozenset[str] = frozenset()

    def render(self, request: Any, encode: Callable[[str], str] = str) -> str:
        """The text for one request, each value put through ``encode``; an absent one is empty.
        Raises CannotRender."""
        try:
            return "".join(
                part if isinstance(part, str) else encode(part(request) or "")
                for part in self.parts
            )
        except UnicodeEncodeError:  # a lone surrogate: no UTF-8 for it
            raise CannotRender("a value is no text") from None

    @property
    def literal(self) -> str | None:
        """The text itself when no placeholder is in it."""
        texts = [part for part in self.parts if isinstance(part, str)]
        return "".join(texts) if len(texts) == len(self.parts) else None


def parse_template(text: str, placeholders: Placeholders) -> Template:
    """The template in ``text``; ``${$}`` is a dollar sign. Raises BadTemplate."""
    parts: list[str | Read] = []
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
        parts.append(placeholders.read(name))
        names.add(name)

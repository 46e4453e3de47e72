"""Placeholders of rules and of what servers are asked: ``${username}`` and the others."""

from __future__ import annotations

import base64
import difflib
import hashlib
import string
from collections.abc import Callable
from typing import Final

import attrs

from mqttd.identity import AccessRequest, PeerCertificate

Value = Callable[[AccessRequest], str | None]
"""Reads one placeholder's value; None when the client has none."""

_ATTRIBUTE: Final = "client_attrs."
_NAME: Final = frozenset(string.ascii_letters + string.digits + "_-.")


class BadPlaceholder(ValueError):  # noqa: N818 - names what is wrong
    """A text with placeholders cannot be used: ``problem`` says why, ``cure`` what would do."""

    def __init__(self, problem: str, cure: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


def _certificate(read: Callable[[PeerCertificate], str]) -> Value:
    def value(request: AccessRequest) -> str | None:
        certificate = request.peer.certificate
        return None if certificate is None else read(certificate)

    return value


def _psk_identity(request: AccessRequest) -> str | None:
    identity = request.peer.psk_identity
    try:
        return None if identity is None else identity.decode()
    except UnicodeDecodeError:
        return None


CLIENT: Final[dict[str, Value]] = {
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
"""What is known of the client, by placeholder."""

ASKED: Final[dict[str, Value]] = {
    "action": lambda request: request.action,
    "topic": lambda request: request.topic,
    "qos": lambda request: str(request.qos),
    "retain": lambda request: "true" if request.retain else "false",
}
"""What the client wants to do, by placeholder; not for topics of rules."""

PLACEHOLDERS: Final = (*sorted(CLIENT), f"{_ATTRIBUTE}NAME")
"""Every name that may stand in ``${...}`` of a rule's topic."""


def attribute(request: AccessRequest, name: str) -> str | None:
    """One attribute that the authenticator gave with the identity."""
    return request.identity.attributes.get(name)


def attribute_name(name: str) -> bool:
    """Whether an attribute can be called so."""
    return bool(name) and _NAME.issuperset(name)


def value_of(name: str) -> Value:
    """What reads the placeholder of this name, one of the client's. Raises BadPlaceholder."""
    if name in CLIENT:
        return CLIENT[name]
    if name.startswith(_ATTRIBUTE):
        key = name.removeprefix(_ATTRIBUTE)
        if attribute_name(key):
            return lambda request: attribute(request, key)
        raise BadPlaceholder(f"${{{name[:60]}}} names no attribute", "write ${client_attrs.NAME}")
    near = difflib.get_close_matches(name.strip().lower(), PLACEHOLDERS, n=1, cutoff=0.5)
    cure = f"did you mean ${{{near[0]}}}?" if near else f"known here: {', '.join(PLACEHOLDERS)}"
    raise BadPlaceholder(f"there is no placeholder ${{{name[:60]}}}", cure)


@attrs.frozen
class Template:
    """A text with placeholders, parsed. ``parts`` are texts and functions."""

    parts: tuple[str | Value, ...]

    @property
    def literal(self) -> str | None:
        """The text itself when no placeholder is in it."""
        texts = [part for part in self.parts if isinstance(part, str)]
        return "".join(texts) if len(texts) == len(self.parts) else None


def parse_template(text: str, find: Callable[[str], Value] = value_of) -> Template:
    """The template in ``text``; ``${$}`` is a dollar sign. Raises BadPlaceholder."""
    parts: list[str | Value] = []
    position = 0
    while True:
        begin = text.find("${", position)
        literal = text[position:] if begin < 0 else text[position:begin]
        if literal:
            parts.append(literal)
        if begin < 0:
            return Template(tuple(parts))
        end = text.find("}", begin)
        if end < 0:
            raise BadPlaceholder("has a ${ without its }", "close it, or write ${$}{ for the text")
        name = text[begin + 2 : end]
        position = end + 1
        parts.append("$" if name == "$" else find(name))


def safe_in_topic(value: str) -> bool:
    """Whether the value is at most one level and holds no wildcard: it can only be itself."""
    return not any(mark in value for mark in "+#/\0")

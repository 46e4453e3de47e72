"""Attributes of a client, taken from what it came with: ``mqtt.client_attrs_init``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from mqttd.identity import ConnectRequest

_USER_PROPERTY: Final = "user_property."
_LONGEST: Final = 4_096
"""Bytes of one value: attributes are kept for as long as the client is there."""


def _first(values: tuple[str, ...]) -> str:
    return values[0] if values else ""


def _certificate(read: Callable[[ConnectRequest], str | None]) -> Callable[..., str | None]:
    return lambda request: None if request.peer.certificate is None else read(request)


def _psk_identity(request: ConnectRequest) -> str | None:
    identity = request.peer.psk_identity
    try:
        return None if identity is None else identity.decode()
    except UnicodeDecodeError:
        return None


_READ: Final[Mapping[str, Callable[[ConnectRequest], str | None]]] = MappingProxyType(
    {
        "username": lambda request: request.username,
        "clientid": lambda request: request.client_id,
        "peerhost": lambda request: request.peer.peer[0],
        "peersni": lambda request: request.peer.sni,
        "listener": lambda request: request.peer.listener,
        "psk_identity": _psk_identity,
        "cn": _certificate(lambda request: request.peer.certificate.common_name),  # type: ignore[union-attr]
        "dn": _certificate(lambda request: request.peer.certificate.subject),  # type: ignore[union-attr]
        "cert_san.dns": _certificate(lambda request: _first(request.peer.certificate.san_dns)),  # type: ignore[union-attr]
        "cert_san.uri": _certificate(lambda request: _first(request.peer.certificate.san_uri)),  # type: ignore[union-attr]
        "cert_san.email": _certificate(lambda request: _first(request.peer.certificate.san_email)),  # type: ignore[union-attr]
    }
)
EXPRESSIONS: Final = (*_READ, f"{_USER_PROPERTY}NAME")
"""What an attribute can be taken from."""


@attrs.frozen
class ClientAttribute:
    """One attribute: its name, and what it is taken from (one of :data:`EXPRESSIONS`)."""

    name: str
    expression: str


def is_expression(text: str) -> bool:
    """Whether an attribute can be taken from this."""
    return text in _READ or (text.startswith(_USER_PROPERTY) and text != _USER_PROPERTY)


def client_attributes(
    wanted: Iterable[ClientAttribute], request: ConnectRequest
) -> dict[str, str]:
    """The attributes by name. One whose value is not there, is empty or is longer than 4 KB, is
    left out; of user properties with one name the first counts."""
    found = {}
    for each in wanted:
        value = _value(each.expression, request)
        if value and len(value.encode("utf-8", "surrogatepass")) <= _LONGEST:
            found[each.name] = value
    return found


def _value(expression: str, request: ConnectRequest) -> str | None:
    read = _READ.get(expression)
    if read is not None:
        return read(request)
    name = expression.removeprefix(_USER_PROPERTY)
    return next((value for key, value in request.user_properties if key == name), None)

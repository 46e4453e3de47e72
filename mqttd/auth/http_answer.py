"""What the answer of an HTTP server says of a client: in, out, no opinion, or nothing usable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from mqttd.auth.acl_claims import access_rules
from mqttd.http_backend.answer import ALLOW, BAD_CONTENT, DENY, BadAnswer, read_said
from mqttd.identity import AccessRule, Refused
from mqttd.packets.primitives import is_text
from mqttd.packets.reason_codes import ReasonCode

_MILLISECONDS: Final = 100_000_000_000
"""Seconds from here on (the year 5138) are taken for milliseconds."""


@attrs.frozen
class Allowed:
    """The client is let in. ``expires_at``: epoch s; ``rules``: what it may do."""

    is_superuser: bool = False
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    expires_at: int | None = None
    client_id: str | None = None
    rules: tuple[AccessRule, ...] = ()


@attrs.frozen
class Denied:
    """The client is refused."""


_NEITHER: Final = ("", None)


def read_answer(
    status: int, content_type: str | None, body: bytes, now: float
) -> Allowed | Denied | None:
    """What the answer says; None: the server leaves it to others. ``now``: epoch seconds.

    Raises BadAnswer when the server failed, and Refused (0x86) when it lets the client in until
    a moment that makes no sense or is over.
    """
    said = read_said(status, content_type, body)
    if said.result == ALLOW:
        return _allowed(said.fields, now, form=said.form)
    return Denied() if said.result == DENY else None


def _allowed(fields: Mapping[str, Any], now: float, *, form: bool) -> Allowed:
    return Allowed(
        is_superuser=_superuser(fields.get("is_superuser"), form=form),
        attributes=_attributes(fields.get("client_attrs")),
        expires_at=_expiry(fields.get("expire_at"), now, form=form),
        client_id=_client_id(fields.get("clientid_override")),
        rules=_rules(fields.get("acl")),
    )


def _superuser(value: Any, *, form: bool) -> bool:
    """Whatever is not plainly a yes is a no."""
    if isinstance(value, str):
        return value == "true" or (form and value == "1")
    return value is True or (type(value) is int and value == 1)


def _attributes(value: Any) -> dict[str, str]:
    if value in _NEITHER:
        return {}
    if not isinstance(value, dict) or not all(map(is_text, (*value, *value.values()))):
        raise BadAnswer(BAD_CONTENT, "answers with client_attrs that are no texts by names")
    return value


def _expiry(value: Any, now: float, *, form: bool) -> int | None:
    if value in _NEITHER:
        return None
    if form and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if type(value) is not int:
        problem = "is no whole number of seconds"
    elif value >= _MILLISECONDS:
        problem = "is so large that it must be milliseconds"
    elif value <= now:
        problem = "is over"
    else:
        return value
    raise Refused(
        ReasonCode.BAD_USER_NAME_OR_PASSWORD, f"the expire_at of the HTTP server {problem}"
    )


def _client_id(value: Any) -> str | None:
    if value in _NEITHER:
        return None
    if not is_text(value):
        raise BadAnswer(BAD_CONTENT, "answers with a clientid_override that is no text for MQTT")
    return value


def _rules(value: Any) -> tuple[AccessRule, ...]:
    if value in _NEITHER:
        return ()
    try:
        return access_rules(value)
    except ValueError as problem:
        raise BadAnswer(BAD_CONTENT, f"answers with an acl that {problem}") from None

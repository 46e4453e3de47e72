"""What a token's claims must be, and what they make of a client (RFC 7519 section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from mqttd.auth.acl_claims import access_rules
from mqttd.auth.jwt_token import BadToken, parse_json
from mqttd.identity import AccessRule, ConnectRequest, Identity
from mqttd.packets.primitives import is_text
from mqttd.placeholders import CannotRender, Template

_MILLISECONDS: Final = 100_000_000_000
"""Seconds from here on (the year 5138) are taken for milliseconds."""


@attrs.frozen(kw_only=True)
class ClaimRules:
    """The operator's rules, and the names of the claims that make an identity."""

    verify: Mapping[str, Template] = attrs.field(factory=dict)
    issuer: frozenset[str] = frozenset()
    audience: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    require_exp: bool = True
    leeway: float = 0.0
    cut: bool = True
    """Whether the end of the token ends the session."""
    acl: str = "acl"
    username: str | None = None
    from_username: bool = False
    """Whether the token came as the user name, which then is none."""

    def identity(self, payload: bytes, request: ConnectRequest, now: float) -> Identity:
        """Who the client is by a token that is verified; ``now``: epoch seconds.

        Raises BadToken.
        """
        try:
            claims = parse_json(payload)
        except ValueError:
            raise BadToken("the token's claims are no JSON") from None
        if not isinstance(claims, dict):
            raise BadToken("the token's claims are no JSON object")
        end = self._check_times(claims, now)
        self._check(claims, request)
        return Identity(
            username=self._username(claims, request),
            client_id=_text(claims, "clientid_override"),
            is_superuser=_superuser(claims.get("is_superuser")),
            attributes=_attributes(claims.get("client_attrs")),
            expires_at=end if self.cut else None,
            rules=self._rules(claims),
        )

    def _check_times(self, claims: Mapping[str, Any], now: float) -> float | None:
        """``exp``, ``nbf`` and ``iat``; when the token ends."""
        end = _time(claims, "exp")
        if end is None and self.require_exp:
            raise BadToken("the token has no exp")
        if end is not None:
            end += self.leeway
            if end <= now:
                raise BadToken("the token has expired")
        for name in ("nbf", "iat"):
            begin = _time(claims, name)
            if begin is not None and begin > now + self.leeway:
                what = "is not good yet" if name == "nbf" else "was made in the future"
                raise BadToken(f"the token {what} ({name})")
        return end

    def _check(self, claims: Mapping[str, Any], request: ConnectRequest) -> None:
        for name in self.required:
            if claims.get(name) is None:
                raise BadToken(f"the token has no {name}")
        issuer = claims.get("iss")
        if self.issuer and not (isinstance(issuer, str) and issuer in self.issuer):
            raise BadToken("the token's iss is not one of those accepted")
        if self.audience and self.audience.isdisjoint(_texts(claims.get("aud"))):
            raise BadToken("the token's aud does not name us")
        for name, template in self.verify.items():
            if name not in claims:
                raise BadToken(f"the token has no {name}")
            if not _is(claims[name], template, request):
                raise BadToken(f"the token's {name} is not what it must be")

    def _username(self, claims: Mapping[str, Any], request: ConnectRequest) -> str | None:
        if self.username is not None:
            name = _text(claims, self.username)
            if not name:
                raise BadToken(f"the token has no {self.username}")
            return name
        if not self.from_username:
            return request.username
        # The name the client sent is its token, which must not go on into logs and rules.
        return _text(claims, "sub") or ""

    def _rules(self, claims: Mapping[str, Any]) -> tuple[AccessRule, ...]:
        given = claims.get(self.acl)
        if given is None:
            return ()
        try:
            return access_rules(given)
        except ValueError as problem:
            raise BadToken(f"the token's {self.acl} {problem}") from None


def _is(claim: Any, template: Template, request: ConnectRequest) -> bool:
    """Whether a claim has the value it must have, or a list of claims contains it.

    What is not known of the client fits nothing, not even an empty claim.
    """
    empty = []

    def known(value: str) -> str:
        empty.append(not value)
        return value

    try:
        wanted = template.render(request, known)
    except CannotRender:
        return False
    return not any(empty) and wanted in _texts(claim)


def _texts(claim: Any) -> tuple[str, ...]:
    """A claim as texts: of a list each part."""
    values = claim if isinstance(claim, list) else [claim]
    return tuple(text for text in map(_as_text, values) if text is not None)


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else None


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2), in epoch seconds."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadToken(f"the token's {name} is no number")
    if not -_MILLISECONDS < value < _MILLISECONDS:
        raise BadToken(f"the token's {name} is so large that it must be milliseconds")
    return float(value)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None or value == "":
        return None
    if not is_text(value):
        raise BadToken(f"the token's {name} is no text for MQTT")
    return value


def _superuser(value: Any) -> bool:
    """Whatever is not plainly a yes is a no."""
    return value is True or value == "true" or (type(value) is int and value == 1)


def _attributes(value: Any) -> dict[str, str]:
    if value is None or value == "":
        return {}
    if not isinstance(value, dict) or not all(map(is_text, (*value, *value.values()))):
        raise BadToken("the token's client_attrs are no texts by names")
    return value

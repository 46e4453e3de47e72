"""What authenticators answered, looked at before the broker acts on it: strangers write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from mqttd.identity import AccessRule, Identity, Refused
from mqttd.packets.primitives import is_text
from mqttd.packets.reason_codes import ReasonCode

_LONGEST_REASON: Final = 1_000
"""Characters of a reason; the rest is left out."""
_ACTIONS: Final = frozenset({"publish", "subscribe", "all"})


class WrongAnswer(TypeError):  # noqa: N818 - names what happened
    """An answer that the interface does not know. ``safe_text`` holds nothing of it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.safe_text = text


def still_good(identity: Identity, now: float) -> Identity | Refused:
    """An identity that has ended already (``now``: epoch seconds) lets nobody in.

    Raises WrongAnswer for one that makes no sense. A Client Identifier with U+0000 would be that
    of another tenant, and an end that is no number would never come.
    """
    wrong = next((name for name, right in _fields(identity) if not right), None)
    if wrong is not None:
        raise WrongAnswer(f"it gave an Identity whose {wrong} makes no sense")
    if identity.expires_at is not None and identity.expires_at <= now:
        return Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "what was proved has expired")
    return identity


def presentable(refused: Refused) -> Refused:
    """The refusal as the broker can send and log it: whatever it says, it refuses."""
    code, reason = refused.reason_code, refused.reason
    known = isinstance(code, int) and 0x80 <= code <= 0xFF
    if known and reason == "":
        return refused
    return Refused(
        code if known else ReasonCode.NOT_AUTHORIZED,
        reason[:_LONGEST_REASON] if is_text(reason) else "",
    )


def _fields(identity: Identity) -> Any:
    """Each field's name, and whether it has what it may have."""
    end = identity.expires_at
    yield "username", identity.username is None or is_text(identity.username)
    yield "client_id", identity.client_id is None or is_text(identity.client_id)
    yield "is_superuser", isinstance(identity.is_superuser, bool)
    yield "expires_at", end is None or (_is_number(end) and not math.isnan(end))
    yield "attributes", _are_attributes(identity.attributes)
    yield "rules", isinstance(identity.rules, tuple) and all(map(_is_rule, identity.rules))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_attributes(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(text, str) for name, text in value.items()
    )


def _is_rule(rule: object) -> bool:
    return (
        isinstance(rule, AccessRule)
        and isinstance(rule.allow, bool)
        and rule.action in _ACTIONS
        and isinstance(rule.topics, tuple)
        and all(isinstance(topic, str) for topic in rule.topics)
        and (rule.qos is None or isinstance(rule.qos, frozenset))
        and (rule.retain is None or isinstance(rule.retain, bool))
    )

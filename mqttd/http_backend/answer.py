"""What the answer of an HTTP server holds: a result with fields beside it, or nothing usable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs

BAD_STATUS: Final = "bad-status"
BAD_CONTENT: Final = "bad-content"

ALLOW: Final = "allow"
DENY: Final = "deny"
IGNORE: Final = "ignore"

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 1000


class BadAnswer(Exception):  # noqa: N818 - names what is wrong
    """The server failed: ``cause`` is a stable word, ``text`` goes on after its name."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause
        self.text = text


@attrs.frozen
class Said:
    """``result`` is ``allow``, ``deny`` or ``ignore``; ``form``: the fields were a form's."""

    result: str
    fields: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    form: bool = False


def read_said(status: int, content_type: str | None, body: bytes) -> Said:
    """What the answer says: 204 allows, 200 has a ``result``. Raises BadAnswer for any other."""
    if status == 204:
        return Said(ALLOW)
    if status != 200:
        raise BadAnswer(BAD_STATUS, f"answers with status {status}")
    fields, form = _fields(content_type, body)
    result = fields.get("result", IGNORE)
    if result not in (ALLOW, DENY, IGNORE):
        raise BadAnswer(BAD_CONTENT, "answers with a result that is none")
    return Said(result, fields, form)


def _fields(content_type: str | None, body: bytes) -> tuple[dict[str, Any], bool]:
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind == _JSON:
        return _json(body), False
    if kind == _FORM:
        return _form(body), True
    if not kind:
        raise BadAnswer(BAD_CONTENT, "answers without a content type")
    shown = kind if kind.isascii() and kind.isprintable() and len(kind) < 60 else "another"
    raise BadAnswer(BAD_CONTENT, f"answers with content of the type {shown}")


def _json(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadAnswer(BAD_CONTENT, "answers with something that is no JSON") from None
    if not isinstance(fields, dict):
        raise BadAnswer(BAD_CONTENT, "answers with JSON that is no object")
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """No name twice: which one counts is anybody's guess (RFC 8259 section 4)."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError
    return fields


def _no_constant(_: str) -> Any:
    raise ValueError  # NaN and Infinity are no JSON


def _form(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            body.decode("ascii").strip(),
            keep_blank_values=True,
            strict_parsing=bool(body.strip()),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
        return _unique(pairs)
    except ValueError:
        raise BadAnswer(BAD_CONTENT, "answers with something that is no form") from None

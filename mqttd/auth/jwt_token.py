"""Takes a signed token apart, strictly and within bounds; it knows nothing of keys and claims."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

import attrs

_LONGEST_KEY_ID: Final = 1024
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class BadToken(Exception):  # noqa: N818 - names what happened
    """A token that is refused. ``reason`` is for the log and the client: it quotes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen
class Token:
    """A JSON Web Signature in its compact form (RFC 7515 section 7.1), nothing of it verified."""

    algorithm: str
    key_id: str | None
    signed: bytes = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)
    payload: bytes = attrs.field(repr=False)


def parse_token(text: bytes) -> Token | None:
    """The token in ``text``; None when there is none, so that it may be a password.

    Raises BadToken for one that nobody should accept.
    """
    parts = text.split(b".", 3)
    if len(parts) != 3 or not parts[0] or not parts[1]:
        return None
    decoded = [decode_base64url(part) for part in parts]
    header, payload, signature = decoded
    if header is None or payload is None or signature is None:
        return None
    try:
        fields = parse_json(header)
    except ValueError:
        return None
    if not isinstance(fields, dict) or not isinstance(fields.get("alg"), str):
        return None
    if "crit" in fields:
        # RFC 7515 section 4.1.11: extensions must be understood, and we know none
        raise BadToken("the token has critical extensions, of which none is known")
    key_id = fields.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and len(key_id) <= _LONGEST_KEY_ID):
        raise BadToken("the token's kid is no text, or too long")
    return Token(fields["alg"], key_id, b".".join(parts[:2]), signature, payload)


def decode_base64url(text: bytes) -> bytes | None:
    """Base64url without padding (RFC 7515 section 2); None for everything else."""
    if not _ALPHABET.issuperset(text):
        return None  # the decoder would skip what it does not know
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return None
    # RFC 4648 section 3.5: bits that do not count would make two texts of one token
    return data if base64.urlsafe_b64encode(data).rstrip(b"=") == text else None


def parse_json(data: bytes) -> Any:
    """What JSON says, by RFC 8259. Raises ValueError, also for a name that stands twice: which
    one counts is anybody's guess."""
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice")
    return fields


def _no_constant(_: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")

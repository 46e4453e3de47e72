"""Lines of the audit log, each sealed with the hash of the one before it.

A line is a JSON object. Its last two names are ``prev``, the hash of the line before, and
``hash``: SHA-256 over the bytes of the line before ``,"hash"``; with a key HMAC-SHA-256 (RFC
2104), so that who can write the file cannot seal it anew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

import attrs

BEGINNING: Final = "0" * 64
"""``prev`` of the first line there ever was."""
RESUMED: Final = "audit_resumed"
"""The event of the first line after a start. ``torn``, where it has it, is the SHA-256 of what
stood behind the last whole line: a line that a crash cut off."""

_MARK: Final = b',"hash":"'
_TAIL: Final = len(_MARK) + 64 + len(b'"}')
_HEXADECIMAL: Final = frozenset(b"0123456789abcdef")


class BrokenRecord(ValueError):  # noqa: N818 - names what is wrong
    """A line that is no record, or not the one it says it is; the text says why."""


@attrs.frozen
class Head:
    """The end of a chain: the number of the last line and its hash."""

    seq: int = 0
    hash: str = BEGINNING


def sealed(head: Head, fields: Mapping[str, Any], key: bytes = b"") -> tuple[bytes, Head]:
    """The next line, with its line feed, and the chain's new end. ``fields`` are JSON values."""
    seq = head.seq + 1
    body = json.dumps(
        {"seq": seq, **fields, "prev": head.hash}, separators=(",", ":"), allow_nan=False
    ).encode()[:-1]
    seal = _seal(body, key)
    return body + _MARK + seal.encode() + b'"}\n', Head(seq, seal)


def opened(line: bytes, key: bytes = b"") -> tuple[dict[str, Any], Head]:
    """The fields of a line without its line feed, and where the chain is behind it.

    Raises BrokenRecord. Whether it follows the line before, see :func:`follows`.
    """
    body, tail = line[:-_TAIL], line[-_TAIL:]
    seal = tail[len(_MARK) : -2]
    if not (body and tail.startswith(_MARK) and tail.endswith(b'"}')):
        raise BrokenRecord("is no record of an audit log")
    if not _HEXADECIMAL.issuperset(seal):
        raise BrokenRecord("has a hash that is none")
    if not hmac.compare_digest(_seal(body, key).encode(), seal):
        raise BrokenRecord("is not what was written: its hash is another")
    try:
        fields = json.loads(body + b"}")
    except ValueError:
        raise BrokenRecord("is no record of an audit log") from None
    if not isinstance(fields, dict) or type(fields.get("seq")) is not int:
        raise BrokenRecord("has no number")
    return fields, Head(fields["seq"], seal.decode())


def follows(fields: Mapping[str, Any], before: Head) -> bool:
    """Whether a record is the next one behind ``before``."""
    return fields["seq"] == before.seq + 1 and fields.get("prev") == before.hash


def torn_hash(line: bytes) -> str:
    """What the record behind a torn line says of it."""
    return hashlib.sha256(line).hexdigest()


def _seal(body: bytes, key: bytes) -> str:
    if key:
        return hmac.digest(key, body, "sha256").hex()
    return hashlib.sha256(body).hexdigest()

"""The file of pre-shared keys: ``IDENTITY:KEY`` lines in, every key or every bad line out."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attrs

SHORTEST_KEY: Final = 16
"""Bytes; a shorter key can be found out by trying (RFC 4279 section 7.2 asks for good ones)."""
LONGEST_KEY: Final = 512
"""Bytes; OpenSSL takes no longer one."""
LONGEST_IDENTITY: Final = 255
"""Bytes; OpenSSL's clients send no longer one."""

MOST_NAMED: Final = 1000
"""Bad lines that are kept; a file that holds something else altogether has millions."""

_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")
_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_BLANKS: Final = b" \t\v\f\r"


@attrs.frozen
class BadLine:
    """A line that cannot be used: its number, from 1, and why; never the key in it."""

    number: int
    problem: str


@attrs.frozen
class PskFile:
    """A file that was read. ``keys`` are those of the good lines; with ``bad`` ones none counts.

    ``encoding`` is how keys are written: ``hex``, ``base64`` or ``text``. ``bad`` are the first
    bad lines, MOST_NAMED at most, of ``bad_count``. ``odd`` is the first line whose key is no
    hexadecimal, where most are and the encoding was to be found out: maybe only that is wrong.
    ``maybe_base64`` says that every key is such, and was taken for text.
    """

    keys: dict[bytes, bytes] = attrs.field(repr=False)
    encoding: str
    bad: list[BadLine]
    bad_count: int = 0
    odd: int | None = None
    maybe_base64: bool = False


def parse_psk_file(data: bytes, *, separator: str = ":", encoding: str = "auto") -> PskFile:
    """Read a file's bytes. Every bad line is named; nothing is raised.

    The first separator in a line ends the identity. Blank lines and lines that begin with ``#``
    are skipped. ``encoding`` ``auto`` is ``hex`` if every key is an even number of hexadecimal
    digits for 16 bytes or more, else ``text``.
    """
    if data.startswith(_UTF16):
        return PskFile({}, "text", [BadLine(1, "the file is UTF-16; save it as UTF-8")], 1)
    bad = _BadLines()
    found: list[tuple[int, bytes, bytes]] = []
    mark = separator.encode("utf-8", "surrogateescape")
    for number, line in _lines(data):
        identity, middle, secret = line.partition(mark) if mark else (line, b"", b"")
        problem = _objection(identity, middle, secret, separator)
        if problem is None:
            found.append((number, identity, secret))
        else:
            bad.add(number, problem)
    odd, maybe_base64 = None, False
    if encoding == "auto":
        others = [number for number, _, secret in found if not _is_hex(secret)]
        encoding = "text" if others or not found else "hex"
        odd = others[0] if others and 2 * len(others) < len(found) else None
        maybe_base64 = bool(others) and _all_base64(secret for _, _, secret in found)
    keys = _keys(found, encoding, bad)
    return PskFile(keys, encoding, bad.first(), bad.count, odd, maybe_base64)


def _keys(
    found: list[tuple[int, bytes, bytes]], encoding: str, bad: _BadLines
) -> dict[bytes, bytes]:
    """The keys of lines that have the form; others than good ones become bad lines."""
    keys: dict[bytes, bytes] = {}
    lines: dict[bytes, int] = {}
    owners: dict[bytes, int] = {}
    decode = _DECODERS[encoding]
    for number, identity, secret in found:
        key = decode(secret)
        problem = _objection_to_key(key, encoding)
        if problem is None and identity in lines:
            problem = f"the identity stands in line {lines[identity]} already"
        if problem is None and key in owners:
            problem = f"the key is that of another identity too, in line {owners[key]}"
        if problem is not None or key is None:
            bad.add(number, problem or "has no key")
            continue
        keys[identity] = key
        lines[identity] = owners[key] = number
    return keys


class _BadLines:
    """Bad lines, added in two rounds, each in the order of the file."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[BadLine] = []

    def add(self, number: int, problem: str) -> None:
        self.count += 1
        self._kept.append(BadLine(number, problem))
        if len(self._kept) >= 2 * MOST_NAMED:
            self._kept = self.first()

    def first(self) -> list[BadLine]:
        return sorted(self._kept, key=lambda each: each.number)[:MOST_NAMED]


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, ended in enumerate(io.BytesIO(data.removeprefix(_BOM)), 1):
        line = ended.removesuffix(b"\n").removesuffix(b"\r")
        if line.strip(_BLANKS) and not line.lstrip(_BLANKS).startswith(b"#"):
            yield number, line


def _objection(identity: bytes, mark: bytes, secret: bytes, separator: str) -> str | None:
    if not mark:
        return f'has no separator "{separator}"'
    if not identity:
        return "has no identity before the separator"
    if not secret:
        return "has no key behind the separator"
    if identity.strip(_BLANKS) != identity:
        return "has blanks around the identity"
    if secret.strip(_BLANKS) != secret:
        return "has blanks around the key"
    if len(identity) > LONGEST_IDENTITY:
        return f"the identity is longer than {LONGEST_IDENTITY} bytes"
    if b"\0" in identity:
        return "the identity holds a zero byte"
    try:
        identity.decode()
    except UnicodeDecodeError:
        return "the identity is not UTF-8, as RFC 4279 section 5.1 wants it"
    return None


def _objection_to_key(key: bytes | None, encoding: str) -> str | None:
    if key is None:
        return {
            "hex": "the key is not an even number of hexadecimal digits",
            "base64": "the key is not base64",
        }[encoding]
    if len(key) < SHORTEST_KEY:
        return f"the key has {len(key)} bytes; {SHORTEST_KEY} is the least"
    if len(key) > LONGEST_KEY:
        return f"the key has {len(key)} bytes; {LONGEST_KEY} is the most"
    return None


def _is_hex(secret: bytes) -> bool:
    return (
        len(secret) % 2 == 0 and len(secret) >= 2 * SHORTEST_KEY and _HEX_DIGITS.issuperset(secret)
    )


def _all_base64(secrets: Iterable[bytes]) -> bool:
    """Whether all may be keys in base64, and one has the padding that text seldom has."""
    padded = False
    for secret in secrets:
        if len(_from_base64(secret) or b"") < SHORTEST_KEY:
            return False
        padded = padded or secret.endswith(b"=")
    return padded


def _from_hex(secret: bytes) -> bytes | None:
    try:
        return binascii.unhexlify(secret)
    except ValueError:
        return None


def _from_base64(secret: bytes) -> bytes | None:
    try:
        return base64.b64decode(secret, validate=True)
    except ValueError:
        return None


_DECODERS: Final[dict[str, Callable[[bytes], bytes | None]]] = {
    "hex": _from_hex,
    "base64": _from_base64,
    "text": lambda secret: secret,
}

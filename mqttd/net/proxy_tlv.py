"""The type-length-value fields behind the addresses of a PROXY protocol version 2 header."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import attrs

from mqttd.net.proxy_errors import InvalidProxyHeader

TYPE_ALPN = 0x01
TYPE_AUTHORITY = 0x02
TYPE_CRC32C = 0x03
TYPE_NOOP = 0x04
TYPE_SSL = 0x20
SUBTYPE_SSL_VERSION = 0x21
SUBTYPE_SSL_CN = 0x22

_CLIENT_SSL = 0x01
_CLIENT_CERTIFICATE = 0x02 | 0x04
"""The certificate was shown on this connection, or earlier in the same TLS session."""

_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Control and invisible format characters, line and paragraph separators."""


@attrs.frozen
class Fields:
    """The values mqttd uses. ``checksum`` is the offset of the CRC32c octets in the block."""

    alpn: bytes | None = None
    authority: str | None = None
    ssl_version: str | None = None
    ssl_common_name: str | None = None
    checksum: int | None = None


def parse_fields(block: bytes, start: int) -> Fields:
    """Read all fields of ``block`` from offset ``start`` on. Raises InvalidProxyHeader.

    A field that would decide something must not come twice: two readers could each believe
    another one.
    """
    found: dict[int, tuple[int, bytes]] = {}
    for kind, offset, value in _walk(block, start):
        if kind in {TYPE_ALPN, TYPE_AUTHORITY, TYPE_CRC32C, TYPE_SSL}:
            if kind in found:
                raise InvalidProxyHeader(f"the field of type 0x{kind:02x} comes twice")
            found[kind] = (offset, value)
    checksum = found.get(TYPE_CRC32C)
    if checksum is not None and len(checksum[1]) != 4:
        raise InvalidProxyHeader("the checksum field has not 4 octets")
    version, common_name = _tls(found[TYPE_SSL][1]) if TYPE_SSL in found else (None, None)
    return Fields(
        alpn=found[TYPE_ALPN][1] if TYPE_ALPN in found else None,
        authority=_text(found[TYPE_AUTHORITY][1], "authority")
        if TYPE_AUTHORITY in found
        else None,
        ssl_version=version,
        ssl_common_name=common_name,
        checksum=None if checksum is None else checksum[0],
    )


def _walk(block: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield (type, offset of the value, value)."""
    end = len(block)
    while start < end:
        value = start + 3
        if value > end:
            raise InvalidProxyHeader("a field is cut off in its type or length")
        stop = value + int.from_bytes(block[start + 1 : value])
        if stop > end:
            raise InvalidProxyHeader("a field is longer than what is left of the header")
        yield block[start], value, block[value:stop]
        start = stop


def _tls(value: bytes) -> tuple[str | None, str | None]:
    """Return (version, common name) of an SSL field.

    The name counts only if the proxy says that it got a certificate and that its verification
    succeeded (``verify`` is 0): a proxy may pass on clients whose certificate it could not
    verify, and then the name is whatever the client wrote.
    """
    if len(value) < 5:
        raise InvalidProxyHeader("the SSL field is shorter than 5 octets")
    client, verify = value[0], int.from_bytes(value[1:5])
    inner: dict[int, bytes] = {}
    for kind, _offset, content in _walk(value, 5):
        if kind in {SUBTYPE_SSL_VERSION, SUBTYPE_SSL_CN}:
            if kind in inner:
                raise InvalidProxyHeader(f"the field of type 0x{kind:02x} comes twice")
            inner[kind] = content
    # Both texts are checked even where they do not count: a forged header is refused as a whole.
    version = _text(inner.get(SUBTYPE_SSL_VERSION, b""), "TLS version")
    name = _text(inner.get(SUBTYPE_SSL_CN, b""), "common name")
    if not client & _CLIENT_SSL:
        return None, None
    if verify != 0 or not client & _CLIENT_CERTIFICATE:
        name = None
    return version, name


def _text(value: bytes, what: str) -> str | None:
    """Decode UTF-8; None when empty. Control characters would forge log lines and identities."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidProxyHeader(f"the {what} is not UTF-8") from None
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text):
        raise InvalidProxyHeader(f"the {what} holds control characters")
    return text or None

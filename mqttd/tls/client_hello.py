"""What a client offers, read from the first bytes it sent: for explanations only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

MOST: Final = 8192
"""Bytes kept of a handshake to read this from."""

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_GROUPS: Final = 10
_ALPN: Final = 16
_PRE_SHARED_KEY: Final = 41
_SUPPORTED_VERSIONS: Final = 43


@attrs.frozen
class ClientHello:
    """Numbers as registered with IANA; ``versions`` highest first (0x0304 is TLS 1.3).

    ``psk`` says that the client offers a pre-shared key or ticket of TLS 1.3.
    """

    versions: tuple[int, ...]
    suites: tuple[int, ...]
    sni: str | None = None
    alpn: tuple[bytes, ...] = ()
    groups: tuple[int, ...] = ()
    psk: bool = False


class _Short(Exception):  # noqa: N818 - the rest has not come, or there is none
    """Fewer bytes than the length before them said."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise _Short
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> _Reader:
        """What a length of ``size`` bytes stands before."""
        return _Reader(self.take(self.number(size)))

    def rest(self) -> bytes:
        return self._data[self._at :]

    @property
    def more(self) -> bool:
        return self._at < len(self._data)


def parse_client_hello(data: bytes) -> ClientHello | None:
    """The ClientHello at the beginning of ``data``, which may hold several records or part of one.

    None when it is no ClientHello, or too little of it is there. Never raises. RFC 8446 section
    4.1.2 and RFC 5246 section 7.4.1.2.
    """
    try:
        message = _Reader(b"".join(_fragments(data)))
        if message.number(1) != _CLIENT_HELLO:
            return None
        size = message.number(3)
        return _hello(_Reader(message.rest()[:size]))
    except _Short:
        return None


def _fragments(data: bytes) -> Iterator[bytes]:
    """The handshake bytes of each record, also of the last, unfinished one."""
    at = 0
    while at + 5 <= len(data) and data[at] == _HANDSHAKE and data[at + 1] == 3:
        size = int.from_bytes(data[at + 3 : at + 5])
        yield data[at + 5 : at + 5 + size]
        at += 5 + size


def _hello(body: _Reader) -> ClientHello:
    version = body.number(2)
    body.take(32)
    body.vector(1)
    suites = _numbers(body.vector(2))
    body.vector(1)
    found: dict[int, _Reader] = {}
    try:
        extensions = _Reader(body.vector(2).rest()) if body.more else _Reader(b"")
        while extensions.more:
            number = extensions.number(2)
            found.setdefault(number, extensions.vector(2))
    except _Short:
        pass  # what there is of it may say enough
    versions = _list(found.get(_SUPPORTED_VERSIONS), 1) or (version,)
    return ClientHello(
        versions=tuple(sorted(versions, reverse=True)),
        suites=suites,
        sni=_name(found.get(_SERVER_NAME)),
        alpn=_protocols(found.get(_ALPN)),
        groups=_list(found.get(_GROUPS), 2),
        psk=_PRE_SHARED_KEY in found,
    )


def _numbers(reader: _Reader) -> tuple[int, ...]:
    data = reader.rest()
    return tuple(int.from_bytes(data[at : at + 2]) for at in range(0, len(data) - 1, 2))


def _list(extension: _Reader | None, size: int) -> tuple[int, ...]:
    try:
        return () if extension is None else _numbers(extension.vector(size))
    except _Short:
        return ()


def _name(extension: _Reader | None) -> str | None:
    if extension is None:
        return None
    try:
        names = extension.vector(2)
        return names.vector(2).rest().decode("ascii", "replace") if names.number(1) == 0 else None
    except _Short:
        return None


def _protocols(extension: _Reader | None) -> tuple[bytes, ...]:
    protocols: list[bytes] = []
    try:
        if extension is not None:
            names = extension.vector(2)
            while names.more:
                protocols.append(names.vector(1).rest())
    except _Short:
        pass
    return tuple(protocols)

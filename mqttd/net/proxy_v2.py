"""PROXY protocol version 2: a binary header, with addresses and fields about the TLS in front."""

from __future__ import annotations

import ipaddress
import struct

from mqttd.identity import ProxyHeader
from mqttd.net.proxy_errors import InvalidProxyHeader
from mqttd.net.proxy_tlv import parse_fields

V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V2_FIXED_LENGTH = 16
MAX_V2_LENGTH = 4096
"""Octets a header may announce behind its fixed part. The format allows 65535."""

_COMMAND_LOCAL = 0
_COMMAND_PROXY = 1
_UNSPEC, _TCP4, _TCP6, _UNIX_STREAM = 0x00, 0x11, 0x21, 0x31
_DATAGRAMS = frozenset({0x12, 0x22, 0x32})
_ADDRESS_LENGTH = {_UNSPEC: 0, _TCP4: 12, _TCP6: 36, _UNIX_STREAM: 216}


def announced_length(fixed: bytes) -> int:
    """Return how many octets follow the 16 of ``fixed``. Raises InvalidProxyHeader.

    Everything the fixed part can be refused for is refused here, before more is read.
    """
    version_command, family, length = struct.unpack_from("!BBH", fixed, 12)
    if version_command >> 4 != 2:
        raise InvalidProxyHeader(f"the header is of version {version_command >> 4}, not 2")
    if version_command & 0x0F not in {_COMMAND_LOCAL, _COMMAND_PROXY}:
        raise InvalidProxyHeader(f"the header has the unknown command {version_command & 0x0F}")
    if length > MAX_V2_LENGTH:
        raise InvalidProxyHeader(
            f"the header announces {length} octets, more than the {MAX_V2_LENGTH} accepted"
        )
    if version_command & 0x0F == _COMMAND_LOCAL:
        return int(length)
    if family in _DATAGRAMS:
        raise InvalidProxyHeader("the header speaks of datagrams, on a stream connection")
    if family not in _ADDRESS_LENGTH:
        # "Receivers must drop connections presenting unexpected values here."
        raise InvalidProxyHeader(f"the header has the unknown family 0x{family:02x}")
    if length < _ADDRESS_LENGTH[family]:
        raise InvalidProxyHeader("the header is too short for the addresses of its family")
    return int(length)


def parse_v2(header: bytes) -> ProxyHeader:
    """Read a whole header whose fixed part has passed announced_length().

    Raises InvalidProxyHeader. With the LOCAL command the rest is discarded unread (section 2.2).
    ``UNSPEC`` and ``AF_UNIX`` give no source: there the client sits on the proxy's own machine
    or is unknown, and the socket's peer is the nearest truth.
    """
    if header[12] & 0x0F == _COMMAND_LOCAL:
        return ProxyHeader()
    family = header[13]
    addresses_end = V2_FIXED_LENGTH + _ADDRESS_LENGTH[family]
    fields = parse_fields(header, addresses_end)
    if fields.checksum is not None:
        _check_checksum(header, fields.checksum)
    source: tuple[str, int] | None = None
    destination: tuple[str, int] | None = None
    if family in {_TCP4, _TCP6}:
        source, destination = _addresses(header[V2_FIXED_LENGTH:addresses_end])
    return ProxyHeader(
        source=source,
        destination=destination,
        ssl_common_name=fields.ssl_common_name,
        ssl_version=fields.ssl_version,
        authority=fields.authority,
        alpn=fields.alpn,
    )


def _addresses(block: bytes) -> tuple[tuple[str, int], tuple[str, int]]:
    size = (len(block) - 4) // 2
    source_port, destination_port = struct.unpack_from("!HH", block, 2 * size)
    source = ipaddress.ip_address(block[:size])
    destination = ipaddress.ip_address(block[size : 2 * size])
    return (str(source), source_port), (str(destination), destination_port)


def _check_checksum(header: bytes, offset: int) -> None:
    """Compare the CRC32c field at ``offset``, computed with the field itself as zeros."""
    stated = int.from_bytes(header[offset : offset + 4])
    if crc32c(header[:offset] + bytes(4) + header[offset + 4 :]) != stated:
        raise InvalidProxyHeader("the checksum of the header is wrong")


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    return tuple(table)


_CRC32C = _crc32c_table()


def crc32c(data: bytes) -> int:
    """Return the Castagnoli CRC-32 of ``data`` (RFC 3720, appendix B.4)."""
    table = _CRC32C
    crc = 0xFFFFFFFF
    for octet in data:
        crc = table[(crc ^ octet) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF

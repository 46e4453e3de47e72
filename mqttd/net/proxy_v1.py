"""PROXY protocol version 1: one line of text before the first byte of the client."""

from __future__ import annotations

import ipaddress

from mqttd.identity import ProxyHeader
from mqttd.net.proxy_errors import InvalidProxyHeader

V1_SIGNATURE = b"PROXY "
MAX_V1_LENGTH = 107
"""Octets of the longest line with its CRLF: two full IPv6 addresses of an ``UNKNOWN`` family."""


def parse_v1(line: bytes) -> ProxyHeader:
    """Read one line without its CRLF. Raises InvalidProxyHeader.

    What follows ``UNKNOWN`` is ignored, and so is a line that ends with it
    (PROXY protocol specification, section 2.1).
    """
    family, _, rest = line[len(V1_SIGNATURE) :].partition(b" ")
    if family == b"UNKNOWN":
        return ProxyHeader()
    if family not in {b"TCP4", b"TCP6"}:
        raise InvalidProxyHeader("the version 1 header names a family other than TCP4 and TCP6")
    # Exactly one blank between fields: split(b" ") keeps the empty ones, so that they are seen.
    fields = rest.split(b" ")
    if len(fields) != 4:
        raise InvalidProxyHeader("the version 1 header has not two addresses and two ports")
    source, destination, source_port, destination_port = fields
    version = 4 if family == b"TCP4" else 6
    return ProxyHeader(
        source=(_address(source, version), _port(source_port)),
        destination=(_address(destination, version), _port(destination_port)),
    )


def _address(text: bytes, version: int) -> str:
    """Return the address in its canonical form; a zone (``%eth0``) means nothing from afar."""
    if b"%" not in text:
        try:
            address = ipaddress.ip_address(text.decode("ascii"))
        except ValueError:
            address = None
        if address is not None and address.version == version:
            return str(address)
    raise InvalidProxyHeader(f"the version 1 header holds a bad IPv{version} address")


def _port(text: bytes) -> int:
    """Return the port; int() alone would take signs, blanks, underscores and leading zeros."""
    if text.isdigit() and len(text) <= 5 and (text == b"0" or not text.startswith(b"0")):
        port = int(text)
        if port <= 65535:
            return port
    raise InvalidProxyHeader("the version 1 header holds a bad port")

"""Finds the PROXY protocol header, of either version, at the start of a connection."""

from __future__ import annotations

from mqttd.identity import ProxyHeader
from mqttd.net.first_bytes import name_protocol
from mqttd.net.proxy_errors import InvalidProxyHeader
from mqttd.net.proxy_v1 import MAX_V1_LENGTH, V1_SIGNATURE, parse_v1
from mqttd.net.proxy_v2 import V2_FIXED_LENGTH, V2_SIGNATURE, announced_length, parse_v2

__all__ = ["InvalidProxyHeader", "ProxyParser"]


class ProxyParser:
    """Takes the first bytes of one connection until the header is complete.

    The listener wants a header from every connection: bytes that are none are refused, because
    a header that may be left out can be left out by an attacker. Holds at most a header's bytes
    and what came with them in one call. The caller has the timeout.
    """

    __slots__ = ("_buffer", "_needed")

    def __init__(self) -> None:
        self._buffer = b""
        self._needed = 0

    def feed(self, data: bytes) -> tuple[ProxyHeader, bytes] | None:
        """Return the header and the bytes behind it, or None when more bytes are needed.

        Raises InvalidProxyHeader; after that, and after a header, the parser is done with.
        """
        self._buffer += data
        buffer = self._buffer
        if len(buffer) < self._needed:
            return None
        if buffer.startswith(V1_SIGNATURE):
            return self._feed_v1(buffer)
        if buffer.startswith(V2_SIGNATURE):
            return self._feed_v2(buffer)
        if V1_SIGNATURE.startswith(buffer) or V2_SIGNATURE.startswith(buffer):
            return None
        raise InvalidProxyHeader(_not_a_header(buffer))

    def _feed_v1(self, buffer: bytes) -> tuple[ProxyHeader, bytes] | None:
        end = buffer.find(b"\n", 0, MAX_V1_LENGTH)
        if end < 0:
            if len(buffer) >= MAX_V1_LENGTH:
                raise InvalidProxyHeader(
                    f"the version 1 header does not end within {MAX_V1_LENGTH} octets"
                )
            return None
        line = buffer[: end - 1]
        if buffer[end - 1] != 0x0D or b"\r" in line:
            raise InvalidProxyHeader("the version 1 header does not end with CR LF")
        return parse_v1(line), buffer[end + 1 :]

    def _feed_v2(self, buffer: bytes) -> tuple[ProxyHeader, bytes] | None:
        if len(buffer) < V2_FIXED_LENGTH:
            return None
        end = self._needed = V2_FIXED_LENGTH + announced_length(buffer)
        if len(buffer) < end:
            return None
        return parse_v2(buffer[:end]), buffer[end:]


def _not_a_header(buffer: bytes) -> str:
    name = name_protocol(buffer)
    if name is None:
        return "the first bytes are not a PROXY protocol header"
    return (
        f"the first bytes are {name}, not a PROXY protocol header: the client is not behind the"
        " proxy, or the proxy does not send the header"
    )

"""Names the protocol whose bytes arrived where another was expected."""

from __future__ import annotations

_STARTS = (
    (b"\x16\x03", "a TLS ClientHello"),
    (b"\x10", "an MQTT CONNECT packet"),
    (b"GET ", "an HTTP request"),
    (b"PROXY ", "a PROXY protocol header"),
    (b"\r\n\r\n\x00\r\nQUIT\n", "a PROXY protocol header"),
)


def name_protocol(first_bytes: bytes) -> str | None:
    """Say what the bytes begin, such as ``a TLS ClientHello``; None when they tell nothing."""
    for start, name in _STARTS:
        if first_bytes.startswith(start):
            return name
    return None

"""Names the protocol whose bytes arrived where another was expected."""

from __future__ import annotations

_STARTS = (
    (b"\x16\x03", "a TLS ClientHello"),
    (b"\x10", "an MQTT CONNECT packet"),
    (b"GET ", "an HTTP request"),
    (b"PROXY ", "a PROXY protocol header"),
    (b"\r\n\r\n\x00\r\nQUIT\n", "a PROXY protocol header"),
)

_HTTP_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"PRI * HTTP/2")


def name_protocol(first_bytes: bytes) -> str | None:
    """Say what the bytes begin, such as ``a TLS ClientHello``; None when they tell nothing."""
    for start, name in _STARTS:
        if first_bytes.startswith(start):
            return name
    return None


def foreign_kind(first_bytes: bytes) -> str | None:
    """The kind of refusal for first bytes that are no MQTT CONNECT; None when they may be one."""
    if first_bytes[0] == 0x10:  # CONNECT is the only packet a client may begin with
        return None
    if first_bytes[0] == 0x16 and first_bytes[1:2] in {b"", b"\x03"}:
        return "tls-to-plain"
    if first_bytes.startswith(_HTTP_METHODS):
        return "http-to-mqtt"
    if first_bytes.startswith((b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n")):
        return "proxy-to-mqtt"
    return "not-mqtt"

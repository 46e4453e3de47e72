"""What the headers of a WebSocket request say, and the rules they are held to."""

from __future__ import annotations

import base64
import binascii
import ipaddress

from mqttd.config.schema.websocket import WebSocketOptions

Headers = dict[bytes, list[bytes]]
"""Values by lower-case name, in order."""

_SUB_PATHS = "/[...]"


class RequestError(Exception):
    """The request is to be answered with ``status``; ``reason`` quotes nothing of it.

    ``kind`` is that of the table of causes.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        headers: tuple[tuple[str, str], ...] = (),
        *,
        kind: str = "websocket",
    ) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.headers = headers
        self.kind = kind


def elements(headers: Headers, name: bytes) -> list[str]:
    """Return the comma-separated elements of all headers of that name [RFC 9110, 5.6.1]."""
    elements: list[str] = []
    for value in headers.get(name, []):
        elements += (part.strip() for part in value.decode("latin-1").split(","))
    return [element for element in elements if element]


def tokens(headers: Headers, name: bytes) -> list[str]:
    """Return the elements in lower case, where case means nothing."""
    return [element.lower() for element in elements(headers, name)]


def path_of(target: bytes) -> str:
    """Return the path of a request target, which may be a whole URL [RFC 9112, 3.2.2]."""
    text = target.decode("latin-1").partition("?")[0]
    if not text.startswith("/"):
        scheme, mark, rest = text.partition("://")
        if mark and scheme.lower() in {"http", "https", "ws", "wss"}:
            text = "/" + rest.partition("/")[2]
    return text


def path_matches(path: str, wanted: str) -> bool:
    """Say whether a path is ``mqtt_path``, or below it where that ends with ``/[...]``."""
    if not wanted.endswith(_SUB_PATHS):
        return path == wanted
    root = wanted.removesuffix(_SUB_PATHS)
    return path == root or path.startswith(root + "/")


def key_of(values: list[bytes]) -> bytes:
    """Return the one Sec-WebSocket-Key: 16 octets in base64 [RFC 6455, 4.2.1]."""
    if len(values) == 1 and len(values[0]) == 24:
        try:
            if len(base64.b64decode(values[0], validate=True)) == 16:
                return values[0]
        except binascii.Error:
            pass
    raise RequestError(400, "the Sec-WebSocket-Key is missing or not valid")


def check_origin(values: list[bytes], options: WebSocketOptions) -> None:
    """A browser tells which page opens the WebSocket: pages of strangers have no business here."""
    if not options.check_origin_enable:
        return
    if not values:
        if not options.allow_origin_absence:
            raise RequestError(403, "there is no Origin header", kind="websocket-origin")
        return
    accepted = {origin.lower().rstrip("/") for origin in options.check_origins}
    if len(values) > 1 or values[0].decode("latin-1").lower() not in accepted:
        raise RequestError(403, "the Origin is not in check_origins", kind="websocket-origin")


def choose_subprotocol(headers: Headers, options: WebSocketOptions) -> str | None:
    """Choose ``mqtt`` where it can be had [MQTT-6.0.0-4], else the client's first we support."""
    offered = elements(headers, b"sec-websocket-protocol")
    supported = [name for name in offered if name in options.supported_subprotocols]
    if "mqtt" in supported:
        return "mqtt"
    if supported:
        return supported[0]
    if options.fail_if_no_subprotocol:
        # [MQTT-6.0.0-3] the client has to offer it.
        raise RequestError(
            400, "no supported subprotocol is offered", kind="websocket-subprotocol"
        )
    return None


def _forwarded(headers: Headers, name: str) -> str | None:
    """Return the last element of a proxy's header: what our own proxy added.

    The ones before it came with the request, and may be anybody's invention.
    """
    found = elements(headers, name.lower().encode("latin-1", "replace")) if name else []
    return found[-1] if found else None


def forwarded_address(headers: Headers, name: str) -> str | None:
    """Return the client's address in the header ``name``, None without; port and [] go."""
    text = _forwarded(headers, name)
    if text is None:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise RequestError(400, "proxy_address_header holds no address") from None


def forwarded_port(headers: Headers, name: str) -> int | None:
    """Return the client's port in the header ``name``, None without."""
    text = _forwarded(headers, name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535:
        return int(text)
    raise RequestError(400, "proxy_port_header holds no port")

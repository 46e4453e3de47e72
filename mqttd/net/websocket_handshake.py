"""The HTTP request that begins an MQTT WebSocket: accepted, or refused with a reason."""

from __future__ import annotations

import base64
import hashlib
import http

import attrs
import h11

from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.net.first_bytes import foreign_kind, name_protocol
from mqttd.net.websocket_deflate import DeflateAgreement, agree
from mqttd.net.websocket_headers import (
    Headers,
    RequestError,
    check_origin,
    choose_subprotocol,
    elements,
    forwarded_address,
    forwarded_port,
    key_of,
    path_matches,
    path_of,
    tokens,
)

MAX_REQUEST = 16_384
"""Octets of the largest request line with headers: cookies and tokens fit."""

_ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@attrs.frozen
class Upgrade:
    """The request was good. ``rest`` is what the client sent behind it."""

    response: bytes = attrs.field(repr=False)
    rest: bytes = attrs.field(repr=False)
    path: str
    subprotocol: str | None
    deflate: DeflateAgreement | None
    forwarded_for: str | None
    forwarded_port: int | None


@attrs.frozen
class Refusal:
    """The request was not; ``reason`` is for the log and quotes nothing of it."""

    response: bytes = attrs.field(repr=False)
    reason: str
    kind: str = "websocket"


class Handshake:
    """Takes the bytes of one client until its request is complete."""

    __slots__ = ("_first_bytes", "_http", "_options", "_received")

    def __init__(self, options: WebSocketOptions) -> None:
        self._options = options
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST)
        self._first_bytes = b""
        self._received = 0

    @property
    def begun(self) -> bool:
        """Whether anything arrived."""
        return self._received > 0

    def feed(self, data: bytes) -> Upgrade | Refusal | None:
        """Return the outcome, or None when the request is not complete."""
        self._received += len(data)
        if len(self._first_bytes) < 16:
            self._first_bytes += data[:16]
        try:
            request = self._next_request(data)
            if request is None:
                return None
            return self._judge(request)
        except RequestError as refused:
            return self._refusal(refused.status, refused.reason, refused.headers, refused.kind)

    def give_up(self, status: int) -> Refusal:
        """Return the answer to a client whose request is not complete when time is up."""
        return self._refusal(status, "the HTTP request is not complete")

    def _next_request(self, data: bytes) -> h11.Request | None:
        try:
            if data:  # b"" would mean the end of the stream to h11
                self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            # h11's own text may quote headers, which may be secret.
            reason = "the HTTP request is not valid"
            name = name_protocol(self._first_bytes)
            if name is not None and not self._first_bytes.startswith(b"GET "):
                reason = f"the first bytes are {name}"
            foreign = foreign_kind(self._first_bytes)
            kind = "tls-to-plain" if foreign == "tls-to-plain" else "websocket"
            raise RequestError(error.error_status_hint, reason, kind=kind) from None
        if not isinstance(event, h11.Request):
            return None
        if self._received - len(self._http.trailing_data[0]) > MAX_REQUEST:
            raise RequestError(431, "the HTTP request is too large")
        return event

    def _judge(self, request: h11.Request) -> Upgrade:
        """Check everything in the order in which a person would want to hear of it."""
        options = self._options
        headers: Headers = {}
        for name, value in request.headers:
            headers.setdefault(name, []).append(value)
        if request.method != b"GET":
            raise RequestError(405, "the method is not GET", (("Allow", "GET"),))
        if b"transfer-encoding" in headers or headers.get(b"content-length", [b"0"]) != [b"0"]:
            raise RequestError(400, "the request has a body")
        if (
            request.http_version != b"1.1"
            or "upgrade" not in tokens(headers, b"connection")
            or "websocket" not in tokens(headers, b"upgrade")
        ):
            raise RequestError(
                426, "the request is not for a WebSocket", kind="websocket-not-upgrade"
            )
        path = path_of(request.target)
        if not path_matches(path, options.mqtt_path):
            raise RequestError(404, "the path is not mqtt_path", kind="websocket-path")
        if headers.get(b"sec-websocket-version") != [b"13"]:
            raise RequestError(
                426, "the WebSocket version is not 13", (("Sec-WebSocket-Version", "13"),)
            )
        key = key_of(headers.get(b"sec-websocket-key", []))
        check_origin(headers.get(b"origin", []), options)
        subprotocol = choose_subprotocol(headers, options)
        deflate = None
        if options.compress:
            deflate = agree(elements(headers, b"sec-websocket-extensions"), options.deflate_opts)
        return Upgrade(
            response=_switch(key, subprotocol, deflate),
            rest=self._http.trailing_data[0],
            path=path,
            subprotocol=subprotocol,
            deflate=deflate,
            forwarded_for=forwarded_address(headers, options.proxy_address_header),
            forwarded_port=forwarded_port(headers, options.proxy_port_header),
        )

    def _refusal(
        self,
        status: int,
        reason: str,
        headers: tuple[tuple[str, str], ...] = (),
        kind: str = "websocket",
    ) -> Refusal:
        options = self._options
        wanted = ", ".join(options.supported_subprotocols[:1]) or "none"
        body = (
            "This port speaks MQTT over WebSocket. Connect with a WebSocket to the path"
            f" {options.mqtt_path} and the subprotocol {wanted}.\nRefused: {reason}.\n"
        ).encode()
        lines = [
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            *(f"{name}: {value}" for name, value in headers),
        ]
        if status == 426:
            lines += ["Upgrade: websocket", "Connection: Upgrade, close"]
        else:
            lines.append("Connection: close")
        if self._first_bytes.startswith(b"HEAD "):
            body = b""
        return Refusal("\r\n".join((*lines, "", "")).encode("latin-1") + body, reason, kind)


def _switch(key: bytes, subprotocol: str | None, deflate: DeflateAgreement | None) -> bytes:
    # SHA-1 is what RFC 6455 asks for; nothing secret rests on it.
    digest = hashlib.sha1(key + _ACCEPT_SALT, usedforsecurity=False).digest()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode('ascii')}",
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    if deflate is not None:
        lines.append(f"Sec-WebSocket-Extensions: {deflate.response}")
    return "\r\n".join((*lines, "", "")).encode("latin-1")

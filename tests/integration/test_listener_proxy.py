"""The PROXY protocol, versions 1 and 2, before every type of listener."""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from typing import Any

import pytest

TYPES = ["tcp", "ssl", "ws", "wss"]
TLS = (
    ', ssl_options { keyfile = "etc/certs/key.pem", certfile = "etc/certs/cert.pem", '
    'cacertfile = "etc/certs/cacert.pem" }'
)
UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def broker(start_broker: Any) -> Any:
    """Every type, twice: one with rules on the real client's address."""
    config = ""
    for kind in TYPES:
        more = "proxy_protocol = true, proxy_protocol_timeout = 1s"
        if kind in ("ssl", "wss"):
            more += TLS
        config += f'listeners.{kind}.proxied {{ bind = "127.0.0.1:0", {more} }}\n'
        rules = 'access_rules = ["deny 203.0.113.0/24", "allow 198.51.100.0/24"]'
        config += f'listeners.{kind}.guarded {{ bind = "127.0.0.1:0", {more}, {rules} }}\n'
    return start_broker(config)


def v1(address: str = "203.0.113.9", port: int = 5000) -> bytes:
    family = "TCP6" if ":" in address else "TCP4"
    to = "::1" if ":" in address else "127.0.0.1"
    return f"PROXY {family} {address} {to} {port} 1883\r\n".encode()


def v2(address: str = "203.0.113.9", port: int = 5000, more: bytes = b"") -> bytes:
    six = ":" in address
    family = socket.AF_INET6 if six else socket.AF_INET
    body = socket.inet_pton(family, address) + socket.inet_pton(
        family, "::1" if six else "127.0.0.1"
    )
    body += port.to_bytes(2) + (1883).to_bytes(2) + more
    return SIGNATURE + bytes((0x21, 0x21 if six else 0x11)) + len(body).to_bytes(2) + body


def field(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + len(value).to_bytes(2) + value


SSL_FIELDS = (
    field(0x01, b"mqtt")
    + field(0x02, b"broker.example.com")
    + field(0x20, b"\x07" + bytes(4) + field(0x21, b"TLSv1.3") + field(0x22, b"pump-7"))
)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def speak(
    broker: Any, dial: Any, packet: Any, listener: str, header: bytes, client_id: str
) -> bytes:
    """Header, TLS and WebSocket as the listener wants them, CONNECT; returns CONNACK."""
    kind = listener.partition(":")[0]
    context = None
    if kind in ("ssl", "wss"):
        context = ssl.create_default_context(cafile=broker.cafile)
    try:
        client = dial(broker.ports[listener], context, before=header)
    except (ConnectionError, ssl.SSLError):
        return b""
    connect = packet(client_id)
    if kind in ("tcp", "ssl"):
        return bytes(client.ask(connect))
    frame = bytes((0x82, 0x80 | len(connect))) + bytes(4) + connect
    answer = b""
    client.send(UPGRADE + frame)
    while not answer.endswith(b"\r\n\r\n"):
        more = client.read(1)
        if not more:
            return b""
        answer += more
    return bytes(client.read(6)[2:])


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (v1(), "203.0.113.9:5000"),
        (v1("2001:db8::7", 6000), "2001:db8::7:6000"),
        (v2(), "203.0.113.9:5000"),
        (v2("2001:db8::7", 6000), "2001:db8::7:6000"),
        (v2(more=SSL_FIELDS), "203.0.113.9:5000"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1:"),
        (b"PROXY UNKNOWN 203.0.113.9 127.0.0.1 1 2\r\n", "127.0.0.1:"),
        (LOCAL, "127.0.0.1:"),
    ],
    ids=["v1", "v1-ipv6", "v2", "v2-ipv6", "v2-fields", "v1-unknown", "v1-unknown-more", "local"],
)
def test_the_log_has_the_real_client(
    broker: Any, dial: Any, packet: Any, kind: str, header: bytes, peer: str
) -> None:
    client_id = f"proxied-{next(NUMBERS)}"
    answer = speak(broker, dial, packet, f"{kind}:proxied", header, client_id)
    assert answer == b"\x20\x02\x00\x00"
    assert f"New client connected from {peer}" in broker.wait_for(f" as {client_id} (")


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("make", [v1, v2])
@pytest.mark.parametrize(
    ("address", "welcome"),
    [("198.51.100.1", True), ("203.0.113.1", False), ("192.0.2.1", False)],
)
def test_access_rules_see_the_real_client(
    broker: Any, dial: Any, packet: Any, kind: str, make: Any, address: str, welcome: bool
) -> None:
    port = 10_000 + next(NUMBERS)
    address = f"{address}{port % 100}"  # log lines are rationed by address
    answer = speak(broker, dial, packet, f"{kind}:guarded", make(address, port), f"g-{port}")
    assert (answer == b"\x20\x02\x00\x00") is welcome
    if not welcome:
        line = broker.wait_for(f"{address}:{port}")
        assert f"refused on {kind}:guarded from {address}:{port}: " in line
        assert line.endswith("[access-rules]")


@pytest.mark.parametrize("header", [v1(), v2(more=SSL_FIELDS)], ids=["v1", "v2"])
def test_a_header_in_pieces(broker: Any, dial: Any, packet: Any, header: bytes) -> None:
    client = dial(broker.ports["tcp:proxied"])
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(header), 5):
        client.send(header[at : at + 5])
    assert client.ask(packet(f"pieces-{next(NUMBERS)}")) == b"\x20\x02\x00\x00"


def test_a_header_that_does_not_come_whole_is_waited_for_only_so_long(
    broker: Any, dial: Any
) -> None:
    begun = time.monotonic()
    clients = [
        dial(broker.ports[f"{kind}:proxied"], before=header)
        for kind in TYPES
        for header in (b"", b"PROXY TCP4 ", SIGNATURE)
    ]
    assert [client.read(1) for client in clients] == [b""] * 12
    assert 1 <= time.monotonic() - begun < 4


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "header",
    [
        b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02it",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /mqtt HTTP/1.1\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 70000 1\r\n",
        SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
    ids=["mqtt", "tls", "http", "v1-port", "v2-version", "v2-length"],
)
def test_what_is_no_header_is_refused(broker: Any, dial: Any, kind: str, header: bytes) -> None:
    source = f"127.0.1.{next(NUMBERS) % 250 + 1}"
    client = dial(broker.ports[f"{kind}:proxied"], before=header, source=source)
    assert client.read(1) == b""
    line = broker.wait_for(f"refused on {kind}:proxied from {source}:")
    assert line.endswith("[no-proxy-header]")

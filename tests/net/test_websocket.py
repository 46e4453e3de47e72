"""The server side of MQTT over WebSocket, against wsproto's client and against bytes by hand."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol

from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.net.websocket import WebSocketServer

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x11\x22\x33\x44"


def request(path: str = "/mqtt", *extra: str, method: str = "GET", **headers: str | None) -> bytes:
    """A good request, but for what the arguments say; a header given as None is left out."""
    fields: dict[str, str | None] = {
        "Host": "broker.example:8083",
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "WebSocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY.decode(),
        "Sec-WebSocket-Protocol": "mqtt",
    }
    for name, value in headers.items():
        fields[name.replace("_", "-")] = value
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([*lines, *extra, "", ""]).encode("latin-1")


def frame(first: int, payload: bytes = b"", mask: bytes = MASK) -> bytes:
    """A client's frame."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65536:
        head = bytes((first, 0xFE)) + size.to_bytes(2)
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8)
    return head + mask + bytes(octet ^ mask[i % 4] for i, octet in enumerate(payload))


def accepted(data: bytes = request(), **options: Any) -> WebSocketServer:
    """A server that has accepted the request, its answer already taken."""
    server = WebSocketServer(WebSocketOptions(**options))
    assert server.receive(data) == []
    assert server.established, server.outgoing()
    assert server.outgoing().startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    return server


def status(data: bytes, **options: Any) -> int:
    """The HTTP status a request is answered with."""
    server = WebSocketServer(WebSocketOptions(**options))
    server.receive(data)
    answer = server.outgoing()
    code = int(answer[9:12])
    assert server.established == (code == 101)
    assert server.closed == server.finished == (code != 101)
    assert bool(server.reason) == (code != 101)
    return code


def close_code(server: WebSocketServer) -> int | None:
    """The code of the Close frame that is all the server has to say."""
    sent = server.outgoing()
    assert sent[0] == 0x88
    assert len(sent) == 2 + sent[1]
    return int.from_bytes(sent[2:4]) if sent[1] else None


def test_answer_of_the_rfc_example() -> None:
    server = WebSocketServer(WebSocketOptions())
    server.receive(request("/mqtt?token=1"))
    head, *lines = server.outgoing().decode().split("\r\n")
    assert head == "HTTP/1.1 101 Switching Protocols"
    assert lines == [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol: mqtt",
        "",
        "",
    ]
    assert (server.path, server.subprotocol, server.reason) == ("/mqtt", "mqtt", "")
    assert not server.closed


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (request("/other"), 404),
        (request("/mqtt/"), 404),
        (request("/mqtt/sub"), 404),
        (request("/MQTT"), 404),
        (request("http://broker.example/mqtt"), 101),
        (request("ftp://broker.example/mqtt"), 404),
        (request("*"), 404),
        (request(method="POST"), 405),
        (request(method="HEAD"), 405),
        (request(Upgrade=None), 426),
        (request(Upgrade="h2c"), 426),
        (request(Connection="keep-alive"), 426),
        (request(Connection=None, Upgrade=None, Sec_WebSocket_Key=None), 426),
        (request(Sec_WebSocket_Version="8"), 426),
        (request(Sec_WebSocket_Version=None), 426),
        (request("/mqtt", "Sec-WebSocket-Version: 13"), 426),
        (request(Sec_WebSocket_Key=None), 400),
        (request(Sec_WebSocket_Key="short"), 400),
        (request(Sec_WebSocket_Key="*" * 24), 400),
        (request("/mqtt", "Sec-WebSocket-Key: " + KEY.decode()), 400),
        (request(Host=None), 400),
        (request(Content_Length="5") + b"hello", 400),
        (request(Transfer_Encoding="chunked") + b"0\r\n\r\n", 400),
        (request(Content_Length="0"), 101),
        (request(Sec_WebSocket_Protocol=None), 400),
        (request(Sec_WebSocket_Protocol="chat"), 400),
        (request(Sec_WebSocket_Protocol="MQTT"), 400),
        (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 426),
        (request(Cookie="a" * 20000), 431),
        (request()[:-4] + b"\r\nBad Header\r\n\r\n", 400),
        (b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01a", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_request_is_judged(data: bytes, code: int) -> None:
    assert status(data) == code


def test_refusals_tell_what_is_wanted() -> None:
    server = WebSocketServer(WebSocketOptions(mqtt_path="/broker"))
    server.receive(request("/", Upgrade=None))
    head, body = server.outgoing().split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nUpgrade: websocket\r\n" in head + b"\r\n"
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in head
    assert b"the path /broker and the subprotocol mqtt." in body
    assert server.receive(b"anything") == []
    assert server.outgoing() == b""


def test_a_refused_version_names_ours() -> None:
    server = WebSocketServer(WebSocketOptions())
    server.receive(request(Sec_WebSocket_Version="8"))
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in server.outgoing()


def test_head_is_answered_without_body() -> None:
    server = WebSocketServer(WebSocketOptions())
    server.receive(request(method="HEAD"))
    assert server.outgoing().endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("first", "name"),
    [(b"\x16\x03\x01", "a TLS ClientHello"), (b"\x10\x0d\x00\x04MQTT", "an MQTT CONNECT packet")],
)
def test_another_protocol_is_named(first: bytes, name: str) -> None:
    server = WebSocketServer(WebSocketOptions())
    server.receive(first)
    assert server.reason == f"the first bytes are {name}"


def test_reason_and_answer_quote_no_header() -> None:
    server = WebSocketServer(WebSocketOptions())
    server.receive(request(Authorization="Basic s3cret", Sec_WebSocket_Protocol="s3cret"))
    assert b"s3cret" not in server.outgoing()
    assert "s3cret" not in server.reason


@pytest.mark.parametrize("path", ["/mqtt", "/mqtt/", "/mqtt/a/b", "/mqtt/a?b=/c"])
def test_sub_paths(path: str) -> None:
    assert accepted(request(path), mqtt_path="/mqtt/[...]").path == path.partition("?")[0]


@pytest.mark.parametrize("path", ["/", "/mqttx", "/mqt", "/x/mqtt"])
def test_what_is_no_sub_path(path: str) -> None:
    assert status(request(path), mqtt_path="/mqtt/[...]") == 404


def test_root_path_accepts_all() -> None:
    assert status(request("/any/where"), mqtt_path="/[...]") == 101
    assert status(request("/"), mqtt_path="/[...]") == 101


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("mqtt", "mqtt"),
        ("mqtt-v5", "mqtt-v5"),
        ("mqtt-v3.1.1, mqtt", "mqtt"),  # [MQTT-6.0.0-4]
        ("chat,mqtt-v3.1.1, mqtt-v3", "mqtt-v3.1.1"),
    ],
)
def test_subprotocol(offered: str, chosen: str) -> None:
    assert accepted(request(Sec_WebSocket_Protocol=offered)).subprotocol == chosen


def test_subprotocols_of_several_headers() -> None:
    data = request("/mqtt", "Sec-WebSocket-Protocol: mqtt", Sec_WebSocket_Protocol="chat")
    assert accepted(data).subprotocol == "mqtt"


def test_subprotocol_may_be_missing_if_so_configured() -> None:
    server = WebSocketServer(WebSocketOptions(fail_if_no_subprotocol=False))
    server.receive(request(Sec_WebSocket_Protocol="chat"))
    assert b"Sec-WebSocket-Protocol" not in server.outgoing()
    assert server.established
    assert server.subprotocol is None


@pytest.mark.parametrize(
    ("origin", "absence", "code"),
    [
        (None, True, 101),
        (None, False, 403),
        ("https://app.example", True, 101),
        ("HTTPS://App.Example", True, 101),
        ("https://app.example.evil", True, 403),
        ("http://app.example", True, 403),
        ("null", True, 403),
    ],
)
def test_origin(origin: str | None, absence: bool, code: int) -> None:
    options = {
        "check_origin_enable": True,
        "allow_origin_absence": absence,
        "check_origins": ["https://app.example/"],
    }
    assert status(request(Origin=origin), **options) == code


def test_origin_twice_is_refused() -> None:
    data = request("/mqtt", "Origin: https://a", Origin="https://a")
    assert status(data, check_origin_enable=True, check_origins=["https://a"]) == 403
    assert status(data) == 101


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("10.9.9.9, 192.0.2.1", "192.0.2.1"),
        (None, None),
    ],
)
def test_forwarded_for(value: str | None, address: str | None) -> None:
    data = request(X_Forwarded_For=value, X_Forwarded_Port="80, 4711")
    server = accepted(
        data, proxy_address_header="X-Forwarded-For", proxy_port_header="x-forwarded-port"
    )
    assert (server.forwarded_for, server.forwarded_port) == (address, 4711)
    server = accepted(data)
    assert (server.forwarded_for, server.forwarded_port) == (None, None)


def test_bad_forwarded_headers_are_refused() -> None:
    assert status(request(X_Real="unknown"), proxy_address_header="x-real") == 400
    for port in ("0", "65536", "-1", "x", "000080"):
        assert status(request(X_Port=port), proxy_port_header="x-port") == 400


def test_request_size_is_bounded_while_it_comes() -> None:
    server = WebSocketServer(WebSocketOptions())
    server.receive(request()[:-2])
    fed = 0
    while not server.closed:
        server.receive(b"X-More: " + b"x" * 1000 + b"\r\n")
        fed += 1010
        assert fed < 20_000
    assert server.outgoing().startswith(b"HTTP/1.1 431 ")


def test_frames_behind_the_request_are_not_lost() -> None:
    server = WebSocketServer(WebSocketOptions())
    assert server.receive(request() + frame(0x82, b"CONNECT") + frame(0x82, b"PING")) == [
        b"CONNECT",
        b"PING",
    ]


def test_messages_may_be_fragmented_with_control_frames_between() -> None:
    server = accepted()
    data = frame(0x02, b"ab") + frame(0x89, b"hi") + frame(0x00) + frame(0x80, b"c")
    assert b"".join(server.receive(data + frame(0x82, b"d"))) == b"abcd"
    assert server.outgoing() == b"\x8a\x02hi"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(0x81, b"text"), 1003),  # [MQTT-6.0.0-1]
        (frame(0x01, b"text"), 1003),
        (b"\x82\x03abc", 1002),  # not masked
        (frame(0x92, b"a"), 1002),  # reserved bits
        (frame(0xC2, b"a"), 1002),  # compressed, but nothing agreed
        (frame(0x83), 1002),  # unknown opcodes
        (frame(0x8B), 1002),
        (frame(0x80, b"a"), 1002),  # continuation of nothing
        (frame(0x02, b"a") + frame(0x82, b"b"), 1002),  # a message inside a message
        (frame(0x09), 1002),  # control frame in fragments
        (frame(0x89, bytes(126)), 1002),  # control frame too long
        (b"\x82\xfe\x00\x05" + MASK + b"abcde", 1002),  # length not in its shortest form
        (b"\x82\xff" + (65535).to_bytes(8), 1002),
        (b"\x82\xff" + (2**63).to_bytes(8), 1002),
        (frame(0x88, b"\x03"), 1002),
        (frame(0x88, (1005).to_bytes(2)), 1002),
        (frame(0x88, (999).to_bytes(2)), 1002),
        (frame(0x88, (5000).to_bytes(2)), 1002),
        (frame(0x88, (1000).to_bytes(2) + b"\xff"), 1007),
        (b"\x82\xfe\x10\x01", 1009),  # declared 4097: refused before the mask is there
        (b"\x82\xff" + (2**62).to_bytes(8), 1009),
    ],
)
def test_broken_rules_close(data: bytes, code: int) -> None:
    server = accepted(max_frame_size=4096)
    before = server.receive(frame(0x82, b"first") + data + frame(0x82, b"after"))
    assert before[0] == b"first"
    assert b"after" not in before
    assert close_code(server) == code
    assert server.closed
    assert server.finished
    assert server.reason
    assert server.receive(frame(0x82, b"late")) == []
    server.send(b"late")
    server.close()
    assert server.outgoing() == b""


def test_max_frame_size_is_inclusive_and_per_frame() -> None:
    server = accepted(max_frame_size=10)
    data = frame(0x82, b"0123456789") + frame(0x02, b"abcdefghij") + frame(0x80, b"klmnopqrst")
    assert b"".join(server.receive(data)) == b"0123456789abcdefghijklmnopqrst"
    server.receive(frame(0x82, bytes(11)))
    assert close_code(server) == 1009


def test_a_huge_frame_is_handed_on_as_it_comes() -> None:
    server = accepted()
    assert server.receive(b"\x82\xff" + (2**40).to_bytes(8) + MASK) == []
    piece = b"".join(frame(0x82, b"x" * 1001)[8:] for _ in range(1))
    assert b"".join(server.receive(piece)) == b"x" * 1001


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x0f\xa0bye", b"\x03\xeb"])
def test_close_of_the_peer_is_answered(payload: bytes) -> None:
    server = accepted()
    received = server.receive(frame(0x82, b"a") + frame(0x88, payload) + frame(0x82, b"b"))
    assert received == [b"a"]
    assert close_code(server) == (int.from_bytes(payload[:2]) if payload else None)
    assert server.closed
    assert server.finished


def test_our_close_waits_for_the_peers() -> None:
    server = accepted()
    server.close(1001, "é" * 100)
    sent = server.outgoing()
    assert sent[:4] == b"\x88\x7c\x03\xe9"
    assert sent[4:].decode() == "é" * 61
    assert server.closed
    assert not server.finished
    assert server.receive(frame(0x82, b"late") + frame(0x89, b"ping")) == []
    assert server.outgoing() == b""
    assert server.receive(frame(0x88, b"\x03\xe9")) == []
    assert server.finished
    assert server.outgoing() == b""


def test_close_before_the_request() -> None:
    server = WebSocketServer(WebSocketOptions())
    server.close()
    assert server.outgoing() == b""
    assert server.finished
    for code, expected in ((1000, b"HTTP/1.1 408 "), (1001, b"HTTP/1.1 503 ")):
        server = WebSocketServer(WebSocketOptions())
        server.receive(b"GET ")
        server.close(code)
        assert server.outgoing().startswith(expected)
        assert server.receive(request()[4:]) == []
        assert not server.established


def test_a_flood_of_pings_is_answered_once() -> None:
    server = accepted()
    server.receive(b"".join(frame(0x89, str(n).encode()) for n in range(1000)))
    server.receive(frame(0x89, b"last") + frame(0x8A, b"unasked pong"))
    assert server.outgoing() == b"\x8a\x04last"
    server.receive(frame(0x89, b"x") + frame(0x88))
    assert server.outgoing() == b"\x8a\x01x\x88\x00"


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 200_000])
def test_sent_frames_are_read_by_wsproto(size: int) -> None:
    server = accepted()
    payload = os.urandom(size)
    server.send(payload)
    server.send(b"")
    client = FrameProtocol(client=True, extensions=[])
    client.receive_bytes(server.outgoing())
    frames = list(client.received_frames())
    assert b"".join(part.payload for part in frames if isinstance(part.payload, bytes)) == payload
    assert sum(part.message_finished for part in frames) == 1


def test_piggyback_single_sends_a_frame_a_packet() -> None:
    packets = [b"\xd0\x00", b"\x30\x85\x01" + bytes(133), b"\x40\x02\x00\x01"]
    server = accepted(mqtt_piggyback="single")
    server.send(b"".join(packets))
    expected = b"".join(
        (b"\x82" + bytes((len(p),)) if len(p) < 126 else b"\x82\x7e" + len(p).to_bytes(2)) + p
        for p in packets
    )
    assert server.outgoing() == expected
    server = accepted()
    server.send(b"".join(packets))
    assert server.outgoing()[:4] == b"\x82\x7e\x00\x8e"


@given(
    payloads=st.lists(st.binary(max_size=300), max_size=6),
    cuts=st.lists(st.integers(1, 40), min_size=1),
    mask=st.binary(min_size=4, max_size=4),
)
def test_fragmentation_changes_nothing(
    payloads: list[bytes], cuts: list[int], mask: bytes
) -> None:
    frames = b"".join(
        frame(0x82, payload, mask) + frame(0x89, payload[:5]) for payload in payloads
    )
    data = request() + frames
    server = WebSocketServer(WebSocketOptions())
    received = []
    position = turn = 0
    while position < len(data):
        step = cuts[turn % len(cuts)]
        received += server.receive(data[position : position + step])
        position += step
        turn += 1
    assert b"".join(received) == b"".join(payloads)
    assert not server.closed


@given(st.binary(max_size=200), st.integers(1, 30))
def test_any_bytes_end_the_same_however_they_are_cut(noise: bytes, step: int) -> None:
    whole = accepted(max_frame_size=100)
    first = b"".join(whole.receive(noise))
    pieces = accepted(max_frame_size=100)
    second = b"".join(
        b"".join(pieces.receive(noise[at : at + step])) for at in range(0, len(noise), step)
    )
    assert first == second
    assert (whole.reason, whole.closed) == (pieces.reason, pieces.closed)


@given(st.binary(max_size=300))
def test_any_bytes_before_the_upgrade_are_harmless(noise: bytes) -> None:
    server = WebSocketServer(WebSocketOptions())
    server.receive(noise)
    if server.closed:
        assert server.outgoing().startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("size", [125, 126, 65535, 65536])
def test_every_form_of_length_may_be_cut_anywhere(size: int) -> None:
    server = accepted()
    data = frame(0x82, bytes(size), b"\x01\x02\x03\x04")
    received = [server.receive(data[at : at + 1]) for at in range(14)]
    received += [server.receive(data[14:]), server.receive(frame(0x82, b"next"))]
    assert b"".join(b"".join(part) for part in received) == bytes(size) + b"next"

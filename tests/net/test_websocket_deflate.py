"""Compressed WebSocket messages: what is agreed, both directions, and bombs."""

from __future__ import annotations

import os
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.config.schema.websocket import DeflateOptions, WebSocketOptions
from mqttd.net.websocket import WebSocketServer
from mqttd.net.websocket_deflate import agree


def request(extensions: str | None) -> bytes:
    """A good request offering these extensions."""
    lines = [
        "GET /mqtt HTTP/1.1",
        "Host: broker.example",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: mqtt",
    ]
    if extensions is not None:
        lines.append(f"Sec-WebSocket-Extensions: {extensions}")
    return "\r\n".join([*lines, "", ""]).encode()


def opened(
    extensions: str | None = "permessage-deflate", max_inflated: int = 1_000_000, **options: Any
) -> tuple[WebSocketServer, str | None]:
    """A server that accepted, and the extensions of its answer."""
    server = WebSocketServer(WebSocketOptions(**{"compress": True, **options}), max_inflated)
    server.receive(request(extensions))
    assert server.established
    for line in server.outgoing().decode().split("\r\n"):
        if line.startswith("Sec-WebSocket-Extensions: "):
            return server, line.partition(": ")[2]
    return server, None


def frame(first: int, payload: bytes) -> bytes:
    """A client's frame; the mask is zeros, which is allowed."""
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size)) + bytes(4) + payload
    if size < 65536:
        return bytes((first, 0xFE)) + size.to_bytes(2) + bytes(4) + payload
    return bytes((first, 0xFF)) + size.to_bytes(8) + bytes(4) + payload


class Client:
    """Compresses and inflates as a client does."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(wbits=-15)
        self._decompressor = zlib.decompressobj(-15)

    def compress(self, payload: bytes) -> bytes:
        data = self._compressor.compress(payload) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(b"\x00\x00\xff\xff")

    def inflate(self, data: bytes) -> bytes:
        return self._decompressor.decompress(data + b"\x00\x00\xff\xff")


def sent(server: WebSocketServer) -> tuple[int, bytes]:
    """First octet and payload of the one frame the server has to send."""
    data = server.outgoing()
    start = {126: 4, 127: 10}.get(data[1], 2)
    assert len(data) - start == (data[1] if start == 2 else int.from_bytes(data[2:start]))
    return data[0], data[start:]


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("Permessage-Deflate", "permessage-deflate"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=15",
        ),
        (
            "permessage-deflate; client_max_window_bits=10; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
        ),
        (
            'permessage-deflate; client_max_window_bits="8"',
            "permessage-deflate; client_max_window_bits=8",
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        ("x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate",
            "permessage-deflate",
        ),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=010", None),
        ("permessage-deflate; client_max_window_bits=", None),
        ("permessage-deflate; client_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; unknown", None),
        ("permessage-bzip2", None),
        (None, None),
    ],
)
def test_agreement(offer: str | None, answer: str | None) -> None:
    assert opened(offer)[1] == answer


def test_nothing_is_agreed_without_the_option() -> None:
    server, answer = opened(compress=False)
    assert answer is None
    server.receive(frame(0xC2, Client().compress(b"x" * 100)))
    assert int.from_bytes(sent(server)[1][:2]) == 1002


def test_own_parameters_are_told() -> None:
    options = DeflateOptions(
        server_context_takeover="no_takeover",
        client_context_takeover="no_takeover",
        server_max_window_bits=8,
        client_max_window_bits=10,
    )
    agreement = agree(["permessage-deflate; client_max_window_bits"], options)
    assert agreement is not None
    assert agreement.response == (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover;"
        " server_max_window_bits=9; client_max_window_bits=10"
    )


def test_control_frames_inside_a_compressed_message() -> None:
    server, _ = opened()
    client = Client()
    for _ in range(2):
        data = client.compress(b"hello world " * 50)
        whole = (
            frame(0x42, data[:7]) + frame(0x89, b"x") + frame(0x00, b"") + frame(0x80, data[7:])
        )
        received = [server.receive(whole[at : at + 5]) for at in range(0, len(whole), 5)]
        assert b"".join(b"".join(part) for part in received) == b"hello world " * 50
        server.outgoing()


def test_plain_messages_between_compressed_ones() -> None:
    server, _ = opened()
    client = Client()
    data = frame(0xC2, client.compress(b"a" * 100)) + frame(0x82, b"plain")
    data += frame(0x02, b"pl") + frame(0x80, b"ain") + frame(0xC2, client.compress(b"a" * 100))
    assert b"".join(server.receive(data)) == b"a" * 100 + b"plainplain" + b"a" * 100


def test_empty_compressed_message() -> None:
    server, _ = opened()
    assert server.receive(frame(0xC2, b"\x00") + frame(0xC2, b"") + frame(0x82, b"x")) == [b"x"]
    assert not server.closed


@pytest.mark.parametrize("takeover", ["takeover", "no_takeover"])
@pytest.mark.parametrize("level", [None, 0, 9])
def test_sent_messages_inflate(takeover: str, level: int | None) -> None:
    server, _ = opened(
        deflate_opts=DeflateOptions(server_context_takeover=takeover, level=level, strategy="rle")
    )
    client = Client()
    for payload in (b"t" * 3000, os.urandom(70_000), b"t" * 3000):
        server.send(payload)
        first, data = sent(server)
        assert first == 0xC2
        assert client.inflate(data) == payload
    server.send(b"\xd0\x00")
    assert server.outgoing() == b"\x82\x02\xd0\x00"


def test_context_takeover_of_the_client() -> None:
    message = b"the quick brown fox jumps over the lazy dog"
    server, _ = opened()
    client = Client()
    pieces = [client.compress(message) for _ in range(3)]
    assert len(pieces[2]) < len(pieces[0])
    assert b"".join(server.receive(b"".join(frame(0xC2, p) for p in pieces))) == message * 3
    # Where it was agreed that there is none, the second message must not lean on the first.
    server, _ = opened("permessage-deflate; client_no_context_takeover")
    server.receive(b"".join(frame(0xC2, p) for p in pieces))
    assert int.from_bytes(sent(server)[1][:2]) == 1007


@pytest.mark.parametrize(
    "data",
    [
        frame(0xC2, b"\xff\xff\xff"),
        frame(0xE2, b""),  # another reserved bit
        frame(0xC9, b""),  # a compressed Ping
        frame(0x42, b"") + frame(0xC0, b""),  # a continuation says it is compressed
        frame(0xC2, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),  # the stream ends within the message
    ],
)
def test_damage_closes(data: bytes) -> None:
    server, _ = opened()
    server.receive(data)
    assert int.from_bytes(sent(server)[1][:2]) in {1002, 1007}
    assert server.finished


def bomb(size: int) -> bytes:
    """A compressed message of zeros."""
    return Client().compress(bytes(size))


def test_a_message_that_inflates_too_far() -> None:
    server, _ = opened(max_inflated=1_000_000)
    assert b"".join(server.receive(frame(0xC2, bomb(1_000_000)))) == bytes(1_000_000)
    assert server.receive(frame(0xC2, bomb(1_000_001))) == []
    assert int.from_bytes(sent(server)[1][:2]) == 1009
    assert server.finished


def test_many_messages_in_one_call_that_inflate_too_far() -> None:
    server, _ = opened("permessage-deflate; client_no_context_takeover", max_inflated=1_000_000)
    total = sum(map(len, server.receive(frame(0xC2, bomb(300_000)) * 5)))
    assert total == 900_000
    assert int.from_bytes(sent(server)[1][:2]) == 1009


def test_the_bound_is_on_memory_not_on_the_connection() -> None:
    server, _ = opened("permessage-deflate; client_no_context_takeover", max_inflated=1_000_000)
    for _ in range(5):
        assert sum(map(len, server.receive(frame(0xC2, bomb(900_000))))) == 900_000


def test_max_frame_size_counts_inflated() -> None:
    server, _ = opened(max_frame_size=1000)
    assert b"".join(server.receive(frame(0xC2, bomb(1000)))) == bytes(1000)
    server, _ = opened(max_frame_size=1000)
    data = frame(0xC2, bomb(1001))
    for at in range(0, len(data), 2):
        server.receive(data[at : at + 2])
    assert int.from_bytes(sent(server)[1][:2]) == 1009


@given(
    messages=st.lists(st.binary(max_size=60).map(lambda piece: piece * 20), max_size=4),
    cut=st.integers(1, 50),
    split=st.integers(1, 20),
)
def test_fragmentation_changes_nothing(messages: list[bytes], cut: int, split: int) -> None:
    server, _ = opened()
    client = Client()
    data = b""
    for message in messages:
        compressed = client.compress(message)
        data += frame(0x42, compressed[:split]) + frame(0x80, compressed[split:])
    received = b"".join(
        b"".join(server.receive(data[at : at + cut])) for at in range(0, len(data), cut)
    )
    assert received == b"".join(messages)


@given(st.binary(max_size=100), st.integers(1, 20))
def test_any_compressed_bytes_end_the_same_however_they_are_cut(noise: bytes, cut: int) -> None:
    data = frame(0xC2, noise) + frame(0x82, b"end")
    whole, _ = opened()
    first = b"".join(whole.receive(data))
    pieces, _ = opened()
    second = b"".join(
        b"".join(pieces.receive(data[at : at + cut])) for at in range(0, len(data), cut)
    )
    # A piece that is found damaged gives nothing, so that less may come out of larger ones.
    assert whole.closed == pieces.closed
    assert second == first or (whole.closed and second.startswith(first))

"""Cutting a byte stream into packets."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mqttd.packets.errors import MalformedPacket, MqttError, PacketTooLarge
from mqttd.packets.framing import Framer
from mqttd.packets.primitives import frame


def frames(framer: Framer) -> list[tuple[int, bytes]]:
    """All frames at hand."""
    found = []
    while (each := framer.next_frame()) is not None:
        found.append(each)
    return found


def test_many_packets_in_one_chunk() -> None:
    framer = Framer(100)
    framer.feed(frame(0xC0) + frame(0x30, b"abc") + frame(0x40, b"\x00\x01") + b"\xc0")
    assert frames(framer) == [(0xC0, b""), (0x30, b"abc"), (0x40, b"\x00\x01")]
    assert framer.buffered == 1
    framer.feed(b"\x00")
    assert frames(framer) == [(0xC0, b"")]
    assert framer.buffered == 0


def test_feeding_twice_without_asking() -> None:
    framer = Framer(100)
    framer.feed(frame(0x30, b"abc"))
    framer.feed(frame(0x30, b"def"))
    assert framer.buffered == 10
    assert framer.next_frame() == (0x30, b"abc")
    assert framer.buffered == 5
    framer.feed(frame(0x30, b"ghi"))
    assert frames(framer) == [(0x30, b"def"), (0x30, b"ghi")]


def test_feeding_while_packets_wait_behind_one_that_came_in_pieces() -> None:
    long = frame(0x30, bytes(1_000))
    framer = Framer(2_000)
    framer.feed(long[:500])
    assert framer.next_frame() is None
    framer.feed(long[500:] + frame(0xC0))
    assert framer.next_frame() == (0x30, bytes(1_000))
    framer.feed(frame(0xE0))
    assert frames(framer) == [(0xC0, b""), (0xE0, b"")]


def test_nothing_fed_changes_nothing() -> None:
    framer = Framer(100)
    framer.feed(b"")
    assert framer.next_frame() is None
    framer.feed(b"\x30\x03a")
    framer.feed(b"")
    assert framer.next_frame() is None
    framer.feed(b"bc")
    assert framer.next_frame() == (0x30, b"abc")


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_gives_the_same_packets(seed: int) -> None:
    rng = random.Random(seed)
    wanted = [
        (rng.randrange(256), rng.randbytes(rng.choice((0, 1, 2, 126, 127, 128, 129, 16384))))
        for _ in range(12)
    ]
    data = b"".join(frame(first, body) for first, body in wanted)
    framer = Framer(20_000)
    found = []
    position = 0
    while position < len(data):
        size = rng.choice((1, 2, 3, 5, 100, 1000, 70_000))
        framer.feed(data[position : position + size])
        position += size
        if rng.random() < 0.7:
            found += frames(framer)
    found += frames(framer)
    assert found == wanted
    assert framer.buffered == 0


@pytest.mark.parametrize("body", [0, 1, 125, 126, 127, 128, 129, 16_383, 16_384, 2_097_152])
def test_the_limit_is_exact(body: int) -> None:
    data = frame(0x30, bytes(body))
    framer = Framer(len(data))
    framer.feed(data)
    assert framer.next_frame() == (0x30, bytes(body))
    framer = Framer(len(data) - 1)
    framer.feed(data)
    with pytest.raises(PacketTooLarge):
        framer.next_frame()


def test_too_large_is_known_from_the_header_alone() -> None:
    framer = Framer(1_000)
    for byte in b"\x30\xff\xff\xff":
        framer.feed(bytes((byte,)))
        assert framer.next_frame() is None
    framer.feed(b"\x7f")
    with pytest.raises(PacketTooLarge, match="268435460 bytes, the maximum is 1000"):
        framer.next_frame()


def test_the_limit_may_change_between_packets() -> None:
    framer = Framer(10)
    framer.feed(frame(0x30, bytes(8)) + frame(0x30, bytes(9)))
    assert framer.next_frame() is not None
    framer.max_packet_size = 11
    assert framer.next_frame() == (0x30, bytes(9))


def test_an_error_stays() -> None:
    framer = Framer(10)
    framer.feed(b"\x30\xff\xff\xff\xff")
    for _ in range(2):
        with pytest.raises(MalformedPacket):
            framer.next_frame()
        framer.feed(b"\x00\xc0\x00")


def test_a_bad_length_is_refused_at_its_fourth_byte() -> None:
    framer = Framer(10)
    framer.feed(b"\x30\x80\x80\x80")
    assert framer.next_frame() is None
    framer.feed(b"\x80")
    with pytest.raises(MqttError):
        framer.next_frame()


class Counted(bytes):
    """Bytes that count how many of them are cut out."""

    cut = 0

    def __getitem__(self, key: Any) -> Any:
        result = super().__getitem__(key)
        if isinstance(result, bytes):
            Counted.cut += len(result)
        return result


def test_small_packets_in_a_large_chunk_cost_their_size() -> None:
    data = Counted(frame(0x30, bytes(20)) * 5_000 + b"\x30")
    Counted.cut = 0
    framer = Framer(100)
    framer.feed(data)
    assert len(frames(framer)) == 5_000
    assert Counted.cut <= len(data)


def test_a_large_packet_in_small_chunks_is_looked_at_when_it_is_there() -> None:
    framer = Framer(2_000_000)
    data = frame(0x30, bytes(1_000_000))
    looks = 0
    for position in range(0, len(data), 10):
        framer.feed(data[position : position + 10])
        looks += framer.next_frame() is not None
    # 100,000 chunks: with a cost that grows with what is kept, this would take minutes.
    assert looks == 1

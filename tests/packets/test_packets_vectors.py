"""The tables of packets and of bytes that are none, read and written."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from mqttd.packets.decode import decode
from mqttd.packets.encode import encode
from mqttd.packets.errors import MqttError
from mqttd.packets.framing import Framer
from mqttd.packets.types import PacketType

if TYPE_CHECKING:
    from tests.vectors.malformed import Malformed
    from tests.vectors.packets import Vector


def test_bytes_mean_the_packet(readable: Vector) -> None:
    framer = Framer(len(readable.data))
    framer.feed(readable.data)
    frame = framer.next_frame()
    assert frame is not None
    assert framer.buffered == 0
    packet = decode(*frame, readable.level, from_client=readable.from_client)
    assert packet == readable.packet
    assert type(packet) is type(readable.packet)


def test_the_packet_means_the_bytes(written: Vector) -> None:
    assert encode(written.packet, written.level) == written.data


def test_every_prefix_needs_more(written: Vector) -> None:
    framer = Framer(len(written.data))
    for length in range(min(len(written.data), 300)):
        assert framer.next_frame() is None
        assert framer.buffered == length
        framer.feed(written.data[length : length + 1])
    framer.feed(written.data[300:])
    assert framer.next_frame() == (written.data[0], _body(written.data))
    assert framer.next_frame() is None


def test_a_shorter_body_is_refused_or_another_packet(written: Vector) -> None:
    body = _body(written.data)
    for length in range(min(len(body), 100)):
        try:
            packet = decode(written.data[0], body[:length], written.level, from_client=False)
        except MqttError:
            continue
        assert packet != written.packet


def test_what_is_refused(refused: Malformed, refusals: ModuleType) -> None:
    with pytest.raises(MqttError) as caught:
        _read_all(refused.data, refused.level, refusals.LARGEST)
    assert caught.value.reason_code is refused.code
    assert caught.value.detail


def test_the_refusals_are_many_and_of_every_kind(refusals: ModuleType) -> None:
    rows = refusals.ROWS
    assert len({(row.data, row.level) for row in rows}) == len(rows) >= 1_000
    for level in (3, 4, 5):
        types = {row.data[0] >> 4 for row in rows if row.level == level}
        assert types >= set(PacketType), f"level {level}"


def test_every_packet_type_is_in_the_table_of_packets(vectors: ModuleType) -> None:
    for level in (3, 4, 5):
        types = {row.data[0] >> 4 for row in vectors.BOTH if row.level == level}
        assert types == set(PacketType) - ({PacketType.AUTH} if level < 5 else set())


def _read_all(data: bytes, level: int, largest: int) -> None:
    framer = Framer(largest)
    framer.feed(data)
    while (frame := framer.next_frame()) is not None:
        decode(*frame, level)


def _body(data: bytes) -> bytes:
    start = 2
    while data[start - 1] >= 0x80:
        start += 1
    return data[start:]

"""Integers, strings and binary data."""

from __future__ import annotations

import pytest

from mqttd.packets.errors import MalformedPacket
from mqttd.packets.primitives import (
    MAX_VARIABLE,
    Reader,
    encode_binary,
    encode_byte,
    encode_four,
    encode_string,
    encode_two,
    encode_variable,
    frame,
    text,
)

# Table 1-1 of MQTT 5.
VARIABLES = [
    (0, b"\x00"),
    (1, b"\x01"),
    (127, b"\x7f"),
    (128, b"\x80\x01"),
    (321, b"\xc1\x02"),
    (16_383, b"\xff\x7f"),
    (16_384, b"\x80\x80\x01"),
    (2_097_151, b"\xff\xff\x7f"),
    (2_097_152, b"\x80\x80\x80\x01"),
    (268_435_455, b"\xff\xff\xff\x7f"),
]


@pytest.mark.parametrize(("value", "data"), VARIABLES)
def test_variable_byte_integers(value: int, data: bytes) -> None:
    assert encode_variable(value) == data
    reader = Reader(data)
    assert reader.variable() == value
    reader.finish()
    for length in range(len(data)):
        with pytest.raises(MalformedPacket):
            Reader(data[:length]).variable()


@pytest.mark.parametrize("data", [b"\x80\x00", b"\x81\x80\x00", b"\xff\xff\xff\x00"])
def test_only_the_shortest_form(data: bytes) -> None:
    with pytest.raises(MalformedPacket, match="shortest"):
        Reader(data).variable()


def test_no_fifth_byte() -> None:
    with pytest.raises(MalformedPacket, match="four bytes"):
        Reader(b"\xff\xff\xff\xff\x01").variable()


@pytest.mark.parametrize("value", [-1, MAX_VARIABLE + 1])
def test_variable_byte_integers_out_of_range(value: int) -> None:
    with pytest.raises(ValueError, match="out of the range"):
        encode_variable(value)


def test_fixed_integers() -> None:
    reader = Reader(b"\xff\x01\x02\xfe\xfd\xfc\xfb")
    assert (reader.byte(), reader.two(), reader.four()) == (255, 0x0102, 0xFEFDFCFB)
    assert not reader.more()
    assert encode_byte(255) + encode_two(0x0102) + encode_four(0xFEFDFCFB) == (
        b"\xff\x01\x02\xfe\xfd\xfc\xfb"
    )


@pytest.mark.parametrize("encode", [encode_byte, encode_two, encode_four])
@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_fixed_integers_out_of_range(encode: type, value: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's
        encode(value)


@pytest.mark.parametrize("method", ["byte", "two", "four", "binary", "string", "variable"])
def test_reading_stops_at_the_end_of_the_part(method: str) -> None:
    reader = Reader(b"\x00\x00\x00\x00\x00", 1)
    reader.end = 1
    with pytest.raises(MalformedPacket, match="too early"):
        getattr(reader, method)()
    assert reader.rest() == b""


def test_what_is_left() -> None:
    reader = Reader(b"abcdef", 2)
    with pytest.raises(MalformedPacket, match="longer than its content"):
        reader.finish()
    assert reader.rest() == b"cdef"
    reader.finish()


# [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.4-3]
@pytest.mark.parametrize(
    "value",
    ["", "a", "é", "\ufeff", "a\ufeffb", "\uffff", "\ufdd0", "\U0010ffff", "\x01", "\x7f", "\x9f"],
)
def test_strings_that_pass(value: str) -> None:
    assert text(value.encode()) == value
    assert Reader(encode_string(value)).string() == value


@pytest.mark.parametrize("value", ["\x00", "a\x00b", "\ud800", "a" + chr(0xDFFF)])
def test_strings_that_are_not_written(value: str) -> None:
    with pytest.raises(ValueError, match=r"U\+0000|surrogates"):
        encode_string(value)


@pytest.mark.parametrize("code_point", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_surrogates_are_not_read(code_point: int) -> None:
    with pytest.raises(MalformedPacket, match="UTF-8"):
        text(chr(code_point).encode("utf-8", "surrogatepass"))


def test_the_longest_string_and_one_more() -> None:
    data = encode_binary(b"x" * 65_535)
    assert Reader(data).binary() == b"x" * 65_535
    assert Reader(data).string() == "x" * 65_535
    for encode in (encode_binary, lambda value: encode_string(value.decode())):
        with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's
            encode(b"x" * 65_536)


def test_a_frame() -> None:
    assert frame(0x30) == b"\x30\x00"
    assert frame(0x30, b"a", b"", b"bc") == b"\x30\x03abc"

"""The file of pre-shared keys: every key, or every bad line."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.psk.check import about_lines
from mqttd.psk.psk_file import MOST_NAMED, BadLine, PskFile, parse_psk_file

HEX = "8c701116e9127c57a99d5563709af3deaca75563e2c4dd0865701ae839fb6d79"
OTHER = "d1e617d3b963757bfc21dad3fea169716c3a2f053f23decaea5cdfaabd04bfc4"


def problems(text: str | bytes, **options: str) -> list[tuple[int, str]]:
    data = text.encode() if isinstance(text, str) else text
    return [(each.number, each.problem) for each in parse_psk_file(data, **options).bad]


def test_a_file_of_hexadecimal_keys() -> None:
    read = parse_psk_file(f"myclient1:{HEX}\nmyclient2:{OTHER}\n".encode())
    assert read.encoding == "hex"
    assert read.keys == {b"myclient1": bytes.fromhex(HEX), b"myclient2": bytes.fromhex(OTHER)}
    assert read.bad == []


def test_what_is_skipped() -> None:
    text = f"\ufeff# keys\r\n\r\n  \r\n  # more\r\nä:b:{HEX}\r\n"
    read = parse_psk_file(text.encode(), separator=":b:")
    assert read.keys == {"ä".encode(): bytes.fromhex(HEX)}


@pytest.mark.parametrize(
    ("secrets", "encoding"),
    [
        ([HEX, OTHER.upper()], "hex"),
        ([HEX[:32]], "hex"),
        ([HEX, "a text of sixteen bytes"], "text"),
        ([HEX[:31] + "g"], "text"),
        ([HEX + "0"], "text"),
        ([HEX[:30]], "text"),
        ([], "text"),
    ],
)
def test_auto(secrets: list[str], encoding: str) -> None:
    text = "".join(f"d{number}:{secret}\n" for number, secret in enumerate(secrets))
    read = parse_psk_file(text.encode())
    assert read.encoding == encoding
    assert read.bad == []
    for secret, key in zip(secrets, read.keys.values(), strict=True):
        assert key == (bytes.fromhex(secret) if encoding == "hex" else secret.encode())


def test_base64_and_text() -> None:
    key = bytes(range(32))
    line = b"a:" + base64.b64encode(key)
    assert parse_psk_file(line, encoding="base64").keys == {b"a": key}
    assert parse_psk_file(f"a:{HEX}".encode(), encoding="text").keys == {b"a": HEX.encode()}
    assert problems("a:not base64 at all!!", encoding="base64") == [(1, "the key is not base64")]
    assert problems("a:" + "zz" * 20, encoding="hex") == [
        (1, "the key is not an even number of hexadecimal digits")
    ]


def test_every_bad_line_is_named() -> None:
    text = f"""
nothing
:{HEX}
a:
b:short
c:{HEX}
c:{OTHER}
d:{HEX}
 e:{HEX}
f:{HEX}{" "}
{"g" * 256}:{HEX}
"""
    assert problems(text, encoding="text") == [
        (2, 'has no separator ":"'),
        (3, "has no identity before the separator"),
        (4, "has no key behind the separator"),
        (5, "the key has 5 bytes; 16 is the least"),
        (7, "the identity stands in line 6 already"),
        (8, "the key is that of another identity too, in line 6"),
        (9, "has blanks around the identity"),
        (10, "has blanks around the key"),
        (11, "the identity is longer than 255 bytes"),
    ]
    assert problems(b"a\0b:" + HEX.encode()) == [(1, "the identity holds a zero byte")]
    assert problems("a:" + "x" * 513) == [(1, "the key has 513 bytes; 512 is the most")]


def test_no_key_is_shown() -> None:
    read = parse_psk_file(f"a:{HEX}\nb:{HEX}\nc:x{HEX}\nc:{OTHER}".encode())
    assert isinstance(read, PskFile)
    shown = repr(read) + " ".join(each.problem for each in read.bad)
    assert HEX not in shown
    assert OTHER not in shown
    assert read.bad[0] == BadLine(2, "the key is that of another identity too, in line 1")


@given(st.binary(max_size=300))
def test_garbage_never_raises(data: bytes) -> None:
    read = parse_psk_file(data)
    assert all(len(key) >= 16 for key in read.keys.values())


def test_other_encodings_of_text() -> None:
    text = f"gerät:{HEX}\n"
    assert problems(text.encode("latin-1"))[0][1].startswith("the identity is not UTF-8")
    for encoding in ("utf-16-le", "utf-16-be"):
        marked = f"\ufeff{text}".encode(encoding)
        assert problems(marked) == [(1, "the file is UTF-16; save it as UTF-8")]


def test_one_line_that_makes_text_of_all_keys() -> None:
    lines = [f"d{number}:{number:064x}" for number in range(1, 10)]
    assert parse_psk_file("\n".join(lines).encode()).odd is None
    lines[4] = lines[4][:-1]
    read = parse_psk_file("\n".join(lines).encode())
    assert (read.encoding, read.odd) == ("text", 5)
    assert parse_psk_file("\n".join(lines).encode(), encoding="text").odd is None
    lines = [f"d{number}:a secret number {number}" for number in range(8)]
    assert parse_psk_file("\n".join(lines).encode()).odd is None


def test_keys_that_look_like_base64() -> None:
    lines = [b"a:" + base64.b64encode(bytes(range(32))), b"b:" + base64.b64encode(bytes(48))]
    read = parse_psk_file(b"\n".join(lines))
    assert (read.encoding, read.maybe_base64) == ("text", True)
    (finding,) = about_lines(read, "keys", "")
    assert finding.severity == "warning"
    assert "looks like base64" in finding.message
    assert not parse_psk_file(b"\n".join(lines), encoding="base64").maybe_base64
    assert not parse_psk_file(b"\n".join([*lines, b"c:a secret of blanks"])).maybe_base64
    assert not parse_psk_file(f"a:{HEX}x\nb:{OTHER}yyy".encode()).maybe_base64


def test_a_file_of_something_else_is_not_named_line_by_line() -> None:
    read = parse_psk_file(b"x\n" * 5000 + b"a:short\n" * 5000)
    assert read.bad_count == 10000
    assert [each.number for each in read.bad] == list(range(1, MOST_NAMED + 1))
    read = parse_psk_file(b"a:short\n" * 5000 + b"x\n" * 5000)
    assert [each.number for each in read.bad] == list(range(1, MOST_NAMED + 1))


def test_the_longest() -> None:
    longest = f"{'i' * 255}:{'ab' * 512}"
    assert problems(longest) == []
    assert len(parse_psk_file(longest.encode()).keys[b"i" * 255]) == 512


def test_an_empty_separator_finds_nothing() -> None:
    assert problems(f"a:{HEX}", separator="") == [(1, 'has no separator ""')]

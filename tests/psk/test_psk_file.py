"""The file of pre-shared keys: every key, or every bad line."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.psk.psk_file import BadLine, PskFile, parse_psk_file, show_identity

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


def test_identities_for_people() -> None:
    assert show_identity("gerät-1".encode()) == "gerät-1"
    assert show_identity(b"a\x1b[2J\xff") == "a\\x1b[2J\\xff"

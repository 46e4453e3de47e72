"""The scalar types of the configuration file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mqttd.config import types
from mqttd.config.errors import InvalidValue
from mqttd.config.types import Bind, Keepalive, Rate, Secret


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15.0),
        ("15m", 900.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("1.5h", 5400.0),
        ("500ms", 0.5),
        ("0.5s", 0.5),
        ("1d", 86400.0),
        ("1w", 604800.0),
        ("1f", 1209600.0),
        ("2 s", 2.0),
        ("7200S", 7200.0),
        ("0s", 0.0),
        (1500, 1.5),
        ("1500", 1.5),
        ("infinity", math.inf),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert types.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "15x", "15s x", "-1s", -1, True, [], {}, 1.5, "1..5s"])
def test_no_durations(text: object) -> None:
    with pytest.raises(InvalidValue, match="expects a duration"):
        types.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4KB", 4096),
        ("1MB", 1048576),
        ("1GB", 1 << 30),
        ("1.5kb", 1536),
        (7, 7),
        ("7", 7),
        ("7B", 7),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert types.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KB", "4XB", "-4KB", "0.3B", -1, True, 1.5, []])
def test_no_sizes(text: object) -> None:
    with pytest.raises(InvalidValue, match="expects a size"):
        types.parse_size(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", Rate(100, 1)),
        ("100", Rate(100, 1)),
        (100, Rate(100, 1)),
        ("10MB/10s", Rate(10 * 1048576, 10)),
        ("500/100ms", Rate(500, 0.1)),
        ("60 / 1m", Rate(60, 60)),
        ("0.5/s", Rate(0.5, 1)),
        ("infinity", None),
    ],
)
def test_rates(text: object, rate: Rate | None) -> None:
    assert types.parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "x/s", "100/", "100/x", "100xb/s", "-1/s", True, [], "1/1w"])
def test_no_rates(text: object) -> None:
    with pytest.raises(InvalidValue, match="expects a rate"):
        types.parse_rate(text)


@pytest.mark.parametrize("text", [0, "0/s", "10/0s", "0.0/s"])
def test_a_rate_of_zero_is_refused(text: object) -> None:
    with pytest.raises(InvalidValue, match="zero would admit nobody"):
        types.parse_rate(text)


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        (8883, Bind("0.0.0.0", 8883)),
        ("8883", Bind("0.0.0.0", 8883)),
        (":8883", Bind("0.0.0.0", 8883)),
        ("127.0.0.1:8883", Bind("127.0.0.1", 8883)),
        ("[::1]:8883", Bind("::1", 8883)),
        ("::1:8883", Bind("::1", 8883)),
        (":::1883", Bind("::", 1883)),
        ("[::]:0", Bind("::", 0)),
        ("[2001:db8:0:0:0:0:0:1]:1", Bind("2001:db8::1", 1)),
    ],
)
def test_binds(text: object, bind: Bind) -> None:
    assert types.parse_bind(text) == bind


def test_a_bind_is_shown_as_it_can_be_written() -> None:
    for bind in (Bind("::1", 8883), Bind("127.0.0.1", 0)):
        assert types.parse_bind(str(bind)) == bind


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost:8883", "host names are not accepted"),
        ("broker.example.com:8883", "host names are not accepted"),
        ("127.0.0.1:", "no port number"),
        ("127.0.0.1:x", "no port number"),
        ("127.0.0.1:65536", "too large"),
        (99999, "too large"),
        ("999999999999", "too large"),
        (-1, "no port number"),
        ("", "expects an address and a port"),
        (True, "expects an address and a port"),
        ("300.0.0.1:1", "no IP address"),
        ("127.0.0.1:\u0661", "no port number"),
    ],
)
def test_no_binds(text: object, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as caught:
        types.parse_bind(text)
    assert "127.0.0.1:8883" in caught.value.cure


def test_keepalive() -> None:
    assert types.parse_keepalive("none") is None
    assert types.parse_keepalive("240, 30,5") == Keepalive(240, 30, 5)
    assert types.parse_keepalive("72000,750,90") == Keepalive(72000, 750, 90)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0,30,5", r"Idle must be within 1\.\.72000"),
        ("72001,30,5", "Idle"),
        ("1,751,5", r"Interval must be within 1\.\.750"),
        ("1,1,91", r"Probes must be within 1\.\.90"),
        ("1,1,9999999999999", "Probes"),
        ("1,1", "three numbers"),
        ("a,b,c", "three numbers"),
        (True, "three numbers"),
        (5, "three numbers"),
    ],
)
def test_no_keepalive(text: object, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason):
        types.parse_keepalive(text)


def test_lists_and_comma_text_are_one() -> None:
    assert types.parse_text_list("a, b,,c ") == ["a", "b", "c"]
    assert types.parse_text_list(["a ", "b", ""]) == ["a", "b"]
    assert types.parse_text_list("") == []
    with pytest.raises(InvalidValue):
        types.parse_text_list(3)
    with pytest.raises(InvalidValue):
        types.parse_text_list([{}])


@pytest.mark.parametrize(
    ("value", "result"),
    [(True, True), (False, False), ("true", True), ("ON", True), ("off", False), ("False", False)],
)
def test_booleans(value: object, result: bool) -> None:
    assert types.parse_boolean(value) is result


@pytest.mark.parametrize("value", ["yes", "", 1, 0, [], {}])
def test_no_booleans(value: object) -> None:
    with pytest.raises(InvalidValue, match="expects true or false"):
        types.parse_boolean(value)


@pytest.mark.parametrize("value", [True, "x", 1.5, "1.5", [], "\u0661", "1" * 30])
def test_no_integers(value: object) -> None:
    with pytest.raises(InvalidValue, match="expects a whole number"):
        types.parse_integer(value)


def test_a_secret_is_never_shown() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    assert "hunter2" not in repr(secret) + str(secret) + f"{secret}"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")


def test_a_secret_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key.password").write_bytes(b" hunter2 \r\n")
    secret = types.parse_secret("file://key.password", tmp_path)
    assert secret.reveal() == " hunter2 "
    assert types.parse_secret(f"file://{tmp_path}/key.password", Path("/")) == secret
    assert types.parse_secret("plain", tmp_path).reveal() == "plain"
    assert types.parse_secret(1234, tmp_path).reveal() == "1234"


def test_a_secret_file_that_does_not_serve_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, reason in (("missing", "cannot read"), ("empty", "is empty"), ("binary", "UTF-8")):
        with pytest.raises(InvalidValue, match=reason) as caught:
            types.parse_secret(f"file://{name}", tmp_path)
        assert str(tmp_path / name) in caught.value.problem


def test_an_unusable_secret_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue) as caught:
        types.parse_secret(["hunter2"], tmp_path)
    assert "hunter2" not in caught.value.problem + caught.value.cure


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (15.0, "15s"),
        (900.0, "15m"),
        (5400.0, "90m"),
        (0.5, "500ms"),
        (0.0, "0s"),
        (math.inf, "infinity"),
    ],
)
def test_durations_are_written_back(seconds: float, text: str) -> None:
    assert types.format_duration(seconds) == text
    assert types.parse_duration(text) == seconds


def test_sizes_are_written_back() -> None:
    for size, text in ((4096, "4KB"), (1048576, "1MB"), (1000, "1000"), (0, "0")):
        assert types.format_size(size) == text
        assert types.parse_size(text) == size


def test_long_values_are_cut_in_messages() -> None:
    assert len(types.shown("x" * 10_000)) < 70
    assert types.shown({"password": "hunter2"}) == "a section { ... }"
    assert types.shown(["hunter2"]) == "a list [ ... ]"

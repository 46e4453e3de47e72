"""Reading HOCON: what pyhocon gives, what is kept from it, and where errors are."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhocon import config_parser

from mqttd.config import hocon
from mqttd.config.errors import ConfigurationErrors, Finding


def values(text: str) -> dict[str, object]:
    return hocon.read_text(text).values


def failure(text: str, directory: Path | None = None) -> Finding:
    with pytest.raises(ConfigurationErrors) as caught:
        hocon.read_text(text, "mqttd.conf", directory)
    (finding,) = caught.value.findings
    return finding


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("15m", "15m"),
        ("7200s", "7200s"),
        ("1h30m", "1h30m"),
        ("2 weeks", "2 weeks"),
        ("100/s", "100/s"),
        ("10MB/10s", "10MB/10s"),
        ("4KB", "4KB"),
        ("8883", 8883),
        ("-3", -3),
        ("1.5", 1.5),
        ("true", True),
        ("off", "off"),
        ("127.0.0.1:8883", "127.0.0.1:8883"),
        (":8883", ":8883"),
        ("verify_peer # comment", "verify_peer"),
        ("verify_peer // comment", "verify_peer"),
        ('"a#b"', "a#b"),
        ("[tlsv1.3, tlsv1.2]", ["tlsv1.3", "tlsv1.2"]),
        ("[\n a # first\n b\n]", ["a", "b"]),
        ('"""two\nlines"""', "two\nlines"),
        ("file:///run/secret", "file:///run/secret"),
    ],
)
def test_values_stay_what_was_written(text: str, value: object) -> None:
    assert values(f"key = {text}") == {"key": value}


def test_sections_merge_and_the_last_value_wins() -> None:
    text = "a.b { c = 1, d = 2 }\na { b.c = 3 }\na.b.e = 4"
    assert values(text) == {"a": {"b": {"c": 3, "d": 2, "e": 4}}}


def test_null_unsets() -> None:
    assert values("a.b = 1\na.c = null\na.b = null") == {"a": {}}


def test_substitutions() -> None:
    assert values('dir = etc\na = ${dir}"/certs"') == {"dir": "etc", "a": "etc/certs"}


def test_a_substitution_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_DIRECTORY", "/srv")
    assert values("a = ${SOME_DIRECTORY}/certs") == {"a": "/srv/certs"}
    assert values("a = ${?NO_SUCH_THING}") == {}


def test_placeholders_in_quotes_are_text() -> None:
    assert values('a = "${username}/"') == {"a": "${username}/"}


def test_an_unknown_substitution_is_an_error_with_its_line() -> None:
    finding = failure("b = 1\na = ${no.such.thing}")
    assert "no.such.thing" in finding.message
    assert "line: 2" in finding.message
    assert "double quotes" in finding.cure


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a {\n  b = 3\n", 2, "section opened with { is not closed"),
        ("a = 1\nb = [1, 2\n", 2, "list opened with [ is not closed"),
        ("a = 1\nb\n", 2, "not followed by"),
        ("a = 1\nb = x, y\n", 2, "not followed by"),
        ("a = 1\n\nb = }", 3, "unexpected '}' in column 5"),
        ('a = 1\nb = "x\nc = 2', 2, "unexpected '\"'"),
        ("a = = 3", 1, "unexpected '='"),
        ("a = 1\n...\nb = 2", 2, "not followed by"),
    ],
)
def test_syntax_errors_have_a_line(text: str, line: int, message: str) -> None:
    finding = failure(text)
    assert finding.origin == f"mqttd.conf:{line}"
    assert message in finding.message
    assert finding.cure


def test_syntax_errors_quote_nothing() -> None:
    for text in ('password = "hunter2', "password = hunter2, hunter3", "password = [hunter2"):
        assert "hunter" not in str(failure(text))


def test_an_unquoted_bracket_address_gets_a_cure() -> None:
    finding = failure("listeners.tcp.a.bind = [::1]:8883")
    assert '"[::1]:8883" in double quotes' in finding.cure


def test_a_section_inside_itself_is_refused() -> None:
    assert "contains itself" in failure("a { b = ${a} }").message


def test_a_value_that_is_also_a_section_is_an_error() -> None:
    assert "a value where a section" in failure("a = 2\na.b = 1").message


def test_a_list_is_no_configuration() -> None:
    assert "holds a list" in failure("[1, 2]").message


def test_deep_nesting_is_refused() -> None:
    assert "nested too deep" in failure("a {" * 3000 + "}" * 3000).message


def test_includes(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "one.conf").write_text("a.one = 1")
    (tmp_path / "conf.d" / "two.conf").write_text("a.two = 15m")
    main = tmp_path / "main.conf"
    main.write_text('include "conf.d/*.conf"\na.three = 3')
    document = hocon.read_file(main)
    assert document.values == {"a": {"one": 1, "two": "15m", "three": 3}}
    assert document.findings == []
    assert document.origins["a.two"] == f"{tmp_path}/conf.d/two.conf:1"
    assert document.origins["a.three"] == f"{main}:2"


def test_a_missing_include_is_a_warning_and_a_required_one_an_error(tmp_path: Path) -> None:
    document = hocon.read_text('a = 1\ninclude "nope.conf"', directory=tmp_path)
    assert document.values == {"a": 1}
    (finding,) = document.findings
    assert finding.severity == "warning"
    assert "nope.conf" in finding.message
    required = failure('include required(file("nope.conf"))', tmp_path)
    assert required.origin == str(tmp_path / "nope.conf")


def test_an_error_in_an_include_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "bad.conf").write_text("a = 1\nb")
    assert failure('include "bad.conf"', tmp_path).origin == f"{tmp_path}/bad.conf:2"


def test_includes_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text('include "b.conf"')
    (tmp_path / "b.conf").write_text('include "a.conf"')
    assert "included by itself" in failure('include "a.conf"', tmp_path).message


@pytest.mark.parametrize(
    "target", ['url("http://127.0.0.1:9/x")', '"https://127.0.0.1:9/x"', 'package("os:path.py")']
)
def test_nothing_is_fetched(target: str) -> None:
    assert "only files can be included" in failure(f"include {target}").message


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), (b"a = \xff", "not UTF-8")]
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "mqttd.conf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationErrors, match=message) as caught:
        hocon.read_file(path)
    assert caught.value.findings[0].origin == str(path)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "mqttd.conf"
    path.write_bytes(b"\xef\xbb\xbfa = 1")
    assert hocon.read_file(path).values == {"a": 1}


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.sampled_from([*'ab.={}[]"#\n ,:+$', "${a}", "15m", "null"]), max_size=15))
def test_any_text_is_read_or_refused(marks: list[str]) -> None:
    with suppress(ConfigurationErrors):
        hocon.read_text("".join(marks))


def test_pyhocon_is_left_as_it_was() -> None:
    before = config_parser.ConfigFactory, config_parser.get_period_expr
    values("a = 15m")
    failure("a {")
    assert (config_parser.ConfigFactory, config_parser.get_period_expr) == before


@pytest.mark.parametrize(
    ("text", "value"),
    [("8883", 8883), ("[a, b]", ["a", "b"]), ("on", "on"), ("[::1]:1", "[::1]:1"), ("15m", "15m")],
)
def test_single_values(text: str, value: object) -> None:
    assert hocon.read_value(text) == value

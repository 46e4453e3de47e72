"""Files of rules: their text, every error with its line, and reading them again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import maybeDeferred
from twisted.logger import globalLogPublisher

from mqttd.authz.rule_file import load_rules, make
from mqttd.authz.rule_text import BadText, read_rules_text
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.hocon import read_text
from mqttd.config.schema.authorization_sources import RuleFileOptions
from mqttd.identity import AccessRequest
from mqttd.interfaces import PluginContext

GOOD = """\
# everybody may say where they are
rules = [
  { permission = allow, action = publish, topics = ["where/${clientid}"] },
  {
    permission = deny  // nobody sees it
    who { username = "a b", client_attrs.site = [oslo, "new york"] }
    topics = [ "where/#" , "eq #" ]
    qos = [0, 1]
  }
  { permission: "allow", who = all, "topics": x/y z, retain = true }
]
"""


def test_the_text_reads_as_hocon_does() -> None:
    section = read_rules_text(GOOD)
    plain = read_text(GOOD).values
    plain["rules"][1]["qos"] = ["0", "1"]
    plain["rules"][2]["retain"] = "true"
    assert section == plain
    assert section["rules"].lines == [3, 4, 10]
    assert section["rules"][1].lines["topics"] == 7


def test_escapes() -> None:
    text = r'''a = "\"\\\/\b\f\n\r\t\u0041", b = """x "y" \n"""'''
    assert read_rules_text(text) == {"a": '"\\/\b\f\n\r\tA', "b": 'x "y" \\n'}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("rules = [\n { a = b\n", 2, "a section opened with { is not closed"),
        ("rules = [\n { a = b }\n", 1, "a list opened with [ is not closed"),
        ('rules = ["a\n"]', 1, "quotes are not closed"),
        ('rules = ["a" "b"]', 1, "unexpected '\"' after a value"),
        ("a = 1\na = 2", 2, "a is written twice"),
        ("a { b = 1 }\na.b = 2", 2, "b is written twice"),
        ("a = 1\na.b = 2", 2, "a is written twice"),
        ('include "other"', 1, "rule files include nothing"),
        ("a = ${b}", 1, "unexpected '$'"),
        ("\na =\n", 3, "a value is missing"),
        ("a = ,", 1, "unexpected ','"),
        ("}", 1, "unexpected '}'"),
        ("rules [", 1, "a key is not followed by"),
        ('a = "\\x"', 1, "a backslash begins nothing known"),
        ("a = " + "[" * 100, 1, "is nested too deep"),
        ("a = 1 b", 1, ""),
        ("{allow, all}.", 1, "unexpected '{'"),
    ],
)
def test_text_that_cannot_be_read(text: str, line: int, problem: str) -> None:
    if not problem:
        assert read_rules_text(text) == {"a": "1 b"}
        return
    with pytest.raises(BadText) as caught:
        read_rules_text(text)
    assert (caught.value.line, problem in caught.value.problem) == (line, True)


@given(st.text(alphabet='a{}[]=:,"\\\n#/. $\0é', max_size=60))
def test_no_text_does_harm(text: str) -> None:
    line = 1
    try:
        read_rules_text(text)
    except BadText as bad:
        line = bad.line
    assert 1 <= line <= text.count("\n") + 1


def test_all_errors_of_a_file_are_told_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "acl.conf"
    file.write_text(
        """\
other = 1
rules = [
  { permission = perhaps, topics = ["a/#/b"] }
  { permision = allow, topics = [] }
  text
  { permission = allow, topics = ["a", "${user}/x"]
    who { user = a }
    action = subscribe, retain = true
    qos = 3 }
]
"""
    )
    rules, _, findings = load_rules(RuleFileOptions(path="acl.conf"), tmp_path, "sources")
    assert rules == []
    assert [(f.path, f.origin.removeprefix(f"{tmp_path}/")) for f in findings] == [
        ("sources.path: other", "acl.conf:1"),
        ("sources.path: rules[0].permission", "acl.conf:3"),
        ("sources.path: rules[0].topics[0]", "acl.conf:3"),
        ("sources.path: rules[1].permision", "acl.conf:4"),
        ("sources.path: rules[1].permission", "acl.conf:4"),
        ("sources.path: rules[1].topics", "acl.conf:4"),
        ("sources.path: rules[2]", "acl.conf:5"),
        ("sources.path: rules[3].qos", "acl.conf:9"),
        ("sources.path: rules[3].who.user", "acl.conf:7"),
        ("sources.path: rules[3].topics[1]", "acl.conf:6"),
        ("sources.path: rules[3].retain", "acl.conf:8"),
    ]
    assert all(finding.severity == "error" for finding in findings)
    assert findings[3].cure == "did you mean permission?"
    assert findings[-2].cure == "did you mean ${username}?"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "does not exist"),
        ("", "the file holds no rules"),
        ("rules = no", "rules is no list"),
        ("{allow, all}.\n", "unexpected '{'"),
        ("rules = [" + "{},\n" * 300, "a list opened with [ is not closed"),
    ],
)
def test_a_file_that_holds_no_rules(tmp_path: Path, text: str | None, problem: str) -> None:
    if text is not None:
        (tmp_path / "acl.conf").write_text(text)
    (finding,) = load_rules(RuleFileOptions(path="acl.conf"), tmp_path)[2]
    assert finding.severity == "error"
    assert problem in finding.message


def test_very_many_errors_are_counted(tmp_path: Path) -> None:
    (tmp_path / "acl.conf").write_text("rules = [" + "{},\n" * 300 + "]")
    findings = load_rules(RuleFileOptions(path="acl.conf"), tmp_path)[2]
    assert len(findings) == 101
    assert findings[-1].message == "500 more errors"


def test_rules_in_the_configuration_itself(tmp_path: Path) -> None:
    text = 'rules = [{ permission = allow, who { username = 42 }, topics = "a", retain = false }]'
    options = RuleFileOptions(rules=read_text(text).values["rules"])
    rules, _, findings = load_rules(options, tmp_path, "sources")
    assert findings == []
    assert rules[0].text == "allow publish and subscribe by username 42, not retained: a"
    bad = RuleFileOptions(rules=[{"permission": "allow"}])
    (finding,) = load_rules(bad, tmp_path, "sources")[2]
    assert finding.path == "sources.rules[0].topics"


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (RuleFileOptions(), "sources.path"),
        (RuleFileOptions(path="acl.conf", rules=[{}]), "sources.path"),
    ],
)
def test_a_source_has_a_file_or_rules(tmp_path: Path, options: Any, path: str) -> None:
    (finding,) = load_rules(options, tmp_path, "sources")[2]
    assert (finding.severity, finding.path) == ("error", path)


def test_a_file_that_everybody_may_change_is_told(tmp_path: Path) -> None:
    file = tmp_path / "acl.conf"
    file.write_text("rules = []")
    file.chmod(0o666)
    (finding,) = load_rules(RuleFileOptions(path="acl.conf"), tmp_path)[2]
    assert finding.severity == "warning"
    assert "chmod o-w" in finding.cure


def test_rules_that_never_decide_are_told(tmp_path: Path) -> None:
    (tmp_path / "acl.conf").write_text(
        """\
rules = [
  { permission = allow, action = publish, topics = ["a/#"] }
  { permission = deny, action = publish, topics = ["a/b", "a/${clientid}/c"] }
  { permission = allow, who { username = x }, topics = ["a/b"] }
  { permission = allow, topics = ["b/#"] }
  { permission = deny, action = subscribe, topics = ["b/secret"] }
  { permission = deny, topics = ["#"] }
  { permission = allow, topics = ["$SYS/#"] }
  { permission = allow, topics = ["c"] }
]
"""
    )
    rules, _, findings = load_rules(RuleFileOptions(path="acl.conf"), tmp_path, "s")
    assert len(rules) == 8
    assert [(f.path, f.severity) for f in findings] == [
        ("s.path: rules[1]", "warning"),
        ("s.path: rules[7]", "warning"),
    ]


def test_the_file_is_read_again_and_a_bad_one_changes_nothing(
    ask: Callable[..., AccessRequest], tmp_path: Path
) -> None:
    file = tmp_path / "acl.conf"
    rule = '{{ permission = allow, topics = ["{}"] }}'.format
    file.write_text(f"rules = [{rule('a')}]")
    source = make(RuleFileOptions(path="acl.conf"), PluginContext(None, tmp_path, tmp_path))
    source._in_thread = maybeDeferred
    changes: list[int] = []
    source.on_change(lambda: changes.append(1))
    events: list[Any] = []
    note: Any = events.append
    globalLogPublisher.addObserver(note)
    try:
        source.reload()
        assert changes == []
        file.write_text(f"rules = [{rule('b')}]")
        source.reload()
        assert changes == [1]
        file.write_text("rules = [")
        source.reload()
    finally:
        globalLogPublisher.removeObserver(note)
    assert source.authorize(ask("publish", "b")) is True
    assert source.authorize(ask("publish", "a")) is None
    assert [each["event"] for each in events if "event" in each] == ["rules_read", "rules_refused"]


def test_a_bad_file_makes_no_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationErrors):
        make(RuleFileOptions(path="acl.conf"), PluginContext(None, tmp_path, tmp_path))

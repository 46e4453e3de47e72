"""mosquitto's acl_file: its lines, its order, and what no line allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mqttd.authz.mosquitto_acl import load_acl, make
from mqttd.authz.rule_file import load_rules
from mqttd.config.schema.authorization_sources import MosquittoAclOptions, RuleFileOptions
from mqttd.identity import AccessRequest
from mqttd.interfaces import PluginContext

Ask = Callable[..., AccessRequest]

ACL = """\
# Clients without a user name
topic read public/#
topic readwrite open/${x}

user roger
topic foo/bar
topic write out/+
topic deny out/secret
topic read with blanks/#
user bob jones
topic in/#

pattern write $SYS/broker/connection/%c/state
pattern readwrite home/%u/#
pattern deny home/%u/private
user roger
\ttopic read  late/#
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acl").write_text(ACL)
    return tmp_path


@pytest.mark.parametrize(
    ("username", "action", "topic", "allowed"),
    [
        (None, "subscribe", "public/#", True),
        (None, "subscribe", "public/a", True),
        (None, "publish", "public/a", False),
        (None, "publish", "open/${x}", True),
        ("roger", "subscribe", "public/a", False),
        ("roger", "publish", "foo/bar", True),
        ("roger", "subscribe", "foo/bar", True),
        ("roger", "subscribe", "foo/+", False),
        ("roger", "publish", "out/a", True),
        ("roger", "subscribe", "out/a", False),
        ("roger", "publish", "out/secret", False),
        ("roger", "subscribe", "with blanks/x", True),
        ("roger", "subscribe", "late/x", True),
        ("bob jones", "publish", "in/x", True),
        ("bob jones", "publish", "foo/bar", False),
        ("who", "publish", "$SYS/broker/connection/client/state", True),
        (None, "publish", "$SYS/broker/connection/client/state", True),
        ("who", "publish", "$SYS/broker/connection/other/state", False),
        ("who", "publish", "home/who/a", True),
        ("who", "publish", "home/other/a", False),
        ("who", "publish", "home/who/private", False),
        ("who", "subscribe", "home/who/#", False),
        ("who", "subscribe", "home/who/a/#", True),
        (None, "publish", "home//a", False),
        ("+", "subscribe", "home/+/#", False),
        ("+", "subscribe", "home/x/#", False),
        ("a/b", "publish", "home/a/b/x", False),
        (None, "subscribe", "#", False),
    ],
)
def test_what_is_allowed(
    ask: Ask, folder: Path, username: str | None, action: str, topic: str, allowed: bool
) -> None:
    source = make(MosquittoAclOptions(path="acl"), PluginContext(None, folder, folder))
    assert source.authorize(ask(action, topic, username=username)) is allowed


def test_the_line_that_decides_is_known(ask: Ask, folder: Path) -> None:
    source = make(MosquittoAclOptions(path="acl"), PluginContext(None, folder, folder))
    decision = source.decide(ask("publish", "out/secret", username="roger"))
    assert decision is not None
    assert (decision.allow, decision.rule.line) == (False, 8)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("topics a", "begins with none of user, topic and pattern"),
        ("user", "names no user"),
        ("topic", "names no topic"),
        ("topic raed a/b", "has an access that is none of"),
        ("topic read a/#/b", "# must be the whole last level"),
        ("pattern read a+/%u", "+ must be a whole level"),
        ("topic read eq a", "has a blank in its first level"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "acl").write_bytes(b"topic read ok\r\n\n" + line.encode() + b"\n\xff\xfe\n")
    findings = load_acl(MosquittoAclOptions(path="acl"), tmp_path, "sources")[2]
    assert [finding.origin for finding in findings] == [
        f"{tmp_path}/acl:3",
        f"{tmp_path}/acl:4",
    ]
    assert problem in findings[0].message
    assert findings[1].message == "is not UTF-8"


def test_files_of_the_other_kind_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("user roger\ntopic read a\n")
    (tmp_path / "acl.conf").write_text("rules = [\n]\n")
    (finding,) = load_rules(RuleFileOptions(path="acl"), tmp_path)[2]
    assert "type = mosquitto" in finding.cure
    first, _ = load_acl(MosquittoAclOptions(path="acl.conf"), tmp_path)[2]
    assert "type = file" in first.cure


def test_a_file_must_be_named_and_there(tmp_path: Path) -> None:
    for name in ("", "acl"):
        (finding,) = load_acl(MosquittoAclOptions(path=name), tmp_path, "sources")[2]
        assert (finding.severity, finding.path) == ("error", "sources.path")

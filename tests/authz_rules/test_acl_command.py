"""``mqttd acl``: which rule decides, and files that are looked at."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mqttd.cli import main

RULES = """\
rules = [
  { permission = allow, action = publish
    who { username = "dev-*", cert_common_name = "dev-*", client_attrs { site = oslo } }
    topics = ["devices/${clientid}/#"] }
  { permission = deny, action = subscribe, topics = ["$SYS/#", "eq #", "b", "c", "d/+"] }
  { permission = allow, who { ipaddr = "10.0.0.0/8" }, qos = [0], topics = ["#"] }
]
"""


@pytest.fixture
def acl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs ``mqttd acl`` in a folder with rules; gives the exit status and what was printed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acl.conf").write_text(RULES)
    (tmp_path / "mosquitto.acl").write_text("user bob\ntopic read in/#\n")
    configure(tmp_path, '{ type = file, path = "acl.conf" }')

    def run(*words: str) -> tuple[int, str]:
        try:
            status = main(["acl", *words])
        except SystemExit as end:
            status = int(str(end.code))
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def configure(folder: Path, sources: str, more: str = "") -> None:
    (folder / "mqttd.conf").write_text(
        'listeners.tcp.default.bind = "127.0.0.1:0"\n'
        f"authorization {{ sources = [ {sources} ]\n{more} }}\n"
    )


EXPLAIN = ("explain", "-c", "mqttd.conf")


def test_the_rule_that_allows_is_named(acl: Callable[..., tuple[int, str]]) -> None:
    status, said = acl(
        *EXPLAIN,
        *("-u", "dev-1", "-i", "c1", "--cert-common-name", "dev-1", "--attr", "site=oslo"),
        *("publish", "devices/c1/up"),
    )
    assert status == 0
    assert "authorization.sources (file): " in said
    assert "acl.conf:2 decides" in said
    assert said.endswith("\nallowed\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("publish", "devices/c1/up"), 1, "no rule fits; authorization.no_match is deny\ndenied"),
        (("subscribe", "#"), 1, "acl.conf:5 decides\n    deny subscribe: $SYS/#, eq #, b and 2"),
        (("subscribe", "d/#"), 1, "by its topic d/+"),
        (("subscribe", "$share/group/d/x"), 1, "acl.conf:5 decides"),
        (("--ipaddr", "10.1.1.1", "publish", "x"), 0, "acl.conf:6 decides"),
        (("--ipaddr", "10.1.1.1", "--qos", "1", "publish", "x"), 1, "no rule fits"),
        (("--superuser", "subscribe", "#"), 0, "a superuser may do everything"),
        (("publish", "a/+"), 2, "wildcard"),
        (("subscribe", "a/#/b"), 2, "# must be the whole last level"),
        (("--attr", "site", "publish", "a"), 2, "write NAME=VALUE"),
        (("--listener", "ssl:none", "publish", "a"), 2, "there are tcp:default"),
        (("--cert", "none.pem", "publish", "a"), 2, "No such file"),
        (("--cert", "acl.conf", "publish", "a"), 2, "holds no PEM certificate"),
    ],
)
def test_answers(
    acl: Callable[..., tuple[int, str]], words: tuple[str, ...], status: int, said: str
) -> None:
    got, text = acl(*EXPLAIN, *words)
    assert (got, said in text) == (status, True), text


def test_a_certificate_can_be_shown(
    acl: Callable[..., tuple[int, str]], pki: Any, tmp_path: Path
) -> None:
    (tmp_path / "dev.pem").write_text(pki.root.client("dev-7").chain_pem)
    words = ("-u", "dev-1", "-i", "c1", "--attr", "site=oslo", "publish", "devices/c1/up")
    assert acl(*EXPLAIN, "--cert", "dev.pem", *words)[0] == 0
    assert acl(*EXPLAIN, *words)[0] == 1


def test_sources_are_asked_in_order(acl: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    configure(
        tmp_path,
        '{ type = file, path = "acl.conf" }, { type = mosquitto, path = "mosquitto.acl" }',
        "no_match = allow",
    )
    status, said = acl(*EXPLAIN, "--json", "-u", "bob", "subscribe", "in/x")
    assert status == 0
    assert [(step["kind"], step["allow"], step["line"]) for step in json.loads(said)["steps"]] == [
        ("file", None, 0),
        ("mosquitto", True, 2),
    ]
    status, said = acl(*EXPLAIN, "publish", "in/x")
    assert status == 1
    assert "mosquitto.acl allows it" in said


def test_a_server_is_asked_only_when_told_to(
    acl: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    configure(tmp_path, '{ type = http, url = "http://127.0.0.1:9/acl" }')
    status, said = acl(*EXPLAIN, "publish", "x")
    assert status == 3
    assert "would be asked; --ask does so" in said
    assert "not decided" in said


def test_a_configuration_that_cannot_be_used(
    acl: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "acl.conf").write_text("rules = [")
    status, said = acl(*EXPLAIN, "publish", "x")
    assert status == 1
    assert "acl.conf:1" in said
    assert acl("explain", "publish", "x")[0] == 2


def test_files_are_checked(acl: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    assert acl("check", "acl.conf") == (0, "acl.conf: nothing to mend\n3 rules\n")
    assert acl("check", "--type", "mosquitto", "mosquitto.acl")[0] == 0
    status, said = acl("check", "--json", "mosquitto.acl")
    assert status == 1
    (finding,) = json.loads(said)["findings"]
    assert finding["origin"].endswith("mosquitto.acl:1")
    assert not finding["path"]
    assert acl("check", "none.conf")[1].startswith("error: none.conf\n    ")


def test_check_of_the_configuration_has_the_errors_of_rule_files(
    acl: Callable[..., tuple[int, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "acl.conf").write_text(
        textwrap.dedent(
            """\
            rules = [
              { permission = maybe, topics = ["a"] }
            ]
            """
        )
    )
    assert main(["check", "-c", "mqttd.conf"]) == 1
    said = capsys.readouterr().out
    assert "authorization.sources.path: rules[0].permission" in said
    assert "acl.conf:2" in said

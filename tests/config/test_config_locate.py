"""Lines of options, for error messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttd.config.locate import locate

TEXT = """\
# listeners.x = 1
listeners.ssl.default {
  bind = "0.0.0.0:8883"
  access_rules = [
    "allow all"   # } not an end
    "deny 1.1.1.1"
  ]
  ssl_options { verify = verify_peer, depth = 3 }
  ssl_options.versions = ["tlsv1.3"] // = 3
  mountpoint = ${dir}"x{"
  key = \"\"\"a = 1
b = {
\"\"\"
}
"listeners".tcp : {
  a
  {
  }
}
mqtt
{ x = 1 }
log.console.level = debug
include "more.conf"
log.console.level = info
"""

LISTS = """\
authentication = [
  # { mechanism = jwt }
  { mechanism = cred, checker = "a:}]" }
  {
    backend = http
    ssl { enable = true
      ciphers = ["x", "{"] } }
]
one = [{
  type = file, rules = [ {
    topics = ["a"] }
    { topics = [] }] }]
after = 1
"""


def test_lines_in_lists() -> None:
    assert locate(LISTS) == {
        "authentication": 1,
        "authentication[0]": 3,
        "authentication[0].mechanism": 3,
        "authentication[0].checker": 3,
        "authentication[1]": 4,
        "authentication[1].backend": 5,
        "authentication[1].ssl": 6,
        "authentication[1].ssl.enable": 6,
        "authentication[1].ssl.ciphers": 7,
        "one": 9,
        "one.type": 10,
        "one.rules": 10,
        "one.rules[0]": 10,
        "one.rules[0].topics": 11,
        "one.rules[1]": 12,
        "one.rules[1].topics": 12,
        "after": 13,
    }


def test_lists_of_any_depth() -> None:
    assert locate("a = " + "[{b = " * 5000)["a"] == 1


def test_lines() -> None:
    lines = locate(TEXT)
    assert {
        path: lines[path]
        for path in (
            "listeners.ssl.default",
            "listeners.ssl.default.bind",
            "listeners.ssl.default.access_rules",
            "listeners.ssl.default.ssl_options.verify",
            "listeners.ssl.default.ssl_options.depth",
            "listeners.ssl.default.ssl_options.versions",
            "listeners.ssl.default.mountpoint",
            "listeners.ssl.default.key",
            "listeners.tcp",
            "log.console.level",
        )
    } == {
        "listeners.ssl.default": 2,
        "listeners.ssl.default.bind": 3,
        "listeners.ssl.default.access_rules": 4,
        "listeners.ssl.default.ssl_options.verify": 8,
        "listeners.ssl.default.ssl_options.depth": 8,
        "listeners.ssl.default.ssl_options.versions": 9,
        "listeners.ssl.default.mountpoint": 10,
        "listeners.ssl.default.key": 11,
        "listeners.tcp": 15,
        "log.console.level": 24,
    }


@given(st.text(alphabet='ab.={}[]"#/\n ,:+$\\', max_size=60))
def test_any_text_ends(text: str) -> None:
    for line in locate(text).values():
        assert 1 <= line <= text.count("\n") + 1


@pytest.mark.parametrize("text", ["", "}", '"', '"""', "[", "a = [", "a", "a = {", "a = ${"])
def test_unfinished_texts(text: str) -> None:
    locate(text)

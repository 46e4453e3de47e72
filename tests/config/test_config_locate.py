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

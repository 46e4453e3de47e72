"""The ``authorization`` section: its options, its sources, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.config.schema.authorization import KINDS
from mqttd.config.schema.authorization_http import HttpSourceOptions
from mqttd.config.schema.authorization_sources import MosquittoAclOptions, RuleFileOptions

Load = Callable[..., Any]
Errors = Callable[..., dict[str, Any]]
LISTENER = "listeners.tcp.a.bind = 0\n"


def test_sources_have_the_options_of_their_kind(load: Load) -> None:
    authorization = load(
        LISTENER
        + """
        authorization {
          no_match = deny
          deny_action = disconnect
          cache { enable = false, max_size = 5, ttl = 10s }
          sources = [
            { type = file, path = "acl.conf" }
            { type = mosquitto, path = "mosquitto.acl", enable = false }
            { type = http, url = "https://auth.example/authz" }
            { type = theirs, level = 3, nested { a = b } }
          ]
        }
        """
    ).configuration.authorization
    assert [each.type for each in authorization.sources] == ["file", "mosquitto", "http", "theirs"]
    assert [each.enable for each in authorization.sources] == [True, False, True, True]
    kinds = [type(each.options) for each in authorization.sources]
    assert kinds == [RuleFileOptions, MosquittoAclOptions, HttpSourceOptions, dict]
    assert authorization.sources[0].options.path == "acl.conf"
    assert authorization.sources[3].options == {"level": 3, "nested": {"a": "b"}}
    assert authorization.sources[3].path == "authorization.sources[3]"
    cache = authorization.cache
    assert (cache.enable, cache.max_size, cache.ttl) == (False, 5, 10.0)
    assert authorization.deny_action == "disconnect"


def test_defaults(load: Load) -> None:
    authorization = load(LISTENER).configuration.authorization
    assert authorization.deny_action == "ignore"
    assert (authorization.cache.enable, authorization.cache.max_size) == (True, 32)
    assert authorization.cache.ttl == 60.0
    assert authorization.sources == []


@pytest.mark.parametrize(
    ("text", "denies"),
    [
        ("", False),
        ("sources = []", False),
        ("sources {}", False),
        ("sources = [{ type = file, path = x }]", True),
        ("sources { type = file, path = x }", True),
        ("sources = [{ type = file, path = x, enable = false }]", False),
        ("no_match = deny", True),
        ("no_match = allow, sources = [{ type = file, path = x }]", False),
    ],
)
def test_what_no_rule_speaks_of_is_denied_as_soon_as_there_is_a_source(
    load: Load, text: str, denies: bool
) -> None:
    assert (
        load(f"{LISTENER}authorization {{ {text} }}").configuration.authorization.denies is denies
    )


@pytest.mark.parametrize(
    ("text", "path", "cure"),
    [
        ("sources = [{ path = x }]", "authorization.sources.type", "write one of file"),
        ("sources = [{ type = mysql }]", "authorization.sources.type", "write one of file"),
        ("sources = [{ type = file, pth = x }]", "authorization.sources.pth", "mean path"),
        (
            "sources = [{ type = file, enabel = on }]",
            "authorization.sources.enabel",
            "mean enable",
        ),
        ("sources = [{ type = file }, { typ = file }]", "authorization.sources[1].type", "file"),
        ("sources = [{ type = file, enable = maybe }]", "authorization.sources.enable", ""),
        ("sources = 3", "authorization.sources", ""),
        ("no_match = maybe", "authorization.no_match", "allow"),
        ("deny_action = kill", "authorization.deny_action", "ignore"),
        ("cache.max_size = 0", "authorization.cache.max_size", ""),
        ("cache.ttl = 0s", "authorization.cache.ttl", ""),
        (
            "cache.max_sise = 1",
            "authorization.cache.max_sise",
            "cache.max_size?",
        ),
    ],
)
def test_what_is_wrong_is_named(errors: Errors, text: str, path: str, cure: str) -> None:
    found = errors(f"{LISTENER}authorization {{ {text} }}")
    assert set(found) == {path}
    assert cure in found[path].cure


def test_every_kind_has_a_plugin_of_its_name() -> None:
    from mqttd.plugins import authorizer

    for name in KINDS:
        assert authorizer(name).name == name


def test_options_of_plugins_are_in_no_repr(load: Load) -> None:
    text = "authorization.sources = [{ type = theirs, password = s3cret }]"
    assert "s3cret" not in repr(load(LISTENER + text).configuration)

"""The authentication section: one authenticator or several, each with options of its own kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import load_text
from mqttd.config.schema.authentication import KINDS, Authenticator

LISTENER = "listeners.tcp.a.bind = 1883\n"


def read(text: str) -> list[Authenticator]:
    return load_text(LISTENER + text).configuration.authentication


@pytest.fixture
def wrong() -> Callable[[str], dict[str, str]]:
    """Message and cure of each error, by path."""

    def call(text: str) -> dict[str, str]:
        with pytest.raises(ConfigurationErrors) as caught:
            load_text(LISTENER + text)
        assert "s3cret" not in str(caught.value)
        return {each.path: f"{each.message}; {each.cure}" for each in caught.value.errors}

    return call


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('backend = "http", url = "http://127.0.0.1/"', "password_based:http"),
        ("backend = built_in_database, file = x", "password_based:built_in_database"),
        ("mechanism = scram, file = x", "scram:built_in_database"),
        ("mechanism = scram, backend = built_in_database, file = x", "scram:built_in_database"),
        ("mechanism = certificate", "certificate"),
        ("mechanism = psk", "psk"),
        ('mechanism = cred, checker = "unix"', "cred"),
    ],
)
def test_one_object_or_a_list(text: str, name: str) -> None:
    (one,) = read(f"authentication {{ {text} }}")
    (listed,) = read(f"authentication = [{{ {text} }}]")
    assert one == listed
    assert one.name == name
    assert isinstance(one.options, KINDS[name])
    assert (one.enable, one.on_error) == (True, "deny")


def test_order_and_what_all_have_in_common() -> None:
    made = read(
        """authentication = [
          { mechanism = psk, on_error = ignore }
          { mechanism = certificate, enable = false }
          { mechanism = theirs, depth = { a = 1 }, list = [1, 2] }
        ]"""
    )
    assert [each.name for each in made] == ["psk", "certificate", "theirs"]
    assert [each.on_error for each in made] == ["ignore", "deny", "deny"]
    assert [each.enable for each in made] == [True, False, True]
    options: Any = made[2].options
    assert options == {"depth": {"a": 1}, "list": [1, 2]}


def test_nothing_is_no_authenticator() -> None:
    for text in ("", "authentication = []", "authentication {}"):
        assert read(text) == []


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("authentication { file = s3cret }", "authentication.backend", 'write backend = "http"'),
        ("authentication { mechanism = scram, backend = http }", "authentication.backend", ""),
        (
            "authentication { backend = mysql }",
            "authentication.backend",
            "this version does not support; write one of",
        ),
        (
            "authentication { mechanism = psk, identites = [a] }",
            "authentication.identites",
            "identities",
        ),
        (
            "authentication { mechanism = psk, on_eror = deny }",
            "authentication.on_eror",
            "on_error",
        ),
        ("authentication { mechanism = psk, enabled = true }", "authentication.enabled", "enable"),
        ("authentication { mechanism = psk, on_error = alow }", "authentication.on_error", "deny"),
        ("authentication { mechanism = psk, enable = maybe }", "authentication.enable", ""),
        (
            "authentication { mechanism = scram, algorithm = md5 }",
            "authentication.algorithm",
            "sha256",
        ),
        (
            "authentication { backend = built_in_database, precondition = x }",
            "authentication.precondition",
            "remove it",
        ),
        (
            "authentication = [{ mechanism = psk }, { mechanism = psk }]",
            "authentication[1]",
            "second",
        ),
        ("authentication = [7]", "authentication", ""),
        (
            "listeners.tcp.a.authentication { mechanism = psk, x = 1 }",
            "listeners.tcp.a.authentication.x",
            "unknown",
        ),
    ],
)
def test_a_mistake_has_its_place_and_cure(
    wrong: Callable[[str], dict[str, str]], text: str, path: str, said: str
) -> None:
    found = wrong(text)
    assert any(each.startswith(path) and said in found[each] for each in found), found


def test_what_is_off_may_be_half_written() -> None:
    (entry,) = read("authentication { mechanism = theirs, enable = false }")
    assert not entry.enable


def test_secrets_are_in_no_repr() -> None:
    loaded = load_text(
        LISTENER + 'authentication { mechanism = cred, checker = "memory:ann:s3cret" }'
    )
    assert "s3cret" not in repr(loaded.configuration)
    theirs = load_text(LISTENER + "authentication { mechanism = theirs, password = s3cret }")
    assert "s3cret" not in repr(theirs.configuration)

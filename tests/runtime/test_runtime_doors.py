"""How clients come in at each listener, out of the configuration; what a reload keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mqttd.auth.password_hash import hash_password
from mqttd.auth.scram import ScramCredential
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import load_text
from mqttd.runtime.parts import Parts

FILE = "{ backend = built_in_database, file = users %s }"
SCRAM = "{ mechanism = scram, file = scram %s }"
LISTENER = "listeners.tcp.%s { bind = %d, %s }\n"

Make = Callable[..., Parts]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    credential = ScramCredential.new("SCRAM-SHA-256", "x", iterations=4096).text()
    for name, text in (("users", hash_password(b"x")), ("scram", credential)):
        (tmp_path / name).write_text(f"ann:{text}\n")
        (tmp_path / name).chmod(0o600)

    def call(text: str, former: Parts | None = None) -> Parts:
        loaded = load_text(text, base_dir=tmp_path)
        return Parts(loaded, Clock(), lambda: None, former)

    return call


def links(parts: Parts, listener: str) -> list[str]:
    chain: Any = parts.doors[listener].chain
    return [] if chain is None else [link.name for link in chain._links]


def test_each_listener_has_its_own_or_those_of_all(make: Make) -> None:
    parts = make(
        f"authentication = [{FILE % ''}, {SCRAM % ''}]\n"
        + LISTENER % ("all", 1, "")
        + LISTENER % ("own", 2, f"authentication = [{SCRAM % ''}]")
        + LISTENER % ("none", 3, "enable_authn = false")
        + LISTENER % ("named", 4, "enable_authn = quick_deny_anonymous")
        + LISTENER % ("off", 5, f"authentication {SCRAM % ', enable = false'}")
    )
    password, scram = "password_based:built_in_database", "scram:built_in_database"
    assert {name: links(parts, name) for name in parts.doors} == {
        "tcp:all": [password, scram],
        "tcp:own": [scram],
        "tcp:none": [],
        "tcp:named": [password, scram],
        "tcp:off": [password, scram],
    }
    assert {name for name, each in parts.doors.items() if each.needs_username} == {"tcp:named"}
    assert {name for name, each in parts.doors.items() if each.methods} == {
        "tcp:all",
        "tcp:own",
        "tcp:named",
        "tcp:off",
    }
    assert set(parts.doors["tcp:own"].methods) == {"SCRAM-SHA-256"}
    assert len(parts.authenticators) == 2  # one object for equal options


def test_what_is_off_is_not_asked(make: Make) -> None:
    off = FILE % ", enable = false"
    parts = make(f"authentication = [{off}, {SCRAM % ''}]\n" + LISTENER % ("a", 1, ""))
    assert links(parts, "tcp:a") == ["scram:built_in_database"]


def test_equal_options_keep_the_object_over_a_reload(make: Make) -> None:
    text = f"authentication = [{FILE % ''}, {SCRAM % ''}]\n" + LISTENER % ("a", 1, "")
    before = make(text)
    same = make(text, before)
    assert [id(each) for each in same.authenticators] == [
        id(each) for each in before.authenticators
    ]
    changed = make(
        text.replace("built_in_database,", "built_in_database, user_id_type = clientid,"), same
    )
    assert changed.authenticators[0] is not before.authenticators[0]
    assert changed.authenticators[1] is before.authenticators[1]


def test_on_error_is_of_the_chain_and_not_of_the_object(make: Make) -> None:
    parts = make(
        LISTENER % ("a", 1, f"authentication {FILE % ', on_error = ignore'}")
        + LISTENER % ("b", 2, f"authentication {FILE % ''}")
    )
    chains: list[Any] = [parts.doors[name].chain for name in ("tcp:a", "tcp:b")]
    assert [chain._links[0].ignores_errors for chain in chains] == [True, False]
    assert len(parts.authenticators) == 1


def test_a_file_that_is_bad_or_an_unknown_name_makes_nothing(make: Make, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("ann\n")
    with pytest.raises(ConfigurationErrors) as caught:
        make(f"authentication = [{FILE % ''}, {{ mechanism = own }}]\n" + LISTENER % ("a", 1, ""))
    assert caught.value.errors

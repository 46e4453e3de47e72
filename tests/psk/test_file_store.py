"""The store that reads the file: replaced whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, succeed
from zope.interface.verify import verifyObject

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.interfaces import IPSKStore
from mqttd.psk.check import check_psk
from mqttd.psk.file_store import FilePSKStore

KEY = "8c701116e9127c57a99d5563709af3deaca75563e2c4dd0865701ae839fb6d79"
OTHER = "d1e617d3b963757bfc21dad3fea169716c3a2f053f23decaea5cdfaabd04bfc4"
OPTIONS = PskAuthenticationOptions(enable=True, init_file="init.psk")


def at_once(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    return succeed(function(*arguments))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def to(text: str) -> Path:
        file = tmp_path / "init.psk"
        file.write_text(text)
        file.chmod(0o600)
        return file

    return to


def made(folder: Path) -> FilePSKStore:
    return FilePSKStore(OPTIONS, folder, in_thread=at_once)


def test_it_is_a_store(tmp_path: Path, write: Callable[[str], Path]) -> None:
    write(f"a:{KEY}\nb:{OTHER}\n")
    store = made(tmp_path)
    assert verifyObject(IPSKStore, store)
    assert store.identities() == (b"a", b"b")
    assert store.key_for(b"a") == bytes.fromhex(KEY)
    assert store.key_for(b"c") is None
    assert repr(store) == "<FilePSKStore init.psk: 2 identities>"


def test_a_reload_replaces(tmp_path: Path, write: Callable[[str], Path]) -> None:
    write(f"a:{KEY}\nb:{OTHER}\n")
    store = made(tmp_path)
    told: list[object] = []
    store.on_change(lambda: told.append(store.identities()))
    store.reload()
    assert told == []
    write(f"b:{OTHER}\n")
    store.reload()
    assert told == [(b"b",)]
    assert store.key_for(b"a") is None


def test_a_bad_file_changes_nothing(tmp_path: Path, write: Callable[[str], Path]) -> None:
    file = write(f"a:{KEY}\n")
    store = made(tmp_path)
    told: list[object] = []
    store.on_change(lambda: told.append(1))
    for spoil in (lambda: write(f"a:{OTHER}\nb\n"), lambda: write("\0"), file.unlink):
        spoil()
        found: list[Any] = []
        store.reload().addCallback(found.extend)
        assert [finding.severity for finding in found] == ["error"]
        assert store.key_for(b"a") == bytes.fromhex(KEY)
    assert told == []


def test_keys_do_not_become_others_by_one_line(
    tmp_path: Path, write: Callable[[str], Path]
) -> None:
    write(f"a:{KEY}\nb:{OTHER}\nc:{'11' * 16}\n")
    store = made(tmp_path)
    assert store.check() == []
    write(f"a:{KEY}\nb:{OTHER}\nc:{'11' * 15}1\n")
    error, warning = store.check()
    assert error.message == "keys would be text from now on, they were hex, because of line 3"
    assert (warning.severity, "line 3: the key is not" in warning.message) == ("warning", True)
    store.reload()
    assert store.key_for(b"a") == bytes.fromhex(KEY)
    # what is said outright is done
    said = attrs.evolve(OPTIONS, encoding="text")
    assert FilePSKStore(said, tmp_path).key_for(b"a") == KEY.encode()


def test_the_reading_begun_last_counts(tmp_path: Path, write: Callable[[str], Path]) -> None:
    write(f"a:{KEY}\n")
    waiting: list[Deferred[Any]] = []

    def later(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        result = function(*arguments)
        waiting.append(Deferred())
        return waiting[-1].addCallback(lambda _none: result)

    store = FilePSKStore(OPTIONS, tmp_path, in_thread=later)
    store.reload()
    write(f"a:{OTHER}\n")
    store.reload()
    for each in reversed(waiting):
        each.callback(None)
    assert store.key_for(b"a") == bytes.fromhex(OTHER)


def test_the_start_refuses_a_bad_file(tmp_path: Path, write: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigurationErrors, match="does not exist"):
        made(tmp_path)
    write("".join(f"d{number}:x\n" for number in range(150)))
    with pytest.raises(ConfigurationErrors) as caught:
        made(tmp_path)
    assert len(caught.value.errors) == 101
    assert "line 1: the key has 1 bytes" in caught.value.errors[0].message
    assert caught.value.errors[-1].message.endswith("50 more bad lines")


def test_findings_of_a_good_file(tmp_path: Path, write: Callable[[str], Path]) -> None:
    file = write(f"a:{KEY}\n")
    assert check_psk(OPTIONS, tmp_path) == []
    file.chmod(0o644)
    (finding,) = check_psk(OPTIONS, tmp_path)
    assert (finding.severity, finding.path) == ("warning", "psk_authentication.init_file")
    assert "is open to every user of this machine (mode 0644)" in finding.message
    write("# nobody yet\n")
    (finding,) = check_psk(OPTIONS, tmp_path)
    assert "holds no identity" in finding.message
    assert check_psk(PskAuthenticationOptions(init_file="none"), tmp_path) == []

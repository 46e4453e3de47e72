"""Password files under load and under guesses: a bounded queue, and work that tells nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mqttd.auth import password_file
from mqttd.auth.password_file import PasswordFile
from mqttd.auth.password_hash import hash_password
from mqttd.config.schema.authentication import PasswordFileOptions
from mqttd.identity import Refused
from mqttd.testing import connect_request

QUICK = "$7$1$AAAA$" + "A" * 86 + "=="
"""A hash of mosquitto's that takes no time."""


class Threads:
    """What is to be done in threads, and is not."""

    def __init__(self) -> None:
        self.hashes: list[str] = []
        self.waiting: list[Deferred[Any]] = []

    def __call__(self, _function: Any, _password: bytes, text: str) -> Deferred[Any]:
        self.hashes.append(text)
        self.waiting.append(Deferred())
        return self.waiting[-1]


@pytest.fixture
def threads() -> Threads:
    return Threads()


def users(folder: Path, threads: Threads, *lines: str) -> PasswordFile:
    file = folder / "users"
    file.write_text("".join(f"{line}\n" for line in lines))
    file.chmod(0o600)
    return PasswordFile(PasswordFileOptions(file="users"), folder, in_thread=threads)


def begin(made: PasswordFile, name: str) -> Deferred[Any]:
    return Deferred.fromCoroutine(made.authenticate(connect_request(name, b"x")))


def test_a_crowd_is_refused_instead_of_waiting_in_vain(
    tmp_path: Path, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password_file, "_MOST_WAITING", 3)
    made = users(tmp_path, threads, f"ann:{QUICK}")
    asked = [begin(made, name) for name in ("ann", "eve") * 4]
    late = asked[7:]
    assert [each.called for each in asked] == [False] * 7 + [True]
    for each in late:
        each.addErrback(lambda failure: failure.value)
        refused: Any = each.result
        assert isinstance(refused, Refused)
        assert refused.reason_code == 0x89
    # Who gives up makes room, without ever being hashed.
    asked[6].addErrback(lambda _: None)
    asked[6].cancel()
    assert not begin(made, "ann").called
    assert len(threads.hashes) == 4
    while threads.waiting:
        threads.waiting.pop(0).callback(True)
    assert all(each.called for each in asked)


def test_names_nobody_has_take_the_time_of_those_in_the_file(
    tmp_path: Path, threads: Threads
) -> None:
    slow = hash_password(b"of bob")
    made = users(tmp_path, threads, f"ann:{QUICK}", f"bob:{slow}")
    checked = set()
    for number in range(40):
        for _ in range(2):
            begin(made, f"guess {number}")
            threads.waiting.pop().callback(True)
        assert threads.hashes[-1] == threads.hashes[-2]
        checked.add(threads.hashes[-1])
    assert checked == {QUICK, slow}


def test_the_right_password_of_another_lets_no_stranger_in(
    tmp_path: Path, threads: Threads
) -> None:
    made = users(tmp_path, threads, f"ann:{QUICK}")
    answer = begin(made, "eve")
    assert threads.hashes == [QUICK]
    threads.waiting.pop().callback(True)
    assert answer.result is None


def test_an_empty_file_knows_nobody(tmp_path: Path, threads: Threads) -> None:
    answer = begin(users(tmp_path, threads), "eve")
    (checked,) = threads.hashes
    assert checked.startswith("$argon2id$")
    threads.waiting.pop().callback(False)
    assert answer.result is None

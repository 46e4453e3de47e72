"""Users of a file: who comes in, what is awaited, and files that go bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import capturedLogs

from mqttd.auth import password_file, password_hash
from mqttd.auth.password_file import PasswordFile
from mqttd.auth.password_hash import hash_password
from mqttd.auth.unknown import unknown
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.authentication import PasswordFileOptions
from mqttd.identity import Identity, Refused
from mqttd.testing import answer_of, connect_request

ANN = hash_password(b"s3cret of ann")
BOB = hash_password(b"s3cret of bob")


def at_once(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    return maybeDeferred(function, *arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "users"
    file.write_text(f"# users\nann:{ANN}\n\nbob:{BOB}\r\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def users(file: Path) -> PasswordFile:
    return PasswordFile(PasswordFileOptions(file="users"), file.parent, in_thread=at_once)


def ask(users: PasswordFile, name: str | None, password: bytes | None, **more: Any) -> Any:
    """An Identity, None, or the Refused."""
    try:
        return answer_of(users.authenticate(connect_request(name, password, **more)))
    except Refused as refused:
        return refused


def test_who_knows_the_password_comes_in(users: PasswordFile) -> None:
    assert ask(users, "ann", b"s3cret of ann") == Identity(username="ann")
    assert ask(users, "bob", b"s3cret of bob") == Identity(username="bob")


@pytest.mark.parametrize("password", [b"s3cret of bob", b"", b"x" * 5000, None])
def test_a_wrong_password_refuses(users: PasswordFile, password: bytes | None) -> None:
    refused = ask(users, "ann", password)
    assert isinstance(refused, Refused)
    assert refused.reason_code == 0x86
    assert "ann" not in refused.reason


def test_others_are_left_to_the_next(users: PasswordFile) -> None:
    assert ask(users, "eve", b"x") is None
    assert ask(users, None, b"x") is None
    assert ask(users, "", b"x") is None


def test_a_name_nobody_has_is_as_much_work(
    users: PasswordFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[str] = []
    real = password_hash.verify

    def verify(password: bytes, text: str) -> bool:
        worked.append(text)
        return real(password, text)

    monkeypatch.setattr(password_file, "verify", verify)
    ask(users, "ann", b"wrong")
    ask(users, "eve", b"wrong")
    assert worked[0] == ANN
    assert worked[1].split("$")[:4] == ANN.split("$")[:4]
    assert len(worked) == 2


def test_client_identifiers_as_names(file: Path) -> None:
    options = PasswordFileOptions(file="users", user_id_type="clientid")
    users = PasswordFile(options, file.parent, in_thread=at_once)
    assert ask(users, None, b"s3cret of ann", client_id="ann") == Identity()
    assert ask(users, "ann", b"s3cret of ann", client_id="x") is None


def test_a_known_name_without_a_password_is_refused_as_an_unknown_one(file: Path) -> None:
    options = PasswordFileOptions(file="users", user_id_type="clientid")
    users = PasswordFile(options, file.parent, in_thread=at_once)
    refused = ask(users, None, None, client_id="ann")
    stranger = unknown(connect_request(None, None))
    assert (refused.reason_code, refused.reason) == (stranger.reason_code, stranger.reason)


def test_few_are_hashed_at_a_time(file: Path) -> None:
    running: list[Deferred[Any]] = []

    def in_thread(_function: Any, *_arguments: Any) -> Deferred[Any]:
        running.append(Deferred())
        return running[-1]

    users = PasswordFile(PasswordFileOptions(file="users"), file.parent, in_thread=in_thread)
    asked = [
        Deferred.fromCoroutine(users.authenticate(connect_request("ann", b"x"))) for _ in range(9)
    ]
    assert len(running) == 4
    running[0].callback(True)
    assert len(running) == 5
    assert asked[0].called
    for each in asked:
        each.addErrback(lambda _: None)
        each.cancel()


def test_a_changed_file_is_read_whole_or_not_at_all(file: Path, users: PasswordFile) -> None:
    file.write_text(f"ann:{BOB}\n")
    users.reload()
    assert ask(users, "ann", b"s3cret of bob") == Identity(username="ann")
    assert ask(users, "bob", b"s3cret of bob") is None
    file.write_text(f"bob:{BOB}\nann:hunter2\nann:{ANN}\n")
    with capturedLogs() as logs:
        users.reload()
    assert ask(users, "ann", b"s3cret of bob") == Identity(username="ann")
    told = [line["finding"] for line in logs]
    assert len(told) == 1
    assert "line 2: the hash is of no kind known here" in told[0]
    assert "hunter2" not in str(logs)
    file.unlink()
    with capturedLogs() as logs:
        users.reload()
    assert "does not exist" in logs[0]["finding"]
    assert ask(users, "ann", b"s3cret of bob") == Identity(username="ann")


@pytest.fixture
def bad(file: Path) -> Callable[[bytes], list[str]]:
    def call(content: bytes) -> list[str]:
        file.write_bytes(content)
        with pytest.raises(ConfigurationErrors) as caught:
            PasswordFile(PasswordFileOptions(file="users"), file.parent)
        return [finding.message for finding in caught.value.errors]

    return call


def test_every_bad_line_is_named(bad: Callable[[bytes], list[str]]) -> None:
    lines = [b"ann", b":x", b"bob:", b"\xff:x", f"c:{ANN}".encode(), f"c:{ANN}".encode()]
    found = bad(b"\n".join(lines))
    assert [text.partition(" line ")[2] for text in found] == [
        "1: is not NAME:HASH",
        "2: is not NAME:HASH",
        "3: is not NAME:HASH",
        "4: is not UTF-8",
        "6: names a user that stands there already",
    ]
    assert len(bad(b"x\n" * 500)) == 101
    assert "400 more bad lines" in bad(b"x\n" * 500)[-1]


def test_nothing_shows_a_hash(users: PasswordFile) -> None:
    assert repr(users) == "<PasswordFile users: 2 users>"
    assert "argon2id" not in repr(vars(users)["_options"])

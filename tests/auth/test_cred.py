"""Checkers of Twisted Cred as authenticators."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.checkers import FilePasswordDB
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed

from mqttd.auth.cred import CredAuthenticator
from mqttd.config.schema.authentication import CredOptions
from mqttd.identity import Identity, Refused
from mqttd.testing import answer_of, connect_request


def checked(checker: str) -> CredAuthenticator:
    return CredAuthenticator(CredOptions(checker=checker), in_thread=maybeDeferred)


def ask(authenticator: CredAuthenticator, name: str | None, password: bytes | None) -> Any:
    try:
        return answer_of(authenticator.authenticate(connect_request(name, password)))
    except Refused as refused:
        return refused.reason_code


@pytest.fixture(params=["memory", "file"])
def checker(request: pytest.FixtureRequest, tmp_path: Path) -> CredAuthenticator:
    """Two users by one of Twisted's checkers."""
    if request.param == "memory":
        return checked("memory:ann:pw of ann:bob:pw of bob")
    file = tmp_path / "users"
    file.write_text("ann:pw of ann\nbob:pw of bob\n")
    return checked(f"file:{file}")


def test_who_comes_in(checker: CredAuthenticator) -> None:
    assert ask(checker, "ann", b"pw of ann") == Identity(username="ann")
    assert ask(checker, "ann", b"pw of bob") == 0x86
    assert ask(checker, "ann", b"") == 0x86
    assert ask(checker, "eve", b"pw of ann") == 0x86
    assert ask(checker, "ann", b"\xff\x00") == 0x86
    assert ask(checker, "ann", None) is None
    assert ask(checker, None, b"pw of ann") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not set"),
        ("nonsense:s3cret", "nonsense is no checker"),
        ("memory:s3cret", "memory is no checker, or one that wants other words"),
        ("anonymous", "does not take user names and passwords"),
    ],
)
def test_what_is_no_checker(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        checked(text)
    assert "s3cret" not in str(caught.value)


def test_what_blocks_is_asked_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "users"
    file.write_text("ann:pw\n")
    asked_in: list[int] = []
    real = FilePasswordDB.requestAvatarId

    def ask_it(self: FilePasswordDB, credentials: Any) -> Any:
        asked_in.append(threading.get_ident())
        return real(self, credentials)

    def in_thread(function: Callable[[], Any]) -> Deferred[Any]:
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(function()))
        thread.start()
        thread.join()
        return succeed(results[0])

    monkeypatch.setattr(FilePasswordDB, "requestAvatarId", ask_it)
    options = CredOptions(checker=f"file:{file}")
    made = CredAuthenticator(options, in_thread=in_thread)
    assert ask(made, "ann", b"pw") == Identity(username="ann")
    assert ask(made, "ann", b"wrong") == 0x86
    assert threading.get_ident() not in asked_in
    assert len(asked_in) == 2


@pytest.mark.parametrize("answer", [None, (), succeed(None), succeed(()), fail(OSError("x"))])
def test_an_odd_checker_lets_nobody_in(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = checked("memory:ann:pw")
    monkeypatch.setattr(made._checker, "requestAvatarId", lambda _: answer)
    with pytest.raises((TypeError, OSError)):
        ask(made, "ann", b"pw")


def test_a_refusal_of_any_checker_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = checked("memory:ann:pw")
    monkeypatch.setattr(made._checker, "requestAvatarId", lambda _: fail(UnauthorizedLogin("pw")))
    assert ask(made, "ann", b"pw") == 0x86


def test_no_password_is_shown() -> None:
    assert "s3cret" not in repr(CredOptions(checker="memory:ann:s3cret"))
    assert "s3cret" not in repr(checked("memory:ann:s3cret"))

"""mqttd passwd: files of users as the broker takes them, and never half a change."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path

import pytest

from mqttd.auth.password_hash import verify
from mqttd.auth.scram import ScramCredential
from mqttd.auth.user_file import parse_users
from mqttd.cli import main

PASSWORD = "s3cret of ann"


def passwd(*arguments: str, said: str | None = None) -> int:
    """Run the command; ``said`` is what comes on its standard input."""
    with pytest.MonkeyPatch.context() as patch:
        if said is not None:
            patch.setattr("sys.stdin", io.StringIO(said))
        return main(["passwd", *arguments])


def users(file: Path) -> dict[str, str]:
    kept, bad = parse_users(file.read_bytes(), str)
    assert bad == []
    return kept


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "users"
    assert passwd("set", str(file), "ann", "--stdin", said=f"{PASSWORD}\n") == 0
    return file


def test_a_new_file_is_its_owners(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert verify(PASSWORD.encode(), users(file)["ann"])
    assert PASSWORD not in file.read_text()
    assert os.listdir(file.parent) == ["users"]


def test_changes_leave_the_other_lines_and_the_mode(file: Path) -> None:
    text = f"# the site's users\n\nbob:{users(file)['ann']}\r\n{file.read_text().rstrip()}"
    file.write_bytes(text.encode())
    file.chmod(0o640)
    before = file.read_bytes().split(b"\n")
    assert passwd("set", str(file), "bob", "--stdin", said="another\r\n") == 0
    after = file.read_bytes().split(b"\n")
    assert [*after[:2], after[3]] == [*before[:2], before[3]]
    assert verify(b"another", users(file)["bob"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert passwd("set", str(file), "eve", "--stdin", said="third") == 0
    assert passwd("delete", str(file), "bob") == 0
    assert list(users(file)) == ["ann", "eve"]


def test_a_link_stays_one(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    assert passwd("set", str(link), "bob", "--stdin", said="x") == 0
    assert link.is_symlink()
    assert set(users(file)) == {"ann", "bob"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(file: Path) -> None:
    os.chown(file, 12, 34)
    assert passwd("set", str(file), "bob", "--stdin", said="x") == 0
    assert (file.stat().st_uid, file.stat().st_gid) == (12, 34)


def test_a_generated_password_is_printed_once(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert passwd("set", str(file), "bob", "--generate") == 0
    password = capsys.readouterr().out.strip()
    assert len(password) == 24
    assert verify(password.encode(), users(file)["bob"])


def test_the_password_is_asked_for_twice(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["one", "other", "one", "one"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(said))
    before = file.read_bytes()
    assert passwd("set", str(file), "bob") == 1
    assert file.read_bytes() == before
    assert passwd("set", str(file), "bob") == 0
    assert verify(b"one", users(file)["bob"])


def test_many_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert passwd("set", str(file), "--batch", said="bob:of:bob\r\n\nann:new\neve:x") == 0
    assert capsys.readouterr().err == f"{file}: 3 users set\n"
    kept = users(file)
    assert list(kept) == ["ann", "bob", "eve"]
    assert verify(b"of:bob", kept["bob"])
    assert verify(b"new", kept["ann"])


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("bob:x\neve", "stdin line 2: is not NAME:PASSWORD"),
        ("bob:x\nbob:y", "stdin line 2: names a user a second time"),
        ("bob:x\neve:", "stdin line 2: the password is empty"),
        ("bob:x\n#a:s3cret", "stdin line 2: the name holds a colon, or begins with #"),
        ("\n", "stdin names nobody"),
    ],
)
def test_all_of_a_batch_or_nobody(
    file: Path, said: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    assert passwd("set", str(file), "--batch", said=said) == 1
    told = capsys.readouterr().err
    assert problem in told
    assert "s3cret" not in told
    assert file.read_bytes() == before


@pytest.mark.parametrize("words", [("set",), ("set", "bob", "--batch")])
def test_one_user_or_many(
    file: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert passwd(words[0], str(file), *words[1:], said="") == 1
    assert "give either USER or --batch" in capsys.readouterr().err


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_scram(tmp_path: Path, algorithm: str) -> None:
    file = tmp_path / "scram"
    # U+00AA is an "a" once SASLprep is done with it
    assert (
        passwd("set", str(file), "\u00aann", "--stdin", "--scram", algorithm, said="pencil\n") == 0
    )
    kept = ScramCredential.parse(users(file)["ann"])
    assert kept.method == f"SCRAM-SHA-{algorithm[3:]}"
    again = ScramCredential.new(kept.method, "pencil", iterations=kept.iterations, salt=kept.salt)
    assert again == kept


@pytest.mark.parametrize(
    ("arguments", "said", "problem"),
    [
        (("set", "users", "a:b", "--stdin"), "x", "holds a colon"),
        (("set", "users", "#a", "--stdin"), "x", "begins with #"),
        (("set", "users", " a", "--stdin"), "x", "begins or ends with a space"),
        (("set", "users", "a\nb", "--stdin"), "x", "control character"),
        (("set", "users", "bob", "--stdin"), "", "the password is empty"),
        (("set", "users", "bob", "--stdin"), "x" * 5000, "longer than 4096 bytes"),
        (("delete", "users", "bob"), "", "has no user bob"),
        (("set", "users", "bob", "--stdin", "--scram", "sha256"), "x", "holds password hashes"),
        (("set", "missing/users", "bob", "--stdin"), "x", "cannot be written: No such file"),
        (("set", ".", "bob", "--stdin"), "x", "not a regular file"),
    ],
)
def test_nothing_is_changed(
    file: Path,
    arguments: tuple[str, ...],
    said: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(file.parent)
    before = file.read_bytes()
    capsys.readouterr()
    assert passwd(*arguments, said=said) == 1
    told = capsys.readouterr()
    assert problem in told.err
    assert told.out == ""
    assert file.read_bytes() == before


def test_a_file_that_the_broker_would_refuse_is_not_changed(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(f"{file.read_text()}nonsense\nbob:$6$hunter2\n")
    assert passwd("set", str(file), "eve", "--stdin", said="x") == 1
    assert "line 2 is not NAME:HASH: mend it first" in capsys.readouterr().err
    assert passwd("check", str(file)) == 1
    told = capsys.readouterr().out
    assert "line 2: is not NAME:HASH" in told
    assert "line 3: the hash is no proper $6$ hash" in told
    assert "hunter2" not in told


def test_a_look_at_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert passwd("check", str(file)) == 0
    assert capsys.readouterr().out == "1 user (Argon2id)\n"
    assert passwd("check", str(file), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"ok": True, "users": 1, "kinds": {"Argon2id": 1}, "bad_lines": []}
    credential = ScramCredential.new("SCRAM-SHA-256", "x", iterations=4096).text()
    file.write_text(f"{file.read_text()}bob:{credential}\n")
    assert passwd("check", str(file)) == 1
    assert "are mixed" in capsys.readouterr().out
    assert passwd("check", str(file.with_name("none"))) == 1

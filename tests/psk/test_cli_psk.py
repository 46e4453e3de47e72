"""``mqttd psk``: new keys, and a look at a file of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mqttd.cli import main
from mqttd.psk.psk_file import parse_psk_file

KEY = "8c701116e9127c57a99d5563709af3deaca75563e2c4dd0865701ae839fb6d79"


def test_a_new_key(capsys: pytest.CaptureFixture[str]) -> None:
    lines = set()
    for encoding in ("hex", "base64", "hex"):
        assert main(["psk", "new", "device 1", "--encoding", encoding]) == 0
        line = capsys.readouterr().out.rstrip("\n")
        read = parse_psk_file(line.encode(), encoding=encoding)
        assert [len(key) for key in read.keys.values()] == [32]
        assert list(read.keys) == [b"device 1"]
        lines.add(line)
    assert len(lines) == 3


@pytest.mark.parametrize("identity", ["", "a:b", "#a", " a", "a\nb"])
def test_identities_that_cannot_stand_in_a_line(
    identity: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["psk", "new", identity]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert ("holds the separator ':'" in err) == (identity == "a:b")
    if identity == "a:b":
        assert main(["psk", "new", identity, "--separator", "="]) == 0


def test_append(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "data" / "init.psk"
    for identity in ("a", "b"):
        assert main(["psk", "new", identity, "--append", str(file)]) == 0
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == capsys.readouterr().out
    before = file.read_text()
    assert main(["psk", "new", "a", "--append", str(file)]) == 1
    assert "line 3: the identity stands in line 1 already" in capsys.readouterr().err
    assert file.read_text() == before
    file.write_text(f"a:{KEY}")  # no line end
    assert main(["psk", "new", "c", "--append", str(file)]) == 0
    assert list(parse_psk_file(file.read_bytes()).keys) == [b"a", b"c"]


def test_keys_of_text_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "init.psk"
    file.write_text("a:a secret of text, not hex\n")
    assert main(["psk", "new", "b", "--append", str(file)]) == 1
    assert "holds keys of text or base64, not hex" in capsys.readouterr().err
    file.write_text(f"a:{KEY}\n")
    assert main(["psk", "new", "b", "--append", str(file), "--encoding", "base64"]) == 1
    assert "holds keys of hex, not base64" in capsys.readouterr().err
    file.unlink()
    for identity in "ab":
        line = ["psk", "new", identity, "--append", str(file), "--encoding", "base64"]
        assert main(line) == 0
    assert len(parse_psk_file(file.read_bytes(), encoding="base64").keys) == 2


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "init.psk"
    file.write_text(f"# keys\na:{KEY}\n")
    assert main(["psk", "check", str(file)]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"warning: {file} is open to every user of this machine (mode 0644)")
    assert output.endswith("\n1 identity, keys written as hex\n")
    file.chmod(0o600)
    assert main(["psk", "check", str(file)]) == 0
    assert capsys.readouterr().out == "1 identity, keys written as hex\n"
    file.write_text(f"a:{KEY}\nb:{KEY}\nc\n")
    assert main(["psk", "check", str(file)]) == 1
    output = capsys.readouterr().out
    assert f"{file} line 2: the key is that of another identity too, in line 1" in output
    assert f"{file} line 3: has no separator" in output
    assert KEY not in output
    assert main(["psk", "check", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["number"] for each in told["bad_lines"]] == [2, 3]
    assert (told["ok"], told["bad_count"], told["encoding"]) == (False, 2, "hex")
    assert main(["psk", "check", str(tmp_path / "none")]) == 1
    assert "does not exist" in capsys.readouterr().out
    assert main(["psk", "check", str(file), "--separator", ""]) == 2

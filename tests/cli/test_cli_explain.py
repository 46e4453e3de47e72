"""``mqttd explain``: causes and cures out of a file or standard input, and the exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mqttd.cli import main
from mqttd.explain.causes import CAUSES

TRANSCRIPT = """CONNECTED(00000003)
verify error:num=20:unable to get local issuer certificate
verify return:1
Verify return code: 20 (unable to get local issuer certificate)
40:error:0A000412:SSL routines::tlsv1 alert certificate required:SSL alert number 116
"""


@pytest.fixture
def transcript(tmp_path: Path) -> str:
    file = tmp_path / "out.txt"
    file.write_text(TRANSCRIPT)
    return str(file)


def test_cause_and_cure_of_each_failure(
    transcript: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", transcript]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.startswith("alert-unknown-ca (2 times, first in line 2)\n    cause: the client")
    assert "cure: give it etc/certs/cacert.pem" in first
    assert "seen: Verify return code: 20" in first
    assert second.startswith("no-certificate (once, first in line 5)")


def test_json(transcript: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--json", transcript]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["kind"], each["count"]) for each in found] == [
        ("alert-unknown-ca", 2),
        ("no-certificate", 1),
    ]
    assert all(each["cause"] and each["cure"] for each in found)


def test_nothing_recognised_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.write_text("all is well\n")
    assert main(["explain", str(empty)]) == 1
    assert "nothing is recognised" in capsys.readouterr().out
    assert main(["explain", str(tmp_path / "none")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_standard_input_of_any_bytes() -> None:
    mqttd = Path(sys.executable).parent / "mqttd"
    done = subprocess.run(
        [str(mqttd), "explain", "-"],
        input=b"\xff\xfe \x1b[2J Error: A TLS error occurred.\n",
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert b"client-says-little" in done.stdout
    assert b"\x1b" not in done.stdout


def test_the_list_of_causes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--list"]) == 0
    assert "\npsk-unknown\n    cause: the client's pre-shared key id" in capsys.readouterr().out
    assert main(["explain", "--list", "--json"]) == 0
    kinds = [each["kind"] for each in json.loads(capsys.readouterr().out)]
    assert kinds == sorted(CAUSES)
    with pytest.raises(SystemExit):
        main(["explain"])

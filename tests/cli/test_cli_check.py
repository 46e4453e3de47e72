"""``mqttd check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mqttd.cli import main

GOOD = 'listeners.tcp.default { bind = "127.0.0.1:1883", max_connections = 100 }\n'
BAD = 'listeners.tcp.default.bind = "127.0.0.1:x"\nlog.console.levl = info\n'
FIRST_START = """
listeners.ssl.default.ssl_options {
  keyfile = "etc/certs/key.pem"
  certfile = "etc/certs/cert.pem"
  cacertfile = "etc/certs/cacert.pem"
}
"""


def test_errors_are_all_shown_with_place_problem_and_cure(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--config", write(BAD)]) == 1
    assert capsys.readouterr().out == (
        "error: listeners.tcp.default.bind (test.conf:1)\n"
        "    'x' is no port number\n"
        '    cure: write a port, or an IP address and a port such as "127.0.0.1:8883" or '
        '"[::1]:8883"\n'
        "\n"
        "error: log.console.levl (test.conf:2)\n"
        "    unknown option\n"
        "    cure: did you mean log.console.level?\n"
        "\n"
        "test.conf: 2 errors\n"
    )


def test_warnings_alone_are_no_failure(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", write(GOOD)]) == 0
    output = capsys.readouterr().out
    assert "warning: authentication\n    no authenticator is configured" in output
    assert output.endswith("test.conf: 1 warning\n")


def test_json_for_programs(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "-c", write(BAD)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["config"] == "test.conf"
    assert report["ok"] is False
    assert report["findings"][1] == {
        "severity": "error",
        "path": "log.console.levl",
        "message": "unknown option",
        "cure": "did you mean log.console.level?",
        "origin": "test.conf:2",
    }
    assert main(["check", "--json", "-c", write(GOOD)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert [finding["severity"] for finding in report["findings"]] == ["warning"]


def test_certificates_of_the_first_start_are_a_notice_and_not_made(
    write: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(FIRST_START)
    assert main(["check", "-c", name]) == 0
    output = capsys.readouterr().out
    assert "notice: listeners.ssl.default.ssl_options.certfile" in output
    assert [path.name for path in folder.iterdir()] == [name]


def test_files_that_are_missing_are_errors(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    name = write(FIRST_START.replace("key.pem", "other.pem"))
    assert main(["check", "-c", name]) == 1
    output = capsys.readouterr().out
    assert "error: listeners.ssl.default.ssl_options.keyfile" in output
    assert "etc/certs/other.pem" in output


def test_a_file_that_does_not_exist_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "-c", "nowhere.conf"]) == 1
    output = capsys.readouterr().out
    assert output.startswith("error: ")
    assert "nowhere.conf" in output


def test_the_default_file_is_found(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD, "etc/mqttd.conf")
    assert main(["check"]) == 0
    assert capsys.readouterr().out.endswith("etc/mqttd.conf: 1 warning\n")


def test_without_any_file_it_says_what_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 2
    assert "--config FILE" in capsys.readouterr().err


def test_overrides_of_the_environment_are_checked_too(
    write: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MQTTD_MQTT__MAX_INFLIGHT", "none")
    assert main(["check", "-c", write(GOOD)]) == 1
    assert "MQTTD_MQTT__MAX_INFLIGHT" in capsys.readouterr().out


def test_no_secret_is_shown(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    options = FIRST_START.replace("keyfile", 'password = "hunter2"\n  keyfile')
    main(["check", "-c", write(options + "listeners.ssl.default.ssl_options.verify = maybe")])
    main(["check", "--json", "-c", write(options)])
    assert "hunter2" not in capsys.readouterr().out

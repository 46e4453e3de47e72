"""The ``mqttd`` command itself."""

from __future__ import annotations

import re

import pytest

from mqttd._version import __version__
from mqttd.cli import main


def test_version_names_what_it_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"mqttd {__version__}"
    assert re.fullmatch(r"Python 3\.\S+, Twisted \d\S+, OpenSSL .+", second)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert "check" in output
    assert "twistd mqttd" in output


def test_no_command_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nothing"], ["check", "--nothing"]])
def test_what_does_not_exist_is_wrong_use(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: mqttd" in capsys.readouterr().err

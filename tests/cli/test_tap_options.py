"""The options of ``twistd mqttd``, without a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin
from twisted.python.usage import UsageError
from zope.interface.verify import verifyObject

from mqttd._version import __version__
from mqttd.cli import COMMANDS
from mqttd.tap import Options, makeService

GOOD = 'listeners.tcp.default { bind = "127.0.0.1:0" }\n'
BAD = "log.console.levl = info\n"


def parse(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(list(arguments))
    return options


def test_the_default_file_is_found(write: Any) -> None:
    write(GOOD, "etc/mqttd.conf")
    assert parse()["config"] == "etc/mqttd.conf"
    assert parse("--config", "other.conf")["config"] == "other.conf"
    assert parse("-c", "other.conf")["config"] == "other.conf"


def test_without_a_file_it_is_wrong_use(folder: Path) -> None:
    with pytest.raises(UsageError, match="--config"):
        parse()


@pytest.mark.parametrize(("text", "status"), [(GOOD, 0), (BAD, 1)])
def test_check_config_ends_with_the_answer(
    write: Any, text: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--check-config", "-c", write(text))
    assert ended.value.code == status
    assert capsys.readouterr().out.splitlines()[-1].startswith("test.conf: ")


def test_version_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"mqttd {__version__}\n")


def test_help_plugins_lists_what_is_installed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--help-plugins")
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Stores of pre-shared keys (psk_authentication.store):" in lines
    names = {line.split()[0] for line in lines if line.startswith("  ")}
    assert names >= {"password_based:http", "jwt", "scram:built_in_database", "mosquitto", "crl"}


def test_an_unusable_configuration_ends_with_every_error(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    options = parse("-c", write(BAD + "mqtt.max_inflight = none\n"))
    with pytest.raises(SystemExit) as ended:
        makeService(options)
    assert ended.value.code == 78
    errors = capsys.readouterr().err
    assert "log.console.levl" in errors
    assert "mqtt.max_inflight" in errors


def test_a_log_that_cannot_be_written_is_told(
    write: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(GOOD + 'log.file { enable = true, path = "test.conf/mqttd.log" }\n')
    with pytest.raises(SystemExit) as ended:
        makeService(parse("-c", name))
    assert ended.value.code == 1
    assert "cannot log to" in capsys.readouterr().err


def test_the_plugin_declares_and_imports_nothing_of_ours() -> None:
    from twisted.plugins.mqttd_plugin import mqttd

    assert verifyObject(IServiceMaker, mqttd)
    assert IPlugin.providedBy(mqttd)
    assert (mqttd.tapname, mqttd.module) == ("mqttd", "mqttd.tap")


@pytest.mark.parametrize(
    "module",
    [
        "mqttd.tap",
        "twisted.plugins.mqttd_plugin",
        ", ".join(f"mqttd.cli.{command}" for command in COMMANDS),
    ],
    ids=["tap", "plugin", "commands"],
)
def test_no_reactor_is_installed_by_an_import(module: str) -> None:
    """twistd's --reactor could not choose one any more."""
    script = f"import sys, {module}; sys.exit('twisted.internet.reactor' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)

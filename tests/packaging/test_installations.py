"""Installed, mqttd is a subcommand of twistd and twist wherever they are started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mqttd._version import __version__


def test_it_is_this_installation_that_is_looked_at(installation: Any) -> None:
    found = Path(installation.python("-c", "import mqttd; print(mqttd.__file__)").strip())
    assert found == installation.home / "mqttd" / "__init__.py"


@pytest.mark.parametrize("command", ["twistd", "twist"])
def test_twisteds_commands_list_mqttd(installation: Any, command: str) -> None:
    lines = installation.script(command, "--help").splitlines()
    assert [line.split()[0] for line in lines if "MQTT broker" in line] == ["mqttd"]


@pytest.mark.parametrize("command", [["twistd", "mqttd", "--version"], ["mqttd", "--version"]])
def test_the_version_is_mqttds(installation: Any, command: list[str]) -> None:
    output = installation.script(*command)
    assert output.splitlines()[0] == f"mqttd {__version__}"


def test_the_metadata_names_version_and_licence(installation: Any) -> None:
    output = installation.python(
        "-c",
        "from importlib.metadata import metadata as m; d = m('mqttd-broker');"
        "print(d['Version'], d['License-Expression'])",
    )
    assert output.split() == [__version__, "MIT"]

"""Configurations in an empty folder, and commands run there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest


@attrs.frozen
class Ended:
    """A command that ended."""

    status: int
    output: str
    errors: str


Command = Callable[..., Ended]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and no configuration anywhere else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mqttd.config.places.CONFIG_FILES", ("etc/mqttd.conf",))
    for name in list(os.environ):
        if name.startswith("MQTTD_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[[str], str]:
    """Write a configuration and give its name."""

    def call(text: str, name: str = "test.conf") -> str:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    return call


@pytest.fixture
def command(folder: Path) -> Command:
    """Run a script of the environment the tests run in, to its end."""

    def call(name: str, *arguments: str, **environment: str) -> Ended:
        done = subprocess.run(
            [str(Path(sys.executable).parent / name), *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a script of the environment; ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def call(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / name), *arguments],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.wait()

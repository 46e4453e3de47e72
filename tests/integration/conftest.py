"""The clients we did not write, and one broker for all of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest


@pytest.fixture(scope="session")
def broker(start_broker: Callable[..., Any]) -> Any:
    """One broker with the four default listeners, for all tests that need nothing special."""
    return start_broker()


@attrs.frozen
class Ended:
    """A client command that ended."""

    status: int
    output: str


Run = Callable[..., Ended]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a client command to its end; its output is text, both streams together."""

    def call(*command: object, stdin: bytes = b"", seconds: float = 20.0) -> Ended:
        program = shutil.which(str(command[0]))
        assert program is not None, f"{command[0]} is not installed: run make test-clients"
        done = subprocess.run(
            [program, *map(str, command[1:])],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(errors="replace"))

    return call


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a client command that goes on; ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*command: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for each in started:
        if each.poll() is None:
            each.kill()
        each.communicate()

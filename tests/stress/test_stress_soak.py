"""The short form of the scripts in benchmarks/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    "command",
    [
        ["soak.py", "--seconds", "9", "--warm-up", "4", "--workers", "4"],
        ["churn.py", "--connections", "2000"],
    ],
    ids=lambda command: command[0],
)
def test_memory_stays_flat(command: list[str]) -> None:
    """The script says so itself, by its exit status."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout + done.stderr

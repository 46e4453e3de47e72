"""Every normative statement has a test, or a reason for having none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_statement_has_a_test_or_a_reason() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "statements.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "v3: 141 statements" in result.stdout
    assert "v5: 252 statements" in result.stdout

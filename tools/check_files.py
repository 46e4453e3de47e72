"""Refuse Python files that are too long to be read at one sitting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 500


def python_files() -> list[Path]:
    """Every Python file git knows or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).exists()]


def main() -> int:
    """Print the files of more than MOST_LINES lines; 1 when there are any."""
    too_long = 0
    for path in python_files():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES:
            print(f"{path.relative_to(ROOT)} has {lines} lines; the most is {MOST_LINES}")
            too_long = 1
    return too_long


if __name__ == "__main__":
    sys.exit(main())

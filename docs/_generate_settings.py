"""Write docs/reference/settings.rst from the schema; with --check, only compare."""

from __future__ import annotations

import sys
from pathlib import Path

from mqttd.config.reference import settings_reference

TARGET = Path(__file__).parent / "reference" / "settings.rst"


def main(arguments: list[str]) -> int:
    text = settings_reference()
    if "--check" in arguments:
        current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
        if current != text:
            print(f"{TARGET} is not up to date: run python {Path(__file__).name}")
        return current != text
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

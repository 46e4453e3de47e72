"""The page on authentication: its sections are what the broker reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqttd.config.load import load_text

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "authentication.rst"


def sections() -> Iterator[str]:
    """The text of each code block."""
    for block in PAGE.read_text("utf-8").split(".. code-block:: text\n")[1:]:
        lines = block.splitlines()
        end = next(at for at, line in enumerate(lines) if line and not line.startswith("   "))
        yield textwrap.dedent("\n".join(lines[:end])).strip()


def test_there_are_sections() -> None:
    assert len(list(sections())) >= 5


@pytest.mark.parametrize("text", list(sections()))
def test_a_section_is_read_as_it_stands(text: str) -> None:
    loaded = load_text(f"listeners.ssl.default.bind = 8883\n{text}")
    assert loaded.configuration.authentication
    assert [finding for finding in loaded.findings if "authentication" in finding.path] == []

"""The page on audit: every event is named, and its sections are read."""

from __future__ import annotations

import textwrap
from pathlib import Path

from mqttd.config.load import load_text
from mqttd.events import EVENTS

DOCS = Path(__file__).parents[2] / "docs"
AUDIT = (DOCS / "operate" / "audit.rst").read_text("utf-8")


def block(page: str, language: str, number: int = 0) -> str:
    lines = page.split(f".. code-block:: {language}\n")[number + 1].splitlines()
    end = next(at for at, line in enumerate(lines) if line and not line.startswith("   "))
    return textwrap.dedent("\n".join(lines[:end])).strip()


def test_every_event_is_named() -> None:
    assert [name for name in EVENTS if f"``{name}``" not in AUDIT] == []


def test_the_sections_are_read_as_they_stand() -> None:
    text = f"listeners.ssl.default {{}}\n{block(AUDIT, 'text')}\n{block(AUDIT, 'text', 1)}"
    configuration = load_text(text).configuration
    assert configuration.audit.enable
    (sink,) = configuration.event_sinks
    assert sink.name == "acme_bridge"
    assert "message_published" in sink.events

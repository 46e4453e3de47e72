"""The pages on audit and event sinks: every event is named, and the example works."""

from __future__ import annotations

import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mqttd.config.load import load_text
from mqttd.events import EVENTS, ClientConnected, ClientDisconnected
from mqttd.interfaces import IEventSink, PluginContext

DOCS = Path(__file__).parents[2] / "docs"
AUDIT = (DOCS / "operate" / "audit.rst").read_text("utf-8")
SINK = (DOCS / "plugins" / "event_sink.rst").read_text("utf-8")


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


def test_the_example_counts(tmp_path: Path) -> None:
    module: dict[str, Any] = {}
    exec(block(SINK, "python"), module)
    context = PluginContext(SimpleNamespace(), tmp_path, tmp_path)
    with pytest.raises(ValueError, match="file is not set"):
        module["make"]({}, context)
    census = module["make"]({"file": "census.txt"}, context)
    assert IEventSink.providedBy(census)
    who = {"time": 0.0, "listener": "ssl:default", "peer": ("192.0.2.1", 1), "client_id": "c"}
    census.handle(ClientConnected(**who, level=5, clean_start=True))
    census.handle(ClientConnected(**who, level=5, clean_start=True))
    census.handle(ClientDisconnected(**who, reason="gone"))
    census.stop()
    assert (tmp_path / "census.txt").read_text() == "ssl:default 1\n"

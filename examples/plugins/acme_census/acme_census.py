"""Is told what happens in the broker: the event sink acme-census."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zope.interface import implementer

from mqttd.events import ClientConnected, ClientDisconnected, Event
from mqttd.interfaces import IEventSink, PluginContext


@implementer(IEventSink)
class AcmeCensus:
    """Counts the clients of each listener. Replace this by who wants to know."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.connected: Counter[str] = Counter()

    async def handle(self, event: Event) -> None:
        """See IEventSink. Asking others is awaited here; nothing may block."""
        if isinstance(event, ClientConnected):
            self.connected[event.listener] += 1
        elif isinstance(event, ClientDisconnected):
            self.connected[event.listener] -= 1

    def stop(self) -> None:
        """Called when the broker ends, or needs this sink no more."""
        lines = [f"{name} {count}\n" for name, count in sorted(self.connected.items())]
        self._file.write_text("".join(lines))


def make(options: Mapping[str, Any], context: PluginContext) -> AcmeCensus:
    """Make the sink. Raises ValueError for options that make no sense."""
    unknown = set(options) - {"file"}
    if unknown:
        raise ValueError(f"unknown option: {', '.join(sorted(unknown))}")
    file = options.get("file")
    if not isinstance(file, str) or not file:
        raise ValueError("file is needed")
    return AcmeCensus(context.data_dir / file)

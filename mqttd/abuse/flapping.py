"""Clients that come and go and come and go: EMQX's ``flapping_detect``."""

from __future__ import annotations

import attrs

from mqttd.abuse.addresses import BoundedTable


@attrs.define
class _Window:
    since: float
    count: int


class Flapping:
    """Counts the ends of each client's connections; more than ``max_count`` within ``window``
    seconds of the first is flapping."""

    def __init__(self, window: float, max_count: int, most: int) -> None:
        self.window = window
        self.max_count = max_count
        self.table: BoundedTable[_Window] = BoundedTable(most)

    def disconnected(self, key: str, now: float) -> bool:
        """A connection of ``key`` ended at ``now`` (seconds). Says whether that is flapping; then
        counting begins anew."""
        known = self.table.get(key)
        if known is None or now - known.since > self.window:
            self.table.put(key, _Window(now, 1))
            return False
        known.count += 1
        if known.count <= self.max_count:
            return False
        self.table.remove(key)
        return True

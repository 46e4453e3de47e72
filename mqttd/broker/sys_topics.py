"""``$SYS/broker/...``: the broker's figures as Retained Messages, under mosquitto's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mqttd.broker.message import Message

if TYPE_CHECKING:
    from mqttd.broker.broker import Broker
    from mqttd.broker.ports import EngineStatistics

_PREFIX = "$SYS/broker/"
_MINUTES = (1, 5, 15)
_LOADS = {
    "messages/received": "messages_received",
    "messages/sent": "messages_sent",
    "publish/received": "publish_received",
    "publish/sent": "publish_sent",
    "publish/dropped": "publish_dropped",
    "bytes/received": "bytes_received",
    "bytes/sent": "bytes_sent",
    "sockets": "sockets",
    "connections": "connections",
}


class SysTopics:
    """Publishes what changed since the last time. ``version`` is text such as ``mqttd 1.0``.

    ``process`` gives figures the broker cannot know, such as memory, by their topic names.
    """

    def __init__(
        self,
        broker: Broker,
        version: str,
        started: float,
        process: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self._broker = broker
        self._process = process
        self._started = started
        self._last = started
        self._published: dict[str, bytes] = {}
        self._before = dict.fromkeys(_LOADS, 0)
        self._loads = {(name, minutes): 0.0 for name in _LOADS for minutes in _MINUTES}
        self._version = version

    def publish(self, now: float) -> None:
        """Bring every topic up to date. To be called once an interval."""
        statistics = self._broker.engine.statistics()
        figures = self._figures(statistics, now)
        figures.update(self._load_figures(statistics, now))
        for name, value in figures.items():
            payload = str(value).encode()
            if self._published.get(name) != payload:
                self._published[name] = payload
                topic = (_PREFIX + name).encode()
                self._broker.engine.publish(Message(topic, payload, retain=True), now)

    def _figures(self, engine: EngineStatistics, now: float) -> dict[str, object]:
        counters = self._broker.counters
        disconnected = engine.sessions - engine.connected
        dropped = counters.publish_dropped + engine.dropped
        return {
            "version": self._version,
            "uptime": f"{int(now - self._started)} seconds",
            "clients/total": engine.sessions,
            "clients/maximum": self._broker.maximum_clients,
            "clients/connected": engine.connected,
            "clients/active": engine.connected,
            "clients/disconnected": disconnected,
            "clients/inactive": disconnected,
            "clients/expired": engine.expired,
            "connections/socket/count": len(self._broker.connections),
            "messages/received": counters.messages_received,
            "messages/sent": counters.messages_sent,
            "messages/stored": engine.stored,
            "store/messages/count": engine.stored,
            "store/messages/bytes": engine.stored_bytes,
            "bytes/received": counters.bytes_received,
            "bytes/sent": counters.bytes_sent,
            "publish/messages/received": counters.publish_received,
            "publish/messages/sent": counters.publish_sent,
            "publish/messages/dropped": dropped,
            "publish/bytes/received": counters.publish_bytes_received,
            "publish/bytes/sent": counters.publish_bytes_sent,
            "subscriptions/count": engine.subscriptions,
            "shared_subscriptions/count": engine.shared_subscriptions,
            "retained messages/count": engine.retained,
            **self._process(),
        }

    def _load_figures(self, engine: EngineStatistics, now: float) -> dict[str, str]:
        """Moving averages per minute, as a host's load average is counted."""
        elapsed = now - self._last
        if elapsed <= 0:
            return {}
        self._last = now
        figures = {}
        for name, attribute in _LOADS.items():
            total: int = getattr(self._broker.counters, attribute)
            if attribute == "publish_dropped":
                total += engine.dropped
            per_minute = (total - self._before[name]) * 60.0 / elapsed
            self._before[name] = total
            for minutes in _MINUTES:
                decay = math.exp(-elapsed / (60.0 * minutes))
                load = per_minute + decay * (self._loads[name, minutes] - per_minute)
                self._loads[name, minutes] = load
                figures[f"load/{name}/{minutes}min"] = f"{load:.2f}"
        return figures

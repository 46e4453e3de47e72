"""Publishes the broker's figures under ``$SYS`` every so often."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mqttd._version import __version__
from mqttd.broker.broker import Broker
from mqttd.broker.sys_topics import SysTopics
from mqttd.config.schema.sys_topics import SysTopicsOptions


class Figures:
    """``more`` gives further figures by their topic names below ``$SYS/broker/``.

    ``touch`` begins a turn of the broker and returns the time, as :meth:`Turn.touch` does.
    """

    _log = Logger()

    def __init__(
        self,
        broker: Broker,
        reactor: Any,
        clock: IReactorTime,
        touch: Callable[[], float],
        more: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self._broker = broker
        self._reactor = reactor
        self._clock = clock
        self._touch = touch
        self._more = more
        self._topics: SysTopics | None = None
        self._call: LoopingCall | None = None

    def start(self, options: SysTopicsOptions) -> None:
        """Begin, or go on with another interval."""
        self.stop()
        if not options.enabled:
            return
        if self._topics is None:
            self._topics = SysTopics(
                self._broker, f"mqttd {__version__}", self._clock.seconds(), self._process
            )
        self._call = LoopingCall(self._publish, self._topics)
        self._call.clock = self._reactor
        self._call.start(options.sys_msg_interval, now=True)

    def stop(self) -> None:
        """End."""
        if self._call is not None and self._call.running:
            self._call.stop()

    def _publish(self, topics: SysTopics) -> None:
        try:
            topics.publish(self._touch())
        except Exception:
            # A LoopingCall ends with its first error; the figures must go on.
            self._log.failure("publishing $SYS failed; this is a bug in mqttd")

    def _process(self) -> Mapping[str, object]:
        return {**_memory(), **self._more()}


def _memory() -> Mapping[str, object]:
    """Resident memory in bytes, now and at its peak; mosquitto's names for its own heap."""
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    try:
        with open("/proc/self/statm", "rb") as statm:
            pages = int(statm.read().split()[1])
    except OSError:
        return {"heap/maximum": maximum}
    # Linux brings the peak up to date only now and then.
    current = pages * os.sysconf("SC_PAGE_SIZE")
    return {"heap/current": current, "heap/maximum": max(current, maximum)}

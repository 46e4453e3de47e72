"""The ``sys_topics`` section: the broker's own figures under ``$SYS``."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

import math
from typing import Any

import attrs

from mqttd.config.option import RAW, duration, option


@attrs.frozen(kw_only=True)
class SysTopicsOptions:
    """The broker's own figures under ``$SYS/broker/...``: ``sys_topics``."""

    sys_msg_interval: float = option(
        duration(0.1, infinity=True),
        10.0,
        "Time between two publications of the figures; ``infinity`` publishes none.",
    )
    sys_heartbeat_interval: float = option(
        duration(infinity=True),
        math.inf,
        "Time between two publications of uptime and date.",
        ignored="uptime is one of the figures published every sys_msg_interval",
    )
    sys_event_messages: Any = option(
        RAW,
        None,
        "Which events of clients are published.",
        ignored="events of clients are not published",
    )

    @property
    def enabled(self) -> bool:
        """Whether the figures are published at all."""
        return self.sys_msg_interval != math.inf

"""Keep Alive: the arithmetic of the deadline."""

from __future__ import annotations

import math

from mqttd.broker.limits import Limits


def effective_keep_alive(requested: int, level: int, limits: Limits) -> int:
    """Seconds in force: the client's Keep Alive, or Server Keep Alive when one is configured.

    Clients before MQTT 5 cannot be told the broker's, so theirs counts. [MQTT-3.2.2-21].
    """
    if level < 5 or limits.server_keepalive is None:
        return requested
    return limits.server_keepalive


def allowance(keep_alive: int, limits: Limits) -> float:
    """Seconds of silence after which the client counts as gone; ``inf`` for Keep Alive 0.

    [MQTT-3.1.2-22]: one and a half times the Keep Alive.
    """
    return keep_alive * limits.keepalive_multiplier if keep_alive else math.inf

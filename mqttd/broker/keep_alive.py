"""Keep Alive: the arithmetic of the deadline."""

from __future__ import annotations

import math

from mqttd.broker.limits import Limits


def effective_keep_alive(requested: int, limits: Limits) -> int:
    """Seconds in force: the client's Keep Alive, or Server Keep Alive when one is configured."""
    return requested if limits.server_keepalive is None else limits.server_keepalive


def allowance(keep_alive: int, limits: Limits) -> float:
    """Seconds of silence after which the client counts as gone; ``inf`` for Keep Alive 0.

    [MQTT-3.1.2-22]: one and a half times the Keep Alive.
    """
    return keep_alive * limits.keepalive_multiplier if keep_alive else math.inf

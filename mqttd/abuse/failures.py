"""Failed authentications: after too many in a time, refused for longer and longer, then banned."""

from __future__ import annotations

from enum import Enum

import attrs

from mqttd.abuse.addresses import BoundedTable

_MOST_DOUBLINGS = 60
"""Beyond these every back-off is the longest anyway."""


class Step(Enum):
    """What one more failure leads to."""

    NOTHING = "nothing"
    BACK_OFF = "back-off"
    BAN = "ban"


@attrs.frozen
class FailurePolicy:
    """``max_count`` failures within ``window`` seconds begin a back-off of ``backoff`` seconds.

    Each further failure doubles it, up to ``max_backoff``; the one after ``ban_after`` of them
    (None: never) is a ban.
    """

    max_count: int
    window: float
    backoff: float
    max_backoff: float
    ban_after: int | None = None


@attrs.define
class _Record:
    since: float
    count: int = 0
    level: int = 0
    until: float = 0.0


class Failures:
    """Who failed how often, by a key such as an address. At most ``most`` are remembered."""

    def __init__(self, policy: FailurePolicy, most: int) -> None:
        self.policy = policy
        self.table: BoundedTable[_Record] = BoundedTable(most)

    def failed(self, key: str, now: float) -> Step:
        """One more failure at ``now`` (seconds)."""
        policy = self.policy
        record = self.table.get(key)
        if record is None or now >= max(record.since, record.until) + policy.window:
            # Quiet for a whole window: all is forgiven.
            record = _Record(now)
            self.table.put(key, record)
        record.count += 1
        if record.count < policy.max_count:
            return Step.NOTHING
        record.level += 1
        if policy.ban_after is not None and record.level > policy.ban_after:
            self.table.remove(key)
            return Step.BAN
        doublings = min(record.level - 1, _MOST_DOUBLINGS)
        record.until = now + min(policy.backoff * 2.0**doublings, policy.max_backoff)
        return Step.BACK_OFF

    def waits(self, key: str, now: float) -> float:
        """Seconds the key is refused from now on, 0: not at all."""
        record = self.table.peek(key)
        return 0.0 if record is None else max(0.0, record.until - now)

    def succeeded(self, key: str) -> None:
        """It is who it says: forget its failures."""
        self.table.remove(key)

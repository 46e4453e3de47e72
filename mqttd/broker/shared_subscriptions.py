"""Shared subscriptions: one group, and the choice among its members (4.8.2)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random
from typing import Generic, Protocol, TypeVar

from mqttd.broker.message import Message
from mqttd.broker.subscriptions import Subscription

STRATEGIES = (
    "round_robin",
    "round_robin_per_group",
    "random",
    "sticky",
    "local",
    "hash_clientid",
    "hash_topic",
)
"""How a group chooses. ``local`` is round robin while there is one node."""


class Member(Protocol):
    """A session as its groups see it."""

    def takes_now(self, qos: int) -> bool:
        """Whether it can send a message of this QoS at once."""

    def takes_later(self, qos: int) -> bool:
        """Whether it can queue one without losing another."""


M = TypeVar("M", bound=Member)


class SharedGroup(Generic[M]):
    """The members of ``$share/NAME/FILTER``, each with its own Subscription Options.

    ``choose`` begins at the member the strategy names and goes on until one can take the message:
    first one that can send it now, else one that can queue it. [MQTT-4.8.2-4].
    """

    __slots__ = ("_members", "_next", "_ordered", "_rng", "_start", "key")

    def __init__(self, key: str, strategy: str, rng: Random) -> None:
        self.key = key
        self._members: dict[M, Subscription] = {}
        self._ordered: list[tuple[M, Subscription]] = []
        self._next = -1
        self._rng = rng
        self._start: Callable[[Message, int], int] = {
            "random": self._random,
            "sticky": self._sticky,
            "hash_clientid": self._by_client_id,
            "hash_topic": self._by_topic,
        }.get(strategy, self._round_robin)

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: M, subscription: Subscription) -> None:
        """A session joined, or changed its options."""
        self._members[member] = subscription
        self._ordered = list(self._members.items())

    def remove(self, member: M) -> None:
        """A session left."""
        self._members.pop(member, None)
        self._ordered = list(self._members.items())

    def choose(self, message: Message) -> tuple[M, Subscription] | None:
        """(member, its subscription) for a message; None when nobody can take it."""
        ordered = self._ordered
        count = len(ordered)
        if not count:
            return None
        start = self._start(message, count)
        for now in (True, False):
            for offset in range(count):
                number = (start + offset) % count
                member, subscription = ordered[number]
                qos = min(subscription.qos, message.qos)
                if member.takes_now(qos) if now else member.takes_later(qos):
                    self._next = number
                    return member, subscription
        return None

    def _round_robin(self, _message: Message, count: int) -> int:
        return (self._next + 1) % count

    def _sticky(self, _message: Message, count: int) -> int:
        return max(self._next, 0) % count

    def _random(self, _message: Message, count: int) -> int:
        return self._rng.randrange(count)

    def _by_client_id(self, message: Message, count: int) -> int:
        return zlib.crc32(message.publisher.encode()) % count

    def _by_topic(self, message: Message, count: int) -> int:
        return zlib.crc32(message.topic) % count

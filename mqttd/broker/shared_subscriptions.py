"""Shared subscriptions: one group, and the choice among its members (4.8.2)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random
from typing import Final, Generic, Protocol, TypeVar

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

REFUSES: Final = 0
"""The member would lose this message, or another for it."""
KEEPS: Final = 1
"""The member is away; its queue has room."""
QUEUES: Final = 2
"""The member is connected and busy; its queue has room."""
SENDS: Final = 3
"""The member can send the message at once."""

_FAITHFUL = frozenset(("sticky", "hash_clientid", "hash_topic"))


class Member(Protocol):
    """A session as its groups see it."""

    def readiness(self, qos: int) -> int:
        """What it would do with a message of this QoS: REFUSES, KEEPS, QUEUES or SENDS."""


M = TypeVar("M", bound=Member)


class SharedGroup(Generic[M]):
    """The members of ``$share/NAME/FILTER``, each with its own Subscription Options.

    The strategy names the member to begin with; from there on the first that can send the message
    at once gets it, else one that is connected and can queue it, else one that is away. With the
    strategies that keep to one member (``sticky``, ``hash_clientid``, ``hash_topic``) a connected
    member that can queue it is good enough: going on would part what belongs together.
    """

    __slots__ = ("_enough", "_last", "_members", "_number", "_ordered", "_rng", "_start", "key")

    def __init__(self, key: str, strategy: str, rng: Random) -> None:
        self.key = key
        self._members: dict[M, Subscription] = {}
        self._ordered: list[tuple[M, Subscription]] | None = None
        self._last: M | None = None
        self._number = -1
        self._rng = rng
        self._enough = QUEUES if strategy in _FAITHFUL else SENDS
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
        self._ordered = None

    def remove(self, member: M) -> None:
        """A session left."""
        self._members.pop(member, None)
        self._ordered = None

    def choose(self, message: Message) -> tuple[M, Subscription] | None:
        """(member, its subscription) for a message; None when it is lost for all of them.

        When every queue is full, the member to begin with gets a message with QoS > 0: its
        queue's policy says what goes.
        """
        ordered = self._ordered
        if ordered is None:
            ordered = self._put_in_order()
        count = len(ordered)
        if not count:
            return None
        first = number = self._start(message, count)
        best, found = REFUSES, first
        for _ in range(count):
            member, subscription = ordered[number]
            readiness = member.readiness(min(subscription.qos, message.qos))
            if readiness > best:
                best, found = readiness, number
                if readiness >= self._enough:
                    break
            number = number + 1 if number + 1 < count else 0
        member, subscription = ordered[found]
        if best == REFUSES and not min(subscription.qos, message.qos):
            return None
        self._number = found
        self._last = member
        return member, subscription

    def _put_in_order(self) -> list[tuple[M, Subscription]]:
        """Done at the next choice, so that ten thousand joining cost no more than one each."""
        ordered = self._ordered = list(self._members.items())
        if self._last is None:
            return ordered
        if self._last in self._members:
            self._number = next(n for n, (each, _) in enumerate(ordered) if each is self._last)
        else:
            # It left, and the members behind it moved up: the next one stands in its place.
            self._last = None
            self._number = min(self._number, len(ordered)) - 1
        return ordered

    def _round_robin(self, _message: Message, count: int) -> int:
        return (self._number + 1) % count

    def _sticky(self, _message: Message, count: int) -> int:
        return (self._number if self._last is not None else self._number + 1) % count

    def _random(self, _message: Message, count: int) -> int:
        return self._rng.randrange(count)

    def _by_client_id(self, message: Message, count: int) -> int:
        return zlib.crc32(message.publisher.encode()) % count

    def _by_topic(self, message: Message, count: int) -> int:
        return zlib.crc32(message.topic) % count

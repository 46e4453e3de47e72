"""Who gets the messages of one topic: worked out once, then cached."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias, Union

from mqttd.broker.shared_subscriptions import SharedGroup
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.topic_tree import TopicTree
from mqttd.broker.topics import has_wildcard

if TYPE_CHECKING:
    from mqttd.engine.memory_session import MemorySession

CACHED_TOPICS = 20_000
CACHED_RECEIVERS = 1_000_000
CACHED_TOPIC_LENGTH = 256
"""Bounds of the cache: names of 65,535 bytes, or ten thousand receivers of each of ten thousand
topics, would otherwise fill the memory."""

_MERGED_WEIGHT = 16
"""A merged Target belongs to one plan alone: as many bytes as this many shared ones."""

Row: TypeAlias = "tuple[MemorySession, int, tuple[int, ...]]"
"""A session, the QoS it gets a message with, and its Subscription Identifiers."""


class Target:
    """One session and the merged options of those of its subscriptions that match a topic.

    Overlapping subscriptions give one delivery with the highest QoS and every Subscription
    Identifier [MQTT-3.3.4-2..4]; retain is kept as published if any of them asks for it.
    ``rows`` has, for each QoS of a message, what the receiver gets.
    """

    __slots__ = (
        "_others",
        "identifiers",
        "no_local",
        "qos",
        "retain_as_published",
        "rows",
        "session",
        "subscriptions",
    )

    def __init__(self, session: MemorySession, subscriptions: tuple[Subscription, ...]) -> None:
        self.session = session
        self.subscriptions = subscriptions
        self.qos = max(each.qos for each in subscriptions)
        self.identifiers = tuple(
            each.subscription_id for each in subscriptions if each.subscription_id is not None
        )
        self.retain_as_published = any(each.retain_as_published for each in subscriptions)
        self.no_local = any(each.no_local for each in subscriptions)
        rows: list[Row] = [(session, qos, self.identifiers) for qos in range(self.qos + 1)]
        self.rows: tuple[Row, Row, Row] = (rows[0], rows[min(1, self.qos)], rows[-1])
        self._others: Target | None = None

    def without_local(self) -> Target | None:
        """What is left for the publisher itself. [MQTT-3.8.3-3]."""
        if self._others is None:
            left = tuple(each for each in self.subscriptions if not each.no_local)
            if left:
                self._others = Target(self.session, left)
        return self._others


class Own:
    """One subscription of one session, as the topic tree holds it; light, for there are many."""

    __slots__ = ("_target", "session", "subscription")

    def __init__(self, session: MemorySession, subscription: Subscription) -> None:
        self.session = session
        self.subscription = subscription
        self._target: Target | None = None

    def target(self) -> Target:
        """The Target where no other subscription of the session matches; shared by plans."""
        if self._target is None:
            self._target = Target(self.session, (self.subscription,))
        return self._target


Found: TypeAlias = Union[Own, "SharedGroup[MemorySession]"]
"""What the topic tree holds."""


class Plan:
    """The targets and groups of one topic.

    ``local`` has the Client Identifiers that No Local applies to; ``keeps_retain`` says whether
    any target wants the retain flag as published. Where neither counts, ``rows[qos]`` is all that
    a message needs; it is made by :meth:`make_rows` when it is first wanted. ``weight`` is what it
    costs to keep, in receivers.
    """

    __slots__ = ("groups", "keeps_retain", "local", "rows", "targets", "weight")

    def __init__(self, found: Iterable[Found]) -> None:
        alone: dict[MemorySession, Own] = {}
        overlapping: dict[MemorySession, list[Subscription]] = {}
        self.groups: list[SharedGroup[MemorySession]] = []
        for each in found:
            if not isinstance(each, Own):
                self.groups.append(each)
                continue
            first = alone.setdefault(each.session, each)
            if first is not each:
                several = overlapping.setdefault(each.session, [first.subscription])
                several.append(each.subscription)
        self.targets = [
            own.target()
            if session not in overlapping
            else Target(session, tuple(overlapping[session]))
            for session, own in alone.items()
        ]
        self.local = frozenset(each.session.client_id for each in self.targets if each.no_local)
        self.keeps_retain = any(each.retain_as_published for each in self.targets)
        self.rows: list[list[Row] | None] = [None, None, None]
        self.weight = len(self.targets) + len(self.groups) + _MERGED_WEIGHT * len(overlapping)

    def make_rows(self, qos: int) -> list[Row]:
        """Fill in ``rows[qos]``."""
        rows = self.rows[qos] = [target.rows[qos] for target in self.targets]
        return rows


class Plans:
    """The plans of the topics in use; bounded, and never older than the subscriptions.

    Topics are bytes, so that a PUBLISH is looked up as it came.
    """

    __slots__ = ("_tree", "_weight", "by_topic")

    def __init__(self, tree: TopicTree[Found]) -> None:
        self._tree = tree
        self._weight = 0
        self.by_topic: dict[bytes, Plan] = {}

    def make(self, topic: bytes) -> Plan:
        """The plan of a topic that is not in ``by_topic``."""
        plan = Plan(self._tree.match(topic.decode()))
        if len(topic) <= CACHED_TOPIC_LENGTH and plan.weight <= CACHED_RECEIVERS:
            self._weight += plan.weight
            if len(self.by_topic) >= CACHED_TOPICS or self._weight > CACHED_RECEIVERS:
                self._clear()
                self._weight = plan.weight
            self.by_topic[topic] = plan
        return plan

    def forget(self, topic_filter: str) -> None:
        """What the filter matches changed. Without wildcards that is one topic's plan."""
        if has_wildcard(topic_filter):
            self._clear()
        else:
            plan = self.by_topic.pop(topic_filter.encode(), None)
            if plan is not None:
                self._weight -= plan.weight

    def _clear(self) -> None:
        self.by_topic.clear()
        self._weight = 0

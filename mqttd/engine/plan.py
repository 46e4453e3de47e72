"""Who gets the messages of one topic: worked out once, then cached."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mqttd.broker.shared_subscriptions import SharedGroup
from mqttd.broker.subscriptions import Subscription

if TYPE_CHECKING:
    from mqttd.engine.memory_session import MemorySession


class Entry:
    """What the topic tree holds: a session's own subscription, or a shared group."""

    __slots__ = ("group", "session", "subscription")

    def __init__(
        self,
        session: MemorySession | None,
        subscription: Subscription | None,
        group: SharedGroup[MemorySession] | None = None,
    ) -> None:
        self.session = session
        self.subscription = subscription
        self.group = group


class Target:
    """One session and the merged options of all its subscriptions that match.

    Overlapping subscriptions give one delivery with the highest QoS and every Subscription
    Identifier [MQTT-3.3.4-2..4]; retain is kept as published if any of them asks for it.
    """

    __slots__ = (
        "identifiers",
        "no_local",
        "qos",
        "retain_as_published",
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

    def without_local(self) -> Target | None:
        """What is left for the publisher itself. [MQTT-3.8.3-3]."""
        left = tuple(each for each in self.subscriptions if not each.no_local)
        return Target(self.session, left) if left else None


class Plan:
    """The targets and groups of one topic."""

    __slots__ = ("groups", "targets")

    def __init__(self, entries: Iterable[Entry]) -> None:
        by_session: dict[MemorySession, list[Subscription]] = {}
        self.groups: list[SharedGroup[MemorySession]] = []
        for entry in entries:
            if entry.group is not None:
                self.groups.append(entry.group)
            else:
                assert entry.session is not None
                assert entry.subscription is not None
                by_session.setdefault(entry.session, []).append(entry.subscription)
        self.targets = [Target(session, tuple(subs)) for session, subs in by_session.items()]

"""A Subscription and its options."""

from __future__ import annotations


class Subscription:
    """One Topic Filter a session subscribed to, with its Subscription Options (MQTT 5, 3.8.3.1).

    ``topic_filter`` is the full filter as stored (mountpoint included, without ``$share``);
    ``group`` is the Share Name or None; ``key`` is what identifies it in the session:
    ``$share/GROUP/FILTER`` or the filter itself.
    """

    __slots__ = (
        "group",
        "key",
        "no_local",
        "qos",
        "retain_as_published",
        "retain_handling",
        "subscription_id",
        "topic_filter",
    )

    def __init__(
        self,
        topic_filter: str,
        qos: int,
        *,
        group: str | None = None,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        subscription_id: int | None = None,
    ) -> None:
        self.topic_filter = topic_filter
        self.group = group
        self.key = topic_filter if group is None else f"$share/{group}/{topic_filter}"
        self.qos = qos
        self.no_local = no_local
        self.retain_as_published = retain_as_published
        self.retain_handling = retain_handling
        self.subscription_id = subscription_id

"""What an engine may keep."""

from __future__ import annotations

import attrs


@attrs.frozen
class EngineOptions:
    """Bounds and policies of an engine; names and defaults as in the configuration.

    None means no bound. ``max_sessions`` counts connected and absent ones: when a new one would
    exceed it, the session whose client has been away longest ends. ``max_retained_bytes`` counts
    topics and payloads; a message that does not fit is delivered and not retained.
    """

    max_mqueue_len: int | None = 1000
    mqueue_drop_policy: str = "oldest"
    mqueue_store_qos0: bool = True
    shared_subscription_strategy: str = "round_robin"
    max_retained_messages: int | None = None
    max_retained_bytes: int | None = None
    max_sessions: int | None = None

"""What an engine may keep."""

from __future__ import annotations

import attrs


@attrs.frozen
class EngineOptions:
    """Bounds and policies of an engine; names and defaults as in the configuration."""

    max_mqueue_len: int | None = 1000
    mqueue_drop_policy: str = "oldest"
    mqueue_store_qos0: bool = True
    shared_subscription_strategy: str = "round_robin"
    max_retained_messages: int | None = None

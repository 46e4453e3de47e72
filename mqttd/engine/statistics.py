"""What an engine tells about itself."""

from __future__ import annotations

import attrs


@attrs.define
class MemoryStatistics:
    """Counts for ``$SYS``.

    ``stored`` and ``stored_bytes`` (payloads) are Retained Messages and messages that wait for a
    client; one that waits for several is counted for each. ``dropped`` is what could be neither
    sent nor kept, since the engine began.
    """

    sessions: int
    connected: int
    expired: int
    subscriptions: int
    shared_subscriptions: int
    retained: int
    stored: int
    stored_bytes: int
    dropped: int


@attrs.frozen
class SessionInfo:
    """One session as operators see it; a copy that does not change.

    ``expiry`` is the Session Expiry Interval in seconds, ``expires_at`` the engine's time at which
    the session ends unless the client comes back; both may be ``inf``.
    """

    client_id: str
    connected: bool
    expiry: float
    expires_at: float
    subscriptions: int
    waiting: int
    inflight: int
    awaiting_release: int
    dropped: int

"""The states of a Network Connection."""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """Where a connection is. Packets are decoded in WAITING, CHALLENGED and CONNECTED only."""

    WAITING = 0
    """for CONNECT"""
    ADMITTING = 1
    """CONNECT came; the authenticators or the engine are asked"""
    CHALLENGED = 2
    """enhanced authentication: AUTH is expected"""
    CONNECTED = 3
    CLOSED = 4

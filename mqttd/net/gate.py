"""The gate: clients held back between their handshake and MQTT until a verdict is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from cryptography import x509

from mqttd.tls.verdict import UNDECIDED, Judge, Verdict

MOST_WAITING: Final = 10_000
"""Clients of one listener that may wait at a time; one more is refused."""

GATE_TIMEOUT: Final = 20.0
"""Seconds a client waits at most, unless the listener's factory is told otherwise. The checkers
have limits of their own: this one is for a checker that does not keep to it."""

_REFUSED: Final = 50
"""``X509_V_ERR_APPLICATION_VERIFICATION``: refused for a reason that OpenSSL has no name for."""

BUSY: Final = Verdict(_REFUSED, "revocation-busy", f"{MOST_WAITING} wait already")
LATE: Final = Verdict(_REFUSED, "revocation-timeout", "no checker answered")
_FAILED: Final = Verdict(_REFUSED, "revocation-failed", "the checkers gave no verdict")


class Place:
    """One client's place at the gate: decided once, or left."""

    __slots__ = ("_decided", "_gate")

    def __init__(self, gate: Gate, decided: Callable[[Verdict], None]) -> None:
        self._gate = gate
        self._decided: Callable[[Verdict], None] | None = decided
        gate.waiting += 1

    def decide(self, verdict: Verdict) -> None:
        """The verdict is there. Does nothing for a client that has left."""
        decided = self._decided
        if decided is not None:
            self.leave()
            decided(_FAILED if verdict.error == UNDECIDED else verdict)

    def leave(self) -> None:
        """The client waits no more: it is decided on, or gone."""
        if self._decided is not None:
            self._decided = None
            self._gate.waiting -= 1


class Gate:
    """Where the clients of one listener wait; ``waiting`` says how many do."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self.waiting = 0
        self._most = most

    @property
    def full(self) -> bool:
        """Whether nobody may come to wait now."""
        return self.waiting >= self._most

    def enter(self, decided: Callable[[Verdict], None]) -> Place:
        """Take a place; ``decided`` is called at most once, and not after :meth:`Place.leave`."""
        return Place(self, decided)

    def ask(self, judge: Judge | None, chain: Sequence[x509.Certificate], place: Place) -> None:
        """Ask about a verified chain for the client at ``place``; the answer may come at once."""
        if judge is None:
            place.decide(_FAILED)
        else:
            judge.ask(chain, place.decide)

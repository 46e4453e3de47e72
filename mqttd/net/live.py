"""Live sessions follow the credential: asked again when what is trusted changes, then ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mqttd.net.credentials import Known, objection
from mqttd.net.cuts import BUDGET, SLICE, Cuts
from mqttd.net.event_hub import EventHub
from mqttd.tls.verdict import ACCEPT, REJECTED, UNDECIDED, Verdict

if TYPE_CHECKING:
    from mqttd.net.connection import NetworkConnection
    from mqttd.net.factory import ListenerFactory

MOST_ASKED: Final = 50
"""Certificates the judge is asked about at a time."""


class LiveTrust:
    """Asks again about every session when credentials change, and ends those it must.

    ``factories`` are gone through anew each time. Work is cut into slices, so that the clients of
    tens of thousands of sessions feel nothing. What it does to a listener is up to that one's
    ``ssl_options.live_enforcement``. Certificates that reach notAfter are the sweep's matter:
    :meth:`ListenerFactory.sweep`.
    """

    _log = Logger()

    def __init__(
        self,
        factories: Iterable[ListenerFactory],
        clock: IReactorTime,
        hub: EventHub | None = None,
    ) -> None:
        self._factories = factories
        self._clock = clock
        self._cuts = Cuts(clock, hub)
        self._queue: deque[NetworkConnection] = deque()
        self._refused: deque[tuple[NetworkConnection, Verdict]] = deque()
        self._known: Known = {}
        self._unknown: dict[tuple[str, bytes], list[NetworkConnection]] = {}
        self._asked = 0
        self._again: set[str] | None = set()
        self._call: IDelayedCall | None = None
        self._complained = False
        self._stopped = False

    @property
    def busy(self) -> bool:
        """Whether sessions are being looked at."""
        return self._call is not None or self._asked > 0

    @property
    def ended(self) -> int:
        """Sessions ended so far."""
        return self._cuts.total

    def credentials_changed(self, listener_ids: Collection[str] | None = None) -> None:
        """Keys, lists, authorities or answers changed, for these listeners or (None) for all.

        To be called after the change is in force. Returns at once.
        """
        if self._stopped:
            return
        for factory in self._factories:
            if listener_ids is None or factory.id in listener_ids:
                # Whoever is still in its handshake is looked at when that is done.
                factory.generation += 1
        if listener_ids is None:
            self._again = None
        elif self._again is not None:
            self._again.update(listener_ids)
        self._go_on()

    def stop(self) -> None:
        """End nobody any more."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        self._queue.clear()
        self._refused.clear()
        self._unknown.clear()

    def _go_on(self) -> None:
        if self._call is None and not self._stopped:
            self._call = self._clock.callLater(0, self._slice)

    def _slice(self) -> None:
        """One turn's work."""
        self._call = None
        until = self._clock.seconds() + BUDGET
        for _ in range(SLICE):
            try:
                if not self._next():
                    break
            except Exception:
                # Ours, or a plugin's: nothing is known against the session. Told once a round.
                if not self._complained:
                    self._complained = True
                    self._log.failure("checking a session failed")
            if self._clock.seconds() >= until:
                break
        if self._queue or self._refused or self._may_ask or self._again != set():
            self._go_on()
        elif not self._asked and not self._unknown:
            self._cuts.finish()
            self._known = {}

    def _next(self) -> bool:
        """One piece of work; False when there is none for now."""
        if self._refused:
            connection, verdict = self._refused.popleft()
            self._cuts.cut(connection, verdict)
        elif self._queue:
            self._look(self._queue.popleft())
        elif self._may_ask:
            self._ask()
        elif self._again != set():
            # A round is always ended before the next: changes that come in rows starve nobody.
            self._gather()
        else:
            return False
        return True

    def _gather(self) -> None:
        wanted, self._again = self._again, set()
        self._known = {}
        self._complained = False
        for factory in self._factories:
            if factory.live_enforcement and (wanted is None or factory.id in wanted):
                self._queue.extend(factory.connections)

    def _look(self, connection: NetworkConnection) -> None:
        stage = connection.tls
        if stage is None or not stage.admitted or connection.closing:
            return
        verdict = objection(connection, self._known)
        if verdict.error == UNDECIDED:
            certificate = connection.peer.certificate
            assert certificate is not None
            place = (connection.factory.id, certificate.der)
            self._unknown.setdefault(place, []).append(connection)
        elif _ends(verdict):
            self._cuts.cut(connection, verdict)

    @property
    def _may_ask(self) -> bool:
        return bool(self._unknown) and self._asked < MOST_ASKED

    def _ask(self) -> None:
        _, connections = self._unknown.popitem()
        first = connections[0]
        tls, stage = first.factory.tls_context, first.tls
        if tls is None or tls.judge is None or stage is None:
            return
        self._asked += 1
        tls.judge.ask(stage.chain(), partial(self._answered, connections))

    def _answered(self, connections: list[NetworkConnection], verdict: Verdict) -> None:
        self._asked -= 1
        if _ends(verdict):
            # Many may have the same certificate: they too are ended in slices.
            self._refused.extend((connection, verdict) for connection in connections)
        self._go_on()


def _ends(verdict: Verdict) -> bool:
    """Whether a session ends with a verdict: by what is known, never for want of an answer.

    A responder or a CRL server that is down must not end the sessions of a whole fleet at once,
    who could not come back. Newcomers are refused meanwhile.
    """
    return verdict.error not in (ACCEPT, REJECTED)

"""The engine that keeps everything in memory: sessions end with the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from mqttd.broker.deadlines import Deadlines
from mqttd.broker.ports import EngineSession
from mqttd.broker.will import Will
from mqttd.engine.memory_session import MemorySession
from mqttd.engine.options import EngineOptions
from mqttd.engine.routing import Routing
from mqttd.engine.statistics import MemoryStatistics, SessionInfo

_SWEEP_SESSIONS = 500
_SWEEP_MESSAGES = 20_000
_WATCH_INTERVAL = 30.0


class MemoryEngine(Routing):
    """Fulfils the broker's ``Engine`` port with dicts, a tree and heaps of deadlines.

    Sans-I/O: ``now`` is given to it, and completions run from :meth:`commit`.
    """

    def __init__(self, options: EngineOptions | None = None, rng: Random | None = None) -> None:
        super().__init__(options, rng)
        self._sessions: dict[str, MemorySession] = {}
        self._absent: dict[MemorySession, None] = {}  # in the order they went
        self._deadlines: Deadlines[MemorySession] = Deadlines()
        self._wills: Deadlines[MemorySession] = Deadlines()
        self._watched: Deadlines[MemorySession] = Deadlines()
        self._expired = 0

    # --- the port ---------------------------------------------------------------------------

    def claim(
        self,
        client_id: str,
        *,
        clean_start: bool,
        expiry: float,
        will: Will | None,
        now: float,
        done: Callable[[EngineSession], None],
    ) -> None:
        """Own a Client Identifier; done in turn, so that claims of one identifier queue up."""
        self.now = now

        def claimed() -> None:
            session = self._take_over(client_id, clean_start=clean_start)
            session.claimed = True
            session.expiry = expiry
            session.will = will
            done(session)

        self.later(claimed)

    def sweep(self, now: float) -> bool:
        """End sessions, publish Wills and forget messages whose time has come.

        Does a bounded piece of the work; returns True when there is more.
        """
        self.now = now
        for _ in range(_SWEEP_SESSIONS):
            # A Will that is due at the same time as its session's end comes first.
            session = self._wills.take_due(now)
            if session is not None:
                self._publish_will(session)
                continue
            session = self._deadlines.take_due(now)
            if session is None:
                break
            self._expire(session)
        else:
            return True
        return self._forget_messages(now)

    def statistics(self) -> MemoryStatistics:
        """Counts, worked out when asked."""
        queues = [session.queue for session in self._sessions.values()]
        return MemoryStatistics(
            sessions=len(self._sessions),
            connected=len(self._sessions) - len(self._absent),
            expired=self._expired,
            subscriptions=self._own_subscriptions + self._shared_subscriptions,
            shared_subscriptions=self._shared_subscriptions,
            retained=self._retained.count,
            stored=self._retained.count + sum(len(each) for each in queues),
            stored_bytes=self._retained.bytes + sum(each.bytes for each in queues),
            dropped=self.dropped,
        )

    # --- for operators ----------------------------------------------------------------------

    def sessions(self) -> Iterator[SessionInfo]:
        """Every session there is when this is called."""
        for session in list(self._sessions.values()):
            yield SessionInfo(
                client_id=session.client_id,
                connected=session.claimed,
                expiry=session.expiry,
                expires_at=self._deadlines.get(session),
                subscriptions=len(session.subscriptions),
                waiting=len(session.queue),
                inflight=len(session.flight),
                awaiting_release=len(session.inbound),
                dropped=session.dropped,
            )

    def kick(self, client_id: str, now: float, reason: str = "kicked") -> bool:
        """End a client's Network Connection; its session and Will go on as if it had broken.

        Returns whether there was one.
        """
        session = self._sessions.get(client_id)
        if session is None or not session.claimed:
            return False
        sink = session.sink
        self.detached(session, now, send_will=True)
        if sink is not None:
            sink.lost(reason)
        return True

    def forget(self, client_id: str, now: float, reason: str = "kicked") -> bool:
        """Delete a session, and end the Network Connection it may have.

        Returns whether there was one.
        """
        session = self._sessions.get(client_id)
        if session is None:
            return False
        session.expiry = 0.0
        if not self.kick(client_id, now, reason):
            self.now = now
            self._end(session)
        return True

    # --- what sessions call -----------------------------------------------------------------

    def watch(self, session: MemorySession) -> None:
        """A message that waits will expire: look after it, though not more often than needed."""
        self._watched.set(session, max(session.queue.earliest, self.now + _WATCH_INTERVAL))

    def detached(self, session: MemorySession, now: float, *, send_will: bool) -> None:
        """A connection ended: keep or end the session; the Will comes now, later or never."""
        self.now = now
        session.release()
        self._absent[session] = None
        will, session.will = session.will, None
        session.pending_will = will if send_will else None
        if not session.expiry:
            self._end(session)
            return
        if session.pending_will is not None:
            if session.pending_will.delay:
                self._wills.set(session, now + session.pending_will.delay)
            else:
                self._publish_will(session)
        self._deadlines.set(session, now + session.expiry)

    # --- sessions ---------------------------------------------------------------------------

    def _take_over(self, client_id: str, *, clean_start: bool) -> MemorySession:
        session = self._sessions.get(client_id)
        if session is not None and self._deadlines.get(session) <= self.now:
            self._expire(session)  # the sweep has not come to it yet
            session = None
        if session is None:
            return self._make(client_id)
        if session.claimed:
            # The old connection ends without DISCONNECT; its Will is due, unless a delay lets
            # this connection come first. [MQTT-3.1.3-9], [MQTT-3.1.4-3]
            sink = session.release()
            session.pending_will, session.will = session.will, None
            if sink is not None:
                sink.lost("taken-over")
            if session.pending_will is not None and not session.pending_will.delay:
                self._publish_will(session)
        if clean_start or not session.expiry:
            # [MQTT-3.1.2-4]. A session of an interval of 0 ended with its connection.
            self._end(session)
            return self._make(client_id)
        self._absent.pop(session, None)
        self._deadlines.cancel(session)
        self._wills.cancel(session)
        session.pending_will = None
        session.present = True
        return session

    def _make(self, client_id: str) -> MemorySession:
        maximum = self.options.max_sessions
        if maximum is not None and len(self._sessions) >= maximum and self._absent:
            self._expire(next(iter(self._absent)))
        session = self._sessions[client_id] = MemorySession(self, client_id)
        return session

    def _publish_will(self, session: MemorySession) -> None:
        self._wills.cancel(session)
        will, session.pending_will = session.pending_will, None
        if will is None:
            return
        message = will.message
        if will.expiry is not None:
            message.expires_at = self.now + will.expiry
        self.publish(message, self.now)

    def _expire(self, session: MemorySession) -> None:
        self._expired += 1
        self._end(session)

    def _end(self, session: MemorySession) -> None:
        """Session State is deleted; a Will that waits is published now. [MQTT-3.1.2-8]."""
        del self._sessions[session.client_id]
        self._absent.pop(session, None)
        self._deadlines.cancel(session)
        self._watched.cancel(session)
        for subscription in session.subscriptions.values():
            self.unroute(session, subscription)
        session.subscriptions.clear()
        self.redistribute(session)
        self._publish_will(session)
        session.flight.clear()
        session.inbound.clear()

    def _forget_messages(self, now: float) -> bool:
        """Forget what expired while it waited or was retained; True when there may be more."""
        budget = _SWEEP_MESSAGES
        while budget > 0:
            session = self._watched.take_due(now)
            if session is None:
                break
            budget -= 1 + session.queue.remove_expired(now)
            session.settle()
            self.watch(session)
        return self._retained.remove_expired(now, max(budget, 1)) >= budget

"""Ends sessions whose credential no longer holds, and says so without filling the log."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mqttd.events import SessionCut
from mqttd.log.text import clip, escape
from mqttd.net.credentials import told
from mqttd.net.event_hub import EventHub
from mqttd.net.reported_events import client_fields
from mqttd.packets.reason_codes import ReasonCode
from mqttd.tls.verdict import Verdict

if TYPE_CHECKING:
    from mqttd.net.connection import NetworkConnection

LINES: Final = 20
"""Sessions of one round that get a line of their own; the others are counted."""
BUDGET: Final = 0.005
"""Seconds of a turn after which the rest waits for the next."""
SLICE: Final = 200
"""Connections dealt with in one turn of the reactor, at most."""
_OTHER: Final = "other"
_MOST_CAUSES: Final = 50


class Cuts:
    """Ends sessions, at once or in slices. ``total`` counts all since the start."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, hub: EventHub | None = None) -> None:
        self.total = 0
        self._hub = hub
        self._clock = clock
        self._queue: deque[tuple[NetworkConnection, Verdict]] = deque()
        self._call: IDelayedCall | None = None
        self._lines = 0
        self._more: Counter[str] = Counter()

    def cut(self, connection: NetworkConnection, verdict: Verdict) -> None:
        """End one: MQTT 5 clients get 0x87, Not authorized, and why [MQTT 5, 3.14.2.1]."""
        if connection.closing:
            return
        self.total += 1
        if connection.mqtt is not None:  # else the line about its refusal says the same
            self._say(connection, verdict)
            if self._hub is not None and SessionCut.name in self._hub.wanted:
                who = client_fields(connection.mqtt, self._hub.now())
                self._hub.emit(SessionCut(**who, kind=verdict.cause, reason=verdict.text))
        connection.cut(ReasonCode.NOT_AUTHORIZED, told(verdict), verdict.cause, verdict.text)

    def queue(self, connection: NetworkConnection, verdict: Verdict) -> None:
        """End one soon: thousands that end at once must not stop the reactor for the others."""
        self._queue.append((connection, verdict))
        if self._call is None:
            self._call = self._clock.callLater(0, self._slice)

    def _slice(self) -> None:
        self._call = None
        until = self._clock.seconds() + BUDGET
        for _ in range(SLICE):
            if not self._queue:
                self.finish()
                return
            connection, verdict = self._queue.popleft()
            try:
                self.cut(connection, verdict)
            except Exception:
                connection.fail()
            if self._clock.seconds() >= until:
                break
        self._call = self._clock.callLater(0, self._slice)

    def _say(self, connection: NetworkConnection, verdict: Verdict) -> None:
        if self._lines >= LINES:
            cause = verdict.cause
            if cause not in self._more and len(self._more) >= _MOST_CAUSES:
                cause = _OTHER
            self._more[cause] += 1
            return
        self._lines += 1
        peer, mqtt = connection.peer, connection.mqtt
        host, port = peer.peer
        certificate, identity = peer.certificate, peer.psk_identity
        what = ""
        if certificate is not None:
            subject = clip(escape(certificate.subject)) or "without a subject"
            what = f"certificate {subject}, serial {certificate.serial:x}"
        elif identity is not None:
            what = f"PSK identity '{clip(escape(identity.decode('utf-8', 'backslashreplace')))}'"
        self._log.info(
            "session ended on {listener}: client {client_id} [{peer}]: {reason}; {credential} "
            "[{kind}]",
            event="session_cut",
            listener=peer.listener,
            peer=f"{host}:{port}",
            client_id=(mqtt.client_id if mqtt is not None else "") or "<unknown>",
            reason=clip(escape(verdict.text)) or told(verdict),
            credential=what,
            kind=verdict.cause,
        )

    def finish(self) -> None:
        """The round is over: say how many were not named."""
        count = self._more.total()
        if count:
            self._log.info(
                "{count} more sessions ended: {kinds}",
                event="sessions_cut",
                count=count,
                kinds=", ".join(f"{kind} {n}" for kind, n in self._more.most_common()),
            )
            self._more.clear()
        self._lines = 0

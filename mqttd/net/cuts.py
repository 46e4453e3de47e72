"""Ends sessions whose credential no longer holds, and says so without filling the log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from mqttd.log.text import clip, escape
from mqttd.net.credentials import told
from mqttd.packets.reason_codes import ReasonCode
from mqttd.tls.verdict import Verdict

if TYPE_CHECKING:
    from mqttd.net.connection import NetworkConnection

LINES: Final = 20
"""Sessions of one round that get a line of their own; the others are counted."""
_OTHER: Final = "other"
_MOST_CAUSES: Final = 50


class Cuts:
    """One round of ended sessions. ``total`` counts all since the start."""

    _log = Logger()

    def __init__(self) -> None:
        self.total = 0
        self._lines = 0
        self._more: Counter[str] = Counter()

    def cut(self, connection: NetworkConnection, verdict: Verdict) -> None:
        """End one: MQTT 5 clients get 0x87, Not authorized, and why [MQTT 5, 3.14.2.1]."""
        if connection.closing:
            return
        self.total += 1
        if connection.mqtt is not None:  # else the line about its refusal says the same
            self._say(connection, verdict)
        connection.cut(ReasonCode.NOT_AUTHORIZED, told(verdict), verdict.cause, verdict.text)

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

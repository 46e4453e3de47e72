"""Certificates that end soon: warning lines, a figure, and the clients concerned."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mqttd.net.connection import NetworkConnection

THRESHOLDS = (30, 14, 7, 1)
"""Days before the end at which a line is written."""

DAY = 86400.0
_EXPIRED = -1


@attrs.frozen
class OwnCertificate:
    """A certificate the broker presents or trusts.

    ``role`` says in words what it is there for; ``served`` whether it is a server certificate or
    an issuer sent with one, and so counts for the listener's ``days_left``. ``file`` is where it
    was read from, as the configuration names it; empty for text of the configuration itself.
    """

    listener: str
    role: str
    certificate: x509.Certificate
    served: bool = True
    file: str = ""


def days_left(certificate: x509.Certificate, now: float) -> int:
    """Whole days until the end; negative once it is over. ``now`` is epoch seconds."""
    return int((certificate.not_valid_after_utc.timestamp() - now) // DAY)


class Expiry:
    """Looks at the broker's own certificates once a day, at the start and after each reload.

    Each certificate gets one line when it reaches a threshold, and one when it is over.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        certificates: Callable[[], Iterable[OwnCertificate]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._certificates = certificates
        self._wall = wall
        self._told: dict[bytes, int] = {}
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Look now, and again each day."""
        self.stop()
        self._call = self._clock.callLater(DAY, self.start)
        try:
            self.look()
        except Exception:
            self._log.failure("looking at certificates failed; this is a bug in mqttd")

    def stop(self) -> None:
        """End."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def look(self) -> None:
        """A line for each certificate that reached a threshold since the last look."""
        now = self._wall()
        found: dict[bytes, list[OwnCertificate]] = {}
        for own in self._certificates():
            found.setdefault(own.certificate.fingerprint(hashes.SHA256()), []).append(own)
        told = {}
        for fingerprint, uses in found.items():
            reached = _threshold(days_left(uses[0].certificate, now))
            if reached is None:
                continue
            before = self._told.get(fingerprint)
            told[fingerprint] = reached
            if before is None or reached < before:
                self._tell(uses, now)
        self._told = told

    def figures(self) -> Mapping[str, int]:
        """``certificates/LISTENER/days_left``: of the one that ends first."""
        now = self._wall()
        figures: dict[str, int] = {}
        for own in self._certificates():
            if own.served:
                name = f"certificates/{own.listener}/days_left"
                left = days_left(own.certificate, now)
                figures[name] = min(left, figures.get(name, left))
        return figures

    def _tell(self, uses: list[OwnCertificate], now: float) -> None:
        certificate = uses[0].certificate
        left = days_left(certificate, now)
        seconds = certificate.not_valid_after_utc.timestamp() - now
        if seconds <= 0:
            when = "has expired"
        elif left < 1:
            when = f"expires in {max(1, int(seconds // 3600))} hours"
        else:
            when = f"expires in {left} day{'s' if left > 1 else ''}"
        say = self._log.error if seconds <= 0 else self._log.warn
        say(
            "{listener}: {role} {subject} {when}: {date} [renew it]",
            event="certificate_expires",
            listener=", ".join(dict.fromkeys(own.listener for own in uses)),
            role=uses[0].role,
            subject=certificate.subject.rfc4514_string() or "without a subject",
            serial=f"{certificate.serial_number:x}",
            when=when,
            date=certificate.not_valid_after_utc.isoformat(" "),
            days_left=left,
        )


def expiring(
    connections: Iterable[NetworkConnection], days: float, now: float | None = None
) -> list[tuple[NetworkConnection, float]]:
    """Connections whose client certificate ends within ``days``, soonest first, each with the end
    in epoch seconds. ``now`` is epoch seconds (None: the clock)."""
    limit = (time.time() if now is None else now) + days * DAY
    found = [
        (connection, connection.peer.certificate.not_after)
        for connection in connections
        if connection.peer.certificate is not None
        and connection.peer.certificate.not_after <= limit
    ]
    return sorted(found, key=lambda pair: pair[1])


def _threshold(left: int) -> int | None:
    """The lowest threshold reached, or None."""
    if left < 0:
        return _EXPIRED
    return min((each for each in THRESHOLDS if left <= each), default=None)

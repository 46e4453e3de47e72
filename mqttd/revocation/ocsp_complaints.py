"""Says in the log that an OCSP responder does not answer: once in a while, not for each client."""

from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd.revocation.ocsp_message import BadAnswer

OUTAGES: Final = frozenset({"ocsp-unreachable", "ocsp-timeout", "ocsp-try-later"})
"""Causes that go by themselves when the responder is back."""

_QUIET: Final = 60.0
"""Seconds between two lines about one responder and cause."""
_MOST: Final = 100
"""Responders and causes remembered: which responders there are is up to the certificates."""


@attrs.define
class _Said:
    last: float
    since: int = 0
    """Failures that were not said since."""


class Complaints:
    """Warnings about responders; ``soft`` says that clients get in all the same."""

    _log = Logger(namespace="mqttd.revocation.ocsp_checker")

    def __init__(self, clock: IReactorTime, *, soft: bool) -> None:
        self._clock = clock
        self._so = "are let in unchecked (mode = soft)" if soft else "are refused"
        self._said: dict[tuple[str, str], _Said] = {}

    def add(self, place: str, problem: BadAnswer) -> None:
        """One request to the responder at ``place`` failed."""
        now = self._clock.seconds()
        key = (place, problem.cause)
        said = self._said.pop(key, None)
        if said is not None and now - said.last < _QUIET:
            said.since += 1
            self._said[key] = said
            return
        if len(self._said) >= _MOST:
            del self._said[next(iter(self._said))]
        self._said[key] = _Said(now)
        before = said.since if said is not None else 0
        self._log.warn(
            "OCSP of client certificates: {responder} {problem}; clients {so}{before}",
            event="ocsp_client_failed",
            responder=f"the responder {place}" if place else "no responder:",
            cause=problem.cause,
            problem=problem.text,
            so=self._so,
            before=f"; {before} more such failures before" if before else "",
        )

    def answered(self, place: str) -> None:
        """The responder answered: say so if it was complained of."""
        gone = [key for key in self._said if key[0] == place and key[1] in OUTAGES]
        for key in gone:
            del self._said[key]
        if gone:
            self._log.info(
                "OCSP of client certificates: the responder {place} answers again",
                event="ocsp_client_recovered",
                place=place,
            )

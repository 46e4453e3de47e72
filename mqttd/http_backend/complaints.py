"""Says in the log that an HTTP server fails: once in a while, not for each client."""

from __future__ import annotations

from typing import Any, Final

import attrs
from twisted.logger import Logger

_QUIET: Final = 60.0
"""Seconds between two lines about one server and cause."""


@attrs.define
class _Said:
    last: float
    since: int = 0
    """Failures that were not said since."""


class Complaints:
    """Warnings about the servers that are asked for one purpose, ``subject``.

    Bounded by the number of servers and causes, which are the operator's and ours.
    """

    _log = Logger()

    def __init__(self, subject: str, clock: Any) -> None:
        self._subject = subject
        self._clock = clock
        self._said: dict[tuple[str, str], _Said] = {}

    def add(self, server: str, cause: str, text: str) -> None:
        """One question to ``server`` failed; ``text`` is a sentence with its name in it."""
        now = self._clock.seconds()
        said = self._said.get((server, cause))
        if said is not None and now - said.last < _QUIET:
            said.since += 1
            return
        before = said.since if said is not None else 0
        self._said[server, cause] = _Said(now)
        self._log.warn(
            "{subject} by HTTP: {problem}{before}",
            event="http_backend_failed",
            subject=self._subject,
            server=server,
            cause=cause,
            problem=text,
            before=f"; {before} more such failures before" if before else "",
        )

    def paused(self, server: str, seconds: float) -> None:
        """The server is left alone from now on."""
        self._log.warn(
            "{subject} by HTTP: {server} is left alone for {seconds:g} s",
            event="http_backend_paused",
            subject=self._subject,
            server=server,
            seconds=seconds,
        )

    def answered(self, server: str) -> None:
        """The server, left alone before, answers."""
        for key in [key for key in self._said if key[0] == server]:
            del self._said[key]
        self._log.info(
            "{subject} by HTTP: {server} answers again",
            event="http_backend_recovered",
            subject=self._subject,
            server=server,
        )

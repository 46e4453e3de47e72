"""One address of a revocation list as the cache knows it: the list, its errors, who waits."""

from __future__ import annotations

import attrs
from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mqttd.log.text import escape
from mqttd.revocation.backoff import Backoff
from mqttd.revocation.revocation_list import BadList, RevocationList, date

_REPEAT = 600.0
_log = Logger(namespace="mqttd.revocation.crl")


@attrs.define(eq=False)
class KeptList:
    """The list of one address, signed by one authority.

    ``fetched`` and ``problem_at`` are seconds since 1970; ``retry_at`` is a time of the clock.
    ``problem`` is why the last fetch failed, None when it succeeded.
    """

    url: str
    issuer: x509.Certificate
    backoff: Backoff
    current: RevocationList | None = None
    digest: bytes = b""
    fetched: float | None = None
    problem: BadList | None = None
    problem_at: float | None = None
    retry_at: float = 0.0
    busy: Deferred[None] | None = None
    waiting: list[Deferred[None]] = attrs.field(factory=list)
    refresh: IDelayedCall | None = None
    expiry: IDelayedCall | None = None
    dropped: bool = False
    _logged_cause: str = ""
    _logged_at: float = 0.0

    def answer(self) -> None:
        """Let go who waits."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(None)

    def end_timers(self) -> None:
        """Nothing more happens by itself."""
        for call in (self.refresh, self.expiry):
            if call is not None and call.active():
                call.cancel()

    def said_failed(self, problem: BadList, now: float, retry: float, grace: float) -> None:
        """Log a failure: when it is new, when its cause is another, and now and then."""
        if problem.cause == self._logged_cause and now - self._logged_at < _REPEAT:
            return
        self._logged_cause, self._logged_at = problem.cause, now
        _log.warn(
            "CRL {url} cannot be had: {text} ({cause}). {then} Next try in {retry} s.",
            event="crl_failed",
            url=escape(self.url),
            text=problem.text,
            cause=problem.cause,
            then=self._until(now, grace),
            retry=round(retry),
        )

    def _until(self, now: float, grace: float) -> str:
        if self.current is None or self.current.next_update is None:
            return "There is no earlier one."
        if grace == float("inf"):
            return "The one there is stays in use (failure_threshold is infinity)."
        until = self.current.next_update + grace
        word = "is used until" if until >= now else "was good until"
        return f"The one there is {word} {date(until)}."

    def said_fetched(self, new: RevocationList, old: RevocationList | None) -> None:
        """Log a success: what is new at ``info``, what is as before at ``debug``."""
        facts = {
            "url": escape(self.url),
            "issuer": new.issuer_name,
            "entries": len(new.entries),
            "next_update": "none" if new.next_update is None else date(new.next_update),
        }
        if self.problem is not None:
            self._logged_cause = ""
            words = "CRL {url} is there again, of {issuer}: {entries} revoked, "
            _log.info(words + "nextUpdate {next_update}.", event="crl_recovered", **facts)
        elif new is old:
            _log.debug("CRL {url} is as before.", event="crl_unchanged", **facts)
        else:
            words = "CRL {url} fetched, of {issuer}: {entries} revoked, "
            _log.info(words + "nextUpdate {next_update}.", event="crl_fetched", **facts)

    def said_expired(self) -> None:
        """Log that the list is no longer used."""
        _log.error(
            "CRL {url} is no longer used: it is past its nextUpdate and cannot be had anew.",
            event="crl_expired",
            url=escape(self.url),
        )

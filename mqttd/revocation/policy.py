"""One verdict out of several revocation checkers: what the TLS handshake and the gate ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cryptography import x509
from twisted.internet.defer import Deferred, TimeoutError, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mqttd.interfaces import GOOD, REVOKED, UNKNOWN, IRevocationChecker, RevocationStatus
from mqttd.log.failures import Quiet, what_failed
from mqttd.log.text import clip, escape
from mqttd.plugins import dismiss
from mqttd.tls.verdict import ACCEPTED, ASK, Verdict

ERROR_REVOKED: Final = 23
"""``X509_V_ERR_CERT_REVOKED``: alert 44, certificate_revoked."""
ERROR_UNKNOWN: Final = 28
"""``X509_V_ERR_CERT_REJECTED``: alert 42, bad_certificate."""

_TIME_LIMIT: Final = 30.0
_REPEAT: Final = 60.0
_MOST_CAUSES: Final = 256


class RevocationPolicy:
    """The ``Judge`` of a listener, over its checkers by name.

    Revoked by one is revoked. Not known to one is refused, unless that one's operator chose to
    allow it. ``time_limit`` is the longest time in seconds that :meth:`ask` takes. A checker that
    fails counts as not knowing, never as good.
    """

    _log = Logger()

    def __init__(
        self,
        checkers: Mapping[str, IRevocationChecker],
        *,
        clock: IReactorTime,
        time_limit: float = _TIME_LIMIT,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkers = dict(checkers)
        self._clock = clock
        self._time_limit = time_limit
        self._now = now
        self._quiet = Quiet(now)
        self._allowed: dict[tuple[str, str], tuple[float, int]] = {}

    def judge(self, chain: Sequence[x509.Certificate]) -> Verdict:
        """See Judge."""
        statuses: list[RevocationStatus | None] = []
        for name, checker in self._checkers.items():
            status = self._known(name, checker, chain)
            if status is not None and status.outcome == REVOKED:
                return _verdict(status)
            statuses.append(status)
        refused = [each for each in statuses if each is not None and _refuses(each)]
        if refused:
            return _verdict(refused[0])
        if None in statuses:
            return ASK
        self._allow(chain, statuses)
        return ACCEPTED

    def ask(self, chain: Sequence[x509.Certificate], done: Callable[[Verdict], None]) -> None:
        """See Judge."""
        _Asking(self, chain, done).begin()

    def on_change(self, changed: Callable[[], object]) -> None:
        """Call a function when later verdicts may differ from earlier ones."""
        for name, checker in self._checkers.items():
            try:
                checker.on_change(changed)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # asyncio's CancelledError is no Exception
                self._complain(name, what_failed(error))

    def _known(
        self, name: str, checker: IRevocationChecker, chain: Sequence[x509.Certificate]
    ) -> RevocationStatus | None:
        try:
            status = checker.known(chain)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            return self._complain(name, what_failed(error))
        return None if status is None else self._checked(name, status)

    def _checked(self, name: str, status: Any) -> RevocationStatus:
        """The status, if it is one: what a plugin returns by mistake must not let anybody in."""
        if (
            isinstance(status, RevocationStatus)
            and status.outcome in (GOOD, REVOKED, UNKNOWN)
            and isinstance(status.cause, str)
            and isinstance(status.text, str)
            and isinstance(status.allow, bool)
        ):
            return status
        dismiss(status)
        return self._complain(name, f"it gave a {type(status).__name__} that makes no sense")

    def _complain(self, name: str, words: str) -> RevocationStatus:
        """Log the failure of a checker, not too often; the status in place of its answer."""
        count = self._quiet.count(name)
        if count:
            self._log.error(
                "The revocation checker {name} failed: {words}. Clients it is asked about are "
                "refused ({count} times by now).",
                event="revocation_checker_failed",
                name=name,
                words=words,
                count=count,
            )
        told = f"the revocation checker {name} failed"
        return RevocationStatus(UNKNOWN, "revocation-failed", told)

    def _allow(
        self, chain: Sequence[x509.Certificate], statuses: Sequence[RevocationStatus | None]
    ) -> None:
        """Log who is let in though not known; at most one line a minute and cause."""
        for status in statuses:
            if status is None or status.outcome != UNKNOWN:
                continue
            key = (status.cause, status.text)
            if len(self._allowed) >= _MOST_CAUSES and key not in self._allowed:
                self._allowed.clear()
            now = self._now()
            last, missed = self._allowed.get(key, (-_REPEAT, 0))
            if now - last < _REPEAT:
                self._allowed[key] = (last, missed + 1)
                continue
            self._allowed[key] = (now, 0)
            self._log.warn(
                "Client certificate {subject} let in, though it is not known whether it is "
                "revoked: {text} ({cause}).{more}",
                event="revocation_unknown_allowed",
                subject=escape(clip(chain[0].subject.rfc4514_string())),
                text=status.text,
                cause=status.cause,
                more=f" {missed} more since the last line." if missed else "",
            )


class _Asking:
    """One chain that the checkers are asked about, all at the same time."""

    def __init__(
        self,
        policy: RevocationPolicy,
        chain: Sequence[x509.Certificate],
        done: Callable[[Verdict], None],
    ) -> None:
        self.policy = policy
        self.chain = chain
        self.done: Callable[[Verdict], None] | None = done
        self.statuses: list[RevocationStatus] = []
        self.running: list[Deferred[Any]] = []
        self.left = 0

    def begin(self) -> None:
        """Ask those that know nothing at once; decide when the last has answered."""
        policy = self.policy
        self.left = len(policy._checkers) + 1
        for name, checker in policy._checkers.items():
            if self.done is None:
                return
            status = policy._known(name, checker, self.chain)
            if status is not None:
                self.answered(status)
                continue
            asked = ensureDeferred(self.ask(checker))
            asked.addTimeout(policy._time_limit, policy._clock)
            asked.addCallbacks(
                lambda answer, name=name: policy._checked(name, answer),
                lambda failure, name=name: self.failed(name, failure),
            )
            asked.addCallback(self.answered)
            self.running.append(asked)
        self.answered(None)

    async def ask(self, checker: IRevocationChecker) -> RevocationStatus:
        return await checker.check(self.chain)

    def failed(self, name: str, failure: Failure) -> RevocationStatus:
        told = f"the revocation checker {name} was not needed any more"
        if self.done is None:
            return RevocationStatus(UNKNOWN, "revocation-failed", told)
        if failure.check(TimeoutError):
            text = f"the revocation checker {name} did not answer in {self.policy._time_limit:g} s"
            return RevocationStatus(UNKNOWN, "revocation-timeout", text)
        assert failure.value is not None
        return self.policy._complain(name, what_failed(failure.value))

    def answered(self, status: RevocationStatus | None) -> None:
        """One more status is there; a revocation needs no others."""
        self.left -= 1
        if status is not None:
            self.statuses.append(status)
        revoked = status is not None and status.outcome == REVOKED
        if self.done is None or not (revoked or self.left == 0):
            return
        done, self.done = self.done, None
        try:
            done(self.verdict())
        except Exception:
            self.policy._log.failure("Who asked for a verdict failed on it.")
        for other in self.running:
            other.cancel()

    def verdict(self) -> Verdict:
        for status in self.statuses:
            if status.outcome == REVOKED:
                return _verdict(status)
        for status in self.statuses:
            if _refuses(status):
                return _verdict(status)
        self.policy._allow(self.chain, self.statuses)
        return ACCEPTED


def _refuses(status: RevocationStatus) -> bool:
    return status.outcome == REVOKED or (status.outcome == UNKNOWN and not status.allow)


def _verdict(status: RevocationStatus) -> Verdict:
    if status.outcome == REVOKED:
        return Verdict(ERROR_REVOKED, status.cause or "revoked", status.text)
    return Verdict(ERROR_UNKNOWN, status.cause or "revocation-unknown", status.text)

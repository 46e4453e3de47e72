"""The OCSP response of one certificate of ours: fetched, checked, refreshed, dropped in time."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mqttd.config.schema.tls import OcspOptions
from mqttd.revocation.backoff import Backoff
from mqttd.revocation.ocsp_fetch import Fetcher, ask, short_url
from mqttd.revocation.ocsp_findings import must_staple
from mqttd.revocation.ocsp_message import (
    REVOKED,
    UNKNOWN,
    Answer,
    BadAnswer,
    Question,
    responder_of,
)
from mqttd.tls.peer import subject_of

_SOONEST = 5.0
"""Seconds between two fetches that succeed, at least: an answer that ends in a moment must not
make us ask all the time."""


@attrs.frozen
class StapleState:
    """One certificate and its response, for operators; times are RFC 3339 text or empty."""

    subject: str
    fingerprint: str
    url: str
    status: str
    """``good``, ``revoked``, or ``none`` while nothing is stapled."""
    this_update: str
    next_update: str
    must_staple: bool
    last_fetch: str
    last_error: str
    """Empty when the last fetch succeeded."""


class Staple:
    """Keeps the response of one certificate fresh; ``save`` is told each new one.

    A response is used until its nextUpdate; then nothing is stapled. A response that says
    ``revoked`` is stapled as well: clients are to know. One that says ``unknown`` is not: it says
    nothing but that the responder is behind.
    """

    _log = Logger(namespace="mqttd.revocation.stapling")

    def __init__(
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        options: OcspOptions,
        client: Fetcher,
        clock: IReactorTime,
        wall: Callable[[], float],
        save: Callable[[Staple, bytes], None],
    ) -> None:
        self.certificate = certificate
        self.issuer = issuer
        self.options = options
        self.must_staple = must_staple(certificate)
        self.subject = subject_of(certificate)
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
        self._url = options.responder_url or responder_of(certificate)
        self.url = short_url(self._url) if self._url else ""
        self.client = client
        self._clock = clock
        self._wall = wall
        self._save = save
        self._answer: Answer | None = None
        self._ends = 0.0
        self._backoff = Backoff(first=_SOONEST, longest=max(options.refresh_interval, _SOONEST))
        self._call: IDelayedCall | None = None
        self._asking: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._running = False
        self._last_fetch: float | None = None
        self._last_error = ""

    @property
    def der(self) -> bytes | None:
        """The response there is, whether it is still valid or not."""
        return None if self._answer is None else self._answer.der

    def response(self) -> bytes:
        """What to staple now; nothing when there is no valid response."""
        if self._answer is None or self._wall() >= self._ends:
            return b""
        return self._answer.der

    def adopt(self, der: bytes | None) -> None:
        """Use a response from before a restart or a reload, if it is one for this certificate."""
        if der is None:
            return
        try:
            answer = Question.of(self.certificate, self.issuer).read(der, self._wall())
        except BadAnswer as problem:
            self._log.debug(
                "OCSP stapling: the response kept for {subject} is not used: it {problem}",
                subject=self.subject,
                problem=problem.text,
            )
            return
        if answer.status != UNKNOWN:
            self._use(answer)

    def start(self) -> None:
        """Ask now, and from now on."""
        self._running = True
        if self._asking is None:
            self._ask()

    def stop(self) -> None:
        """Ask no more."""
        self._running = False
        self._cancel()
        if self._asking is not None:
            self._asking.cancel()

    def ask_now(self) -> Deferred[None]:
        """Ask at once; fires, never fails, when the answer is there or is not to be had."""
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        if self._asking is None:
            self._cancel()
            self._ask()
        return done

    def state(self) -> StapleState:
        """What an operator wants to know."""
        answer = self._answer if self.response() else None
        return StapleState(
            subject=self.subject,
            fingerprint=self.fingerprint,
            url=self.url,
            status="none" if answer is None else answer.status,
            this_update="" if answer is None else answer.this_update.isoformat(),
            next_update=""
            if answer is None or answer.next_update is None
            else answer.next_update.isoformat(),
            must_staple=self.must_staple,
            last_fetch="" if self._last_fetch is None else _iso(self._last_fetch),
            last_error=self._last_error,
        )

    def _ask(self) -> None:
        self._asking = Deferred.fromCoroutine(self._ask_once())
        asking = self._asking
        asking.addErrback(self._broke)
        asking.addCallback(self._asked)

    def _broke(self, failure: Failure) -> None:
        self._log.failure("OCSP stapling failed; this is a bug in mqttd", failure=failure)
        self._later(self._backoff.failed())

    def _asked(self, _: Any) -> None:
        self._asking = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    async def _ask_once(self) -> None:
        try:
            answer = await self._fetch()
            if answer.status == UNKNOWN:
                raise BadAnswer("ocsp-unknown", "does not know this certificate")
            if answer.expires.timestamp() <= self._wall():
                raise BadAnswer("ocsp-stale", "sent an answer that has just ended")
        except BadAnswer as problem:
            self._last_fetch = self._wall()
            self._failed(problem)
        else:
            self._last_fetch = self._wall()
            self._succeeded(answer)

    async def _fetch(self) -> Answer:
        if self._url is None:
            raise BadAnswer("no-responder", "is not named by the certificate or responder_url")
        return await ask(
            self.client,
            self._url,
            Question.of(self.certificate, self.issuer),
            timeout=self.options.refresh_http_timeout,
            seconds=self._clock.seconds,
            now=self._wall,
        )

    def _succeeded(self, answer: Answer) -> None:
        first = not self.response() or bool(self._last_error)
        self._last_error = ""
        self._backoff.succeeded()
        old = self._answer
        # An old answer played back must not hide that the certificate was revoked since.
        if old is None or answer.this_update >= old.this_update or not self.response():
            self._use(answer)
            if old is None or old.der != answer.der:
                self._save(self, answer.der)
        used = self._answer or answer
        delay = self._until_next(used)
        if used.status == REVOKED:
            self._alarm(used)
        else:
            say = self._log.info if first else self._log.debug
            say(
                "OCSP stapling: {url} says {subject} is good, until {until}; next fetch in "
                "{delay:.0f} s",
                event="ocsp_stapled",
                url=self.url,
                subject=self.subject,
                until=f"{used.expires:%Y-%m-%d %H:%M UTC}",
                delay=delay,
            )
        self._later(delay)

    def _alarm(self, answer: Answer) -> None:
        self._log.critical(
            "OUR OWN CERTIFICATE IS REVOKED: {subject}, serial {serial:x}, was {status}, says "
            "{url}. Clients that check will refuse it. Put a new certificate and key in place and "
            "reload; find out who had the key.",
            event="own_certificate_revoked",
            subject=self.subject,
            serial=self.certificate.serial_number,
            status=answer.text,
            url=self.url,
        )

    def _failed(self, problem: BadAnswer) -> None:
        self._last_error = problem.text
        delay = self._backoff.failed()
        if not self._running and not self._waiting:
            return
        stapled = bool(self.response())
        if stapled:
            state = f"the response at hand is stapled until {_iso(self._ends)}"
        elif self.must_staple:
            state = (
                "nothing is stapled, and the certificate demands it (must-staple): clients that "
                "look for it refuse the connection"
            )
        else:
            state = "nothing is stapled"
        say = self._log.error if self.must_staple and not stapled else self._log.warn
        say(
            "OCSP stapling for {subject}: the responder {url} {problem}; {state}; next try in "
            "{delay:.0f} s",
            event="ocsp_stapling_failed",
            subject=self.subject,
            url=self.url or "(none)",
            cause=problem.cause,
            problem=problem.text,
            state=state,
            delay=delay,
        )
        self._later(delay)

    def _use(self, answer: Answer) -> None:
        self._answer = answer
        self._ends = answer.expires.timestamp()

    def _until_next(self, answer: Answer) -> float:
        """Half of the remaining life leaves time for many tries before it ends."""
        left = answer.expires.timestamp() - self._wall()
        interval = self.options.refresh_interval
        return max(min(interval, left / 2), min(interval, _SOONEST))

    def _later(self, delay: float) -> None:
        if self._running:
            self._cancel()
            self._call = self._clock.callLater(delay, self._due)

    def _due(self) -> None:
        self._call = None
        if self._asking is None:
            self._ask()

    def _cancel(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None


def _iso(moment: float) -> str:
    return datetime.datetime.fromtimestamp(int(moment), datetime.UTC).isoformat()

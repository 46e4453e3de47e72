"""Asks OCSP responders about client certificates: the revocation checker ``ocsp``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mqttd.config.schema.revocation import OcspClientOptions
from mqttd.interfaces import REVOKED, UNKNOWN, IRevocationChecker, PluginContext, RevocationStatus
from mqttd.outgoing.http import HTTPClient
from mqttd.outgoing.tls import build_client_tls
from mqttd.revocation.ocsp_cache import CAPACITY, OcspCache
from mqttd.revocation.ocsp_complaints import OUTAGES, Complaints
from mqttd.revocation.ocsp_fetch import Fetcher, ask, short_url
from mqttd.revocation.ocsp_message import (
    NONCE_LENGTH,
    Answer,
    BadAnswer,
    Question,
    responder_of,
)
from mqttd.revocation.ocsp_message import UNKNOWN as NOT_KNOWN

_AT_ONCE: Final = 100
"""Requests under way at once; more wait for a place, within their time limit."""
_IN_BACKGROUND: Final = 10
"""Of these, requests that no client waits for."""
_TICK: Final = 1.0
"""Seconds between two looks at what has to be asked again."""
_ROLL_CALL: Final = 3600.0
"""Seconds between two roll calls: who listens for changes looks at each live session, and those
that asks for are in use. What no session used since the last but one is not asked about again."""
_TELL_AFTER: Final = 0.1
"""Seconds in which changes are gathered before live sessions are looked at."""


@attrs.define(eq=False)
class _Asking:
    """One request under way, and who waits for it."""

    background: bool
    done: Deferred[Any] = attrs.field(factory=Deferred)
    waiting: list[Deferred[RevocationStatus]] = attrs.field(factory=list)


@implementer(IRevocationChecker)
class OcspChecker:
    """The status of client certificates by OCSP (RFC 6960), remembered until it ends.

    Only the client's own certificate is asked about, not its issuers. One request serves all who
    wait for the same certificate. Answers of certificates in use are asked for again before they
    end, so that a revocation reaches live sessions. A certificate that is known as revoked stays
    refused until a valid and not older answer says otherwise, whatever ``mode`` says of outages.
    """

    _log = Logger()

    def __init__(
        self,
        options: OcspClientOptions,
        client: Fetcher,
        clock: IReactorTime,
        *,
        wall: Callable[[], float] = time.time,
        capacity: int = CAPACITY,
    ) -> None:
        self._options = options
        self._client = client
        self._clock = clock
        self._wall = wall
        self._cache = OcspCache(options.cache, capacity)
        self._asking: dict[bytes, _Asking] = {}
        self._slots = DeferredSemaphore(_AT_ONCE)
        self._background = 0
        self._listeners: list[Callable[[], object]] = []
        self._outage = False
        self._roll_calls = (wall(), wall())
        self._tick_call: IDelayedCall | None = None
        self._tell_call: IDelayedCall | None = None
        self._complaints = Complaints(clock, soft=options.mode == "soft")

    def known(self, chain: Sequence[x509.Certificate]) -> RevocationStatus | None:
        """See IRevocationChecker: the answer of an earlier request that still holds."""
        return self._cache.known(_key(chain[0]), self._wall())

    async def check(self, chain: Sequence[x509.Certificate]) -> RevocationStatus:
        """See IRevocationChecker: asks the responder, for ``timeout`` seconds at most."""
        status = self.known(chain)
        if status is not None:
            return status
        key = _key(chain[0])
        waiter: Deferred[RevocationStatus] = Deferred()
        asking = self._asking.get(key)
        if asking is not None:
            asking.waiting.append(waiter)
        else:
            self._begin(key, chain[0], chain[1] if len(chain) > 1 else None, waiter)
        return await waiter

    def on_change(self, changed: Callable[[], object]) -> None:
        """See IRevocationChecker: called when a certificate turned out to be revoked, and every
        hour to learn which ones live sessions still use."""
        self._listeners.append(changed)

    def start(self) -> None:
        """See IRevocationChecker."""
        if self._tick_call is None:
            self._tick_call = self._clock.callLater(_TICK, self._tick)

    def stop(self) -> None:
        """See IRevocationChecker; who still waits gets ``unknown``."""
        for call in (self._tick_call, self._tell_call):
            if call is not None and call.active():
                call.cancel()
        self._tick_call = self._tell_call = None
        for asking in list(self._asking.values()):
            asking.done.cancel()

    def figures(self) -> dict[str, int]:
        """How many certificates are remembered, by status, and how many are being asked about."""
        return {**self._cache.figures(), "asking": len(self._asking)}

    def _begin(
        self,
        key: bytes,
        certificate: x509.Certificate,
        issuer: x509.Certificate | None,
        waiter: Deferred[RevocationStatus] | None,
    ) -> None:
        asking = self._asking[key] = _Asking(background=waiter is None)
        self._background += asking.background
        if waiter is not None:
            asking.waiting.append(waiter)
        asking.done = Deferred.fromCoroutine(self._ask(key, certificate, issuer))
        asking.done.addErrback(self._broke)
        asking.done.addCallback(self._asked, key, asking)

    def _asked(self, status: RevocationStatus, key: bytes, asking: _Asking) -> None:
        del self._asking[key]
        self._background -= asking.background
        for waiter in asking.waiting:
            if not waiter.called:  # one who no longer waits has cancelled it
                waiter.callback(status)

    def _broke(self, failure: Failure) -> RevocationStatus:
        self._log.failure("asking an OCSP responder failed; this is a bug in mqttd", failure)
        return RevocationStatus(UNKNOWN, "revocation-failed", "the OCSP check failed")

    async def _ask(
        self, key: bytes, certificate: x509.Certificate, issuer: x509.Certificate | None
    ) -> RevocationStatus:
        url = self._options.responder_url or responder_of(certificate)
        place = short_url(url) if url else ""
        try:
            if url is None or issuer is None:
                lacks = "issuer to ask" if issuer is None else "OCSP responder"
                raise BadAnswer("no-responder", f"the certificate names no {lacks}")
            answer = await self._fetch(Question.of(certificate, issuer, self._nonce()), url)
            if answer.status == NOT_KNOWN:
                raise BadAnswer("ocsp-unknown", "does not know this certificate")
        except BadAnswer as problem:
            text = f"the OCSP responder {place} {problem.text}" if url else problem.text
            self._outage = problem.cause in OUTAGES
            self._complaints.add(place, problem)
            allow = self._options.mode == "soft"
            status = RevocationStatus(UNKNOWN, problem.cause, text, allow)
            return self._cache.failed(key, certificate, issuer, status, self._wall())
        self._outage = False
        self._complaints.answered(place)
        text = f"{answer.text}, says the OCSP responder {place}"
        status = self._cache.answered(key, certificate, issuer, answer, text, self._wall())
        if status.outcome == REVOKED:
            self._tell_soon()
        return status

    async def _fetch(self, question: Question, url: str) -> Answer:
        until = self._clock.seconds() + self._options.timeout
        turn = self._slots.acquire()
        turn.addTimeout(self._options.timeout, self._clock)
        try:
            await turn
        except Exception:  # a TimeoutError, or cancelled by stop()
            raise BadAnswer("ocsp-timeout", "has too many requests of ours waiting") from None
        try:
            return await ask(
                self._client,
                url,
                question,
                timeout=max(until - self._clock.seconds(), 0.001),
                seconds=self._clock.seconds,
                now=self._wall,
            )
        finally:
            self._slots.release()

    def _nonce(self) -> bytes | None:
        return os.urandom(NONCE_LENGTH) if self._options.nonce else None

    def _tick(self) -> None:
        self._tick_call = self._clock.callLater(_TICK, self._tick)
        now = self._wall()
        # During an outage a look at all sessions would end those whose answers cannot be renewed.
        if now - self._roll_calls[1] >= _ROLL_CALL and not self._outage and len(self._cache):
            self._roll_calls = (self._roll_calls[1], now)
            self._tell_soon()
        most = _IN_BACKGROUND - self._background
        for key, entry in self._cache.due(now, most, self._roll_calls[0]):
            if key not in self._asking:
                self._begin(key, entry.certificate, entry.issuer, None)

    def _tell_soon(self) -> None:
        if self._tell_call is None:
            self._tell_call = self._clock.callLater(_TELL_AFTER, self._tell)

    def _tell(self) -> None:
        self._tell_call = None
        for changed in self._listeners:
            changed()


def make(options: OcspClientOptions, context: PluginContext) -> OcspChecker:
    """The checker for one listener's ``ocsp_client``; the target of the plugin ``ocsp``.

    Raises ConfigurationErrors for TLS options that cannot be used.
    """
    tls = build_client_tls(options.ssl, context.base_dir, "ssl_options.ocsp_client.ssl")
    client = HTTPClient(context.reactor, tls, pool_size=_AT_ONCE)
    return OcspChecker(options, client, context.reactor)


def _key(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA256())

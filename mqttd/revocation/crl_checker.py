"""The revocation checker that reads CRLs: of files first, then of distribution points."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
from cryptography import x509
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.threads import deferToThread, deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from mqttd.config.errors import Finding
from mqttd.config.schema.revocation import CrlCacheOptions
from mqttd.interfaces import (
    REVOKED,
    STATUS_GOOD,
    UNKNOWN,
    IRevocationChecker,
    PluginContext,
    RevocationStatus,
)
from mqttd.log.text import clip, escape
from mqttd.outgoing.http import HTTPClient
from mqttd.outgoing.tls import build_client_tls
from mqttd.revocation.crl_cache import CrlCache, Fetch, joined
from mqttd.revocation.crl_files import LocalLists
from mqttd.revocation.crl_status import ListStatus
from mqttd.revocation.disk_cache import DiskCache
from mqttd.revocation.revocation_list import BadList, RevocationList, date
from mqttd.tls.peer import MALFORMED

_MOST_URLS: Final = 8
"""Addresses of one certificate that are tried."""
_LONGEST_URL: Final = 2048
_LONGEST_TIMER: Final = 3600.0
_TRIES: Final = 3
"""Times files are looked at when they are read anew meanwhile."""

_Problems = list[BadList]
_Statuses = list[ListStatus]


@attrs.frozen
class _Question:
    """One certificate to look up, with who issued it and where its lists are."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    ca: bool
    urls: tuple[str, ...]


@implementer(IRevocationChecker)
class CrlChecker:
    """Knows the certificates that CRLs revoke; see ``crl_cache`` in the settings.

    A list of a file stands before the distribution points: while it is good nothing is fetched.
    """

    _log = Logger()

    def __init__(
        self,
        options: CrlCacheOptions,
        fetch: Fetch,
        base_dir: Path,
        disk: DiskCache | None = None,
        *,
        clock: IReactorTime,
        now: Callable[[], float] = time.time,
        in_thread: Callable[..., Deferred[Any]] = deferToThread,
        close: Callable[[], object] = lambda: None,
        **more: Any,
    ) -> None:
        self._options = options
        self._clock = clock
        self._now = now
        self._close = close
        self._watchers: list[Callable[[], object]] = []
        self._end: IDelayedCall | None = None
        self._first_read: Deferred[Any] | None = None
        tools: dict[str, Any] = {"now": now, "in_thread": in_thread, "on_change": self._changed}
        self.cache = CrlCache(options, fetch, disk, clock=clock, **tools, **more)
        self.files = LocalLists(options, base_dir, **tools)

    def known(self, chain: Sequence[x509.Certificate]) -> RevocationStatus | None:
        """See IRevocationChecker."""
        if self._first_read is not None:
            return None
        statuses: list[RevocationStatus | None] = []
        for number, certificate in enumerate(self._looked_up(chain)):
            question = self._question(chain, number, certificate)
            statuses.append(
                question if isinstance(question, RevocationStatus) else self._known(question)
            )
        return _combined(statuses)

    async def check(self, chain: Sequence[x509.Certificate]) -> RevocationStatus:
        """See IRevocationChecker."""
        if self._first_read is not None:
            await joined(self._first_read)
        statuses: list[RevocationStatus | None] = []
        for number, certificate in enumerate(self._looked_up(chain)):
            question = self._question(chain, number, certificate)
            statuses.append(
                question if isinstance(question, RevocationStatus) else await self._ask(question)
            )
        return _combined(statuses) or STATUS_GOOD

    def on_change(self, changed: Callable[[], object]) -> None:
        """See IRevocationChecker."""
        self._watchers.append(changed)

    def start(self) -> None:
        """See IRevocationChecker."""
        self.cache.start()
        self._first_read = Deferred()
        reading = ensureDeferred(self.reload())
        reading.addErrback(lambda failure: self._log.failure("Reading CRL files failed.", failure))
        reading.addBoth(self._first_read_done)

    def stop(self) -> None:
        """See IRevocationChecker."""
        self.cache.stop()
        if self._end is not None and self._end.active():
            self._end.cancel()
        self._close()

    async def reload(self, issuers: Iterable[x509.Certificate] = ()) -> list[Finding]:
        """Read the files that changed, and prove them with these issuers and those seen before.

        What cannot be read stays as it was. Sessions are checked again if anything changed.
        """
        findings = await self.files.reload()
        await self.files.prove(issuers)
        self._watch_files()
        return findings

    def list(self) -> _Statuses:
        """Every list there is or should be: files first, then addresses."""
        return [*self.files.list(), *self.cache.list()]

    async def refresh(self, url: str | None = None) -> _Statuses:
        """Fetch the lists of all addresses anew, or of one, and read the files."""
        if url is None:
            await self.reload()
        return await self.cache.refresh(url)

    def _looked_up(self, chain: Sequence[x509.Certificate]) -> Sequence[x509.Certificate]:
        """The client's own certificate, or all but the trusted one at the end."""
        return chain[:1] if self._options.check == "leaf" else chain[: max(1, len(chain) - 1)]

    def _question(
        self, chain: Sequence[x509.Certificate], number: int, certificate: x509.Certificate
    ) -> _Question | RevocationStatus:
        if number + 1 >= len(chain):
            text = "its issuer is not in its chain, so no CRL about it can be verified"
            return self._unknown("no-distribution-point", text)
        urls = distribution_urls(certificate)
        return _Question(certificate, chain[number + 1], number > 0, urls)

    def _known(self, question: _Question) -> RevocationStatus | None:
        problems: _Problems = []
        status, undecided = self._in_files(question, problems)
        if status is not None or undecided:
            return status
        for url in question.urls:
            found = self.cache.known(url, question.issuer)
            if found is None:
                return None
            if isinstance(found, BadList):
                problems.append(found)
                continue
            status = self._judged(question, found, url, problems)
            if status is not None:
                return status
        return self._none_left(question, problems)

    async def _ask(self, question: _Question) -> RevocationStatus:
        for _ in range(_TRIES):
            problems: _Problems = []
            await self.files.prove([question.issuer])
            status, undecided = self._in_files(question, problems)
            if status is not None:
                return status
            if not undecided:
                break
        for url in question.urls:
            try:
                found = await self.cache.get(url, question.issuer)
            except BadList as problem:
                problems.append(problem)
                continue
            status = self._judged(question, found, url, problems)
            if status is not None:
                return status
        return self._none_left(question, problems)

    def _in_files(
        self, question: _Question, problems: _Problems
    ) -> tuple[RevocationStatus | None, bool]:
        """What lists of files say; and whether some are not proven yet."""
        local = self.files.known(question.issuer)
        problems += local.problems
        for one in local.lists:
            status = self._judged(question, one, "", problems)
            if status is not None:
                return status, False
        return None, local.undecided

    def _judged(
        self, question: _Question, one: RevocationList, url: str, problems: _Problems
    ) -> RevocationStatus | None:
        """What one list says; None if it does not speak of the certificate."""
        name = f"CRL {escape(url)}" if url else f"CRL of {one.issuer_name} in a file"
        try:
            one.check_scope((url,) if url else question.urls, ca=question.ca)
        except BadList as problem:
            problems.append(BadList(problem.cause, f"{name}: {problem.text}"))
            return None
        entry = one.find(question.certificate.serial_number)
        if entry is None:
            return STATUS_GOOD
        whose = "" if not question.ca else f"the issuing {_subject(question.certificate)} was "
        text = f"{whose}revoked {date(entry.when)}, reason {entry.reason}, by {name}"
        return RevocationStatus(REVOKED, "revoked", text)

    def _none_left(self, question: _Question, problems: _Problems) -> RevocationStatus:
        if problems:
            first = problems[0]
            return self._unknown(first.cause, "; ".join(each.text for each in problems[:3]))
        if question.urls:
            return self._unknown("crl-unreachable", "its CRL is not there")
        subject = _subject(question.certificate)
        return self._unknown(
            "no-distribution-point",
            f"the certificate of {subject} names no distribution point with http or https, "
            "and its issuer has no CRL among files and directory",
        )

    def _unknown(self, cause: str, text: str) -> RevocationStatus:
        missing = cause == "no-distribution-point"
        choice = (
            self._options.on_missing_distribution_point
            if missing
            else self._options.on_unavailable
        )
        return RevocationStatus(UNKNOWN, cause, text, allow=choice == "allow")

    def _changed(self) -> None:
        for changed in self._watchers:
            changed()

    def _first_read_done(self, _: object) -> None:
        done, self._first_read = self._first_read, None
        if done is not None:
            done.callback(None)

    def _watch_files(self) -> None:
        """Notice when a list of a file can no longer be used."""
        if self._end is not None and self._end.active():
            self._end.cancel()
        end = self.files.next_end()
        if end is not None:
            left = max(0.0, end - self._now()) + 0.001
            self._end = self._clock.callLater(min(left, _LONGEST_TIMER), self._file_ended, end)

    def _file_ended(self, end: float) -> None:
        if self._now() > end:
            self._log.error(
                "A CRL of a file is past its nextUpdate and no longer used.", event="crl_expired"
            )
            self._changed()
        self._watch_files()


def make(options: CrlCacheOptions, context: PluginContext) -> CrlChecker:
    """The plugin's target. Raises ConfigurationErrors for ``crl_cache.ssl``."""
    tls = build_client_tls(options.ssl, context.base_dir, "crl_cache.ssl")
    client = HTTPClient(context.reactor, tls)
    disk = DiskCache(
        context.data_dir / "crl", "crl", capacity=options.capacity, max_size=options.max_size
    )
    return CrlChecker(
        options,
        client.fetch,
        context.base_dir,
        disk,
        clock=context.reactor,
        in_thread=partial(deferToThreadPool, context.reactor, context.reactor.getThreadPool()),
        close=client.close,
    )


def distribution_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where the lists about a certificate are, http and https only, in its order.

    Points that name another issuer (indirect lists) or cover only some reasons are passed over:
    RFC 5280 section 4.2.1.13.
    """
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, *MALFORMED):
        return ()
    urls: list[str] = []
    for point in points:
        if point.full_name is None or point.crl_issuer or point.reasons:
            continue
        for name in point.full_name:
            if isinstance(name, x509.UniformResourceIdentifier):
                url = name.value
                if url[:8].lower().startswith(("http://", "https://")) and len(url) < _LONGEST_URL:
                    urls.append(url)
    return tuple(dict.fromkeys(urls))[:_MOST_URLS]


def _combined(statuses: Sequence[RevocationStatus | None]) -> RevocationStatus | None:
    """One status for a chain: revoked counts most, then not yet known, then unknown."""
    first_unknown = None
    for status in statuses:
        if status is not None and status.outcome == REVOKED:
            return status
    for status in statuses:
        if status is None:
            return None
        if status.outcome == UNKNOWN and (first_unknown is None or first_unknown.allow):
            first_unknown = status
    return first_unknown or STATUS_GOOD


def _subject(certificate: x509.Certificate) -> str:
    return escape(clip(certificate.subject.rfc4514_string()))

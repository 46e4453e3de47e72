"""Revocation lists of distribution points: fetched once for all, refreshed, kept on disk."""

from __future__ import annotations

import hashlib
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from mqttd.config.schema.revocation import CrlCacheOptions
from mqttd.log.text import escape
from mqttd.outgoing.http import FetchError
from mqttd.revocation.backoff import Backoff
from mqttd.revocation.crl_kept import KeptList
from mqttd.revocation.crl_status import ListStatus, is_usable, status_of
from mqttd.revocation.disk_cache import DiskCache
from mqttd.revocation.revocation_list import (
    BadList,
    IssuerKey,
    RevocationList,
    has_new_entries,
    is_older,
    issuer_key,
    read_list,
)

_AT_ONCE: Final = 8
"""Fetches under way at one time, so that their bytes stay bounded."""
_FIRST_RETRY: Final = 5.0
_SOONEST: Final = 1.0
_LONGEST_TIMER: Final = 3600.0
"""Dates are looked at again at least this often: the wall clock may be set."""
_SPREAD: Final = 2.0
"""Seconds over which the fetches at start are spread."""


class Answer(Protocol):
    """What a fetch gives: see ``mqttd.outgoing.http.HTTPAnswer``."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def body(self) -> bytes:
        """The content."""


class Fetch(Protocol):
    """``HTTPClient.fetch``. Raises FetchError."""

    def __call__(self, url: str, *, timeout: float, max_size: int) -> Awaitable[Answer]:
        """GET the address."""


@attrs.frozen
class _Taken:
    """What a thread made of the bytes of a list."""

    current: RevocationList
    digest: bytes
    has_new: bool


class CrlCache:
    """The lists by address and issuer. All but the ``in_thread`` work is the reactor thread's.

    ``clock`` gives timers, ``now`` the wall clock; ``fetch`` gets the bytes. Addresses must come
    from certificates whose chain is verified: whoever may name them, makes us fetch. ``on_change``
    is called when a list revokes more than before, or can no longer be used.
    """

    _log = Logger()

    def __init__(
        self,
        options: CrlCacheOptions,
        fetch: Fetch,
        disk: DiskCache | None,
        *,
        clock: IReactorTime,
        now: Callable[[], float] = time.time,
        in_thread: Callable[..., Deferred[Any]] = deferToThread,
        chance: Callable[[], float] = random.random,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self._options = options
        self._fetch = fetch
        self._disk = disk
        self._clock = clock
        self._now = now
        self._in_thread = in_thread
        self._chance = chance
        self._on_change = on_change
        self._kept: OrderedDict[tuple[str, IssuerKey], KeptList] = OrderedDict()
        # reading lists is work for the interpreter: one thread of it leaves room for the reactor
        self._reading = DeferredLock()
        self._writing = DeferredLock()
        self._fetching = DeferredSemaphore(_AT_ONCE)
        self._starting: Deferred[None] | None = None
        self._stopped = False

    def known(self, url: str, issuer: x509.Certificate) -> RevocationList | BadList | None:
        """What is known at once: the list, or why there is none; None: :meth:`get` can tell."""
        key = (url, issuer_key(issuer))
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        if kept.current is not None and self._is_usable(kept):
            return kept.current
        # the first fetch is waited for; after a failure nobody waits for the next tries, which
        # would hang as the first did while another address could be asked
        if kept.busy is not None or self._clock.seconds() < kept.retry_at:
            return kept.problem
        return None

    async def get(self, url: str, issuer: x509.Certificate) -> RevocationList:
        """The list of an address, fetched if it must be. Raises BadList."""
        if self._starting is not None:
            await joined(self._starting)
        found = self.known(url, issuer)
        if found is None:
            kept = self._kept.get((url, issuer_key(issuer))) or self._add(url, issuer)
            await self._updated(kept)
            if kept.current is not None and self._is_usable(kept):
                return kept.current
            found = kept.problem or BadList("crl-unreachable", "the broker is stopping")
        if isinstance(found, BadList):
            raise found
        return found

    async def refresh(self, url: str | None = None) -> list[ListStatus]:
        """Fetch all lists anew, or those of one address; their status afterwards."""
        chosen = [kept for kept in self._kept.values() if url is None or kept.url == url]
        for waiting in [ensureDeferred(self._updated(kept)) for kept in chosen]:
            await waiting
        return [self._status(kept) for kept in chosen]

    def list(self) -> list[ListStatus]:
        """Every address known, the one used last at the end."""
        return [self._status(kept) for kept in self._kept.values()]

    def start(self) -> None:
        """Take up the lists kept on disk, and fetch them anew."""
        if self._disk is not None:
            self._starting = ensureDeferred(self._take_up(self._disk))

    def stop(self) -> None:
        """No more timers and fetches."""
        self._stopped = True
        for kept in list(self._kept.values()):
            self._end(kept)

    async def _take_up(self, disk: DiskCache) -> None:
        try:
            remembered = await self._writing.run(self._in_thread, disk.notes)
            for key, about in reversed(remembered):
                try:
                    issuer = x509.load_pem_x509_certificate(about["issuer"].encode())
                    found = (about["url"], issuer_key(issuer))
                except (ValueError, LookupError, TypeError):
                    continue
                # a note under another's key would be read, and written back, in its place
                if found not in self._kept and not self._stopped and key == _disk_key(*found):
                    self._begin(self._add(found[0], issuer), revive=True)
        except Exception:
            self._log.failure("The lists kept on disk could not be taken up.")
        finally:
            self._starting = None

    def _add(self, url: str, issuer: x509.Certificate) -> KeptList:
        backoff = Backoff(_FIRST_RETRY, max(_FIRST_RETRY, self._options.refresh_interval))
        backoff.chance = self._chance
        kept = KeptList(url, issuer, backoff)
        self._kept[url, issuer_key(issuer)] = kept
        while len(self._kept) > self._options.capacity:
            key, surplus = self._kept.popitem(last=False)
            self._end(surplus)
            if self._disk is not None:
                self._in_background(self._disk.remove, _disk_key(*key))
        return kept

    def _end(self, kept: KeptList) -> None:
        kept.dropped = True
        kept.end_timers()
        if self._stopped and kept.busy is not None:
            kept.busy.cancel()
        if kept.busy is None:
            kept.answer()

    async def _updated(self, kept: KeptList) -> None:
        """Wait for the fetch under way, or for a new one."""
        waiter: Deferred[None] = Deferred()
        kept.waiting.append(waiter)
        self._begin(kept)
        await waiter

    def _begin(self, kept: KeptList, *, revive: bool = False) -> None:
        if self._stopped:
            kept.answer()
            return
        if kept.busy is None:
            if kept.refresh is not None and kept.refresh.active():
                kept.refresh.cancel()
            # not yet running: what ends at once must find ``busy`` set
            kept.busy = Deferred()
            running = ensureDeferred(self._update(kept, revive=revive))
            if kept.busy is not None:
                kept.busy = running

    async def _update(self, kept: KeptList, *, revive: bool) -> None:
        """Take up the list from disk if asked to, then fetch it, and plan the next time."""
        retry: float | None = None
        try:
            if revive and self._disk is not None:
                await self._revived(kept, self._disk)
            await self._fetched(kept)
        except BadList as problem:
            retry = self._failed(kept, problem)
        except Exception:
            if not self._stopped:
                self._log.failure("Fetching a revocation list failed.")
            retry = self._failed(kept, BadList("crl-unreachable", "fetching it failed"))
        finally:
            kept.busy = None
            self._plan(kept, retry)
            kept.answer()

    async def _revived(self, kept: KeptList, disk: DiskCache) -> None:
        key = _disk_key(kept.url, issuer_key(kept.issuer))
        data = await self._writing.run(self._in_thread, disk.read, key)
        if data is None:
            return
        try:
            grace = self._options.failure_threshold
            taken = await self._read(kept, data, grace)
        except BadList as problem:
            self._log.warn(
                "The CRL of {url} kept on disk is not used: {text} ({cause}).",
                event="crl_on_disk_refused",
                url=escape(kept.url),
                text=problem.text,
                cause=problem.cause,
            )
            return
        kept.current, kept.digest = taken.current, taken.digest
        self._watch(kept)
        kept.answer()
        if taken.has_new:
            self._changed()
        # not all at once; who needs it meanwhile has the old one
        await _after(self._clock, _SPREAD * self._chance())

    async def _fetched(self, kept: KeptList) -> None:
        options = self._options
        try:
            answer: Answer = await self._fetching.run(
                _deferred, self._fetch, kept.url, options.http_timeout, options.max_size
            )
        except FetchError as problem:
            raise _bad(problem) from None
        if answer.status != 200:
            raise BadList("crl-unreachable", f"the server answers with status {answer.status}")
        old = kept.current
        taken = await self._read(kept, answer.body, 0.0)
        if old is not None and self._is_usable(kept) and is_older(taken.current, old):
            # an attacker on the way could replay a list from before a revocation
            raise BadList("crl-older", "the server gives a list older than the one there is")
        kept.said_fetched(taken.current, old)
        kept.current, kept.digest = taken.current, taken.digest
        kept.fetched, kept.problem, kept.problem_at = self._now(), None, None
        kept.backoff.succeeded()
        news = taken.current is not old and not kept.dropped and not self._stopped
        if self._disk is not None and news:
            pem = kept.issuer.public_bytes(Encoding.PEM).decode()
            key = _disk_key(kept.url, issuer_key(kept.issuer))
            about = {"url": kept.url, "issuer": pem}
            self._in_background(self._disk.save, key, answer.body, about)
        if taken.has_new:
            self._changed()

    async def _read(self, kept: KeptList, data: bytes, grace: float) -> _Taken:
        def read() -> _Taken:
            digest = hashlib.sha256(data).digest()
            if old is not None and digest == old_digest:
                old.check_dates(now, grace)
                return _Taken(old, digest, has_new=False)
            new = read_list(
                data, kept.issuer, now=now, max_size=self._options.max_size, grace=grace
            )
            if new.next_update is None:
                # RFC 5280 section 5.1.2.5; it could be replayed for ever
                raise BadList("crl-expired", "it names no nextUpdate")
            return _Taken(new, digest, has_new_entries(new, old))

        old, old_digest, now = kept.current, kept.digest, self._now()
        taken: _Taken = await self._reading.run(self._in_thread, read)
        return taken

    def _failed(self, kept: KeptList, problem: BadList) -> float:
        """Remember a failure; the seconds until the next try."""
        now, retry = self._now(), kept.backoff.failed()
        kept.problem = BadList(problem.cause, f"CRL {escape(kept.url)}: {problem.text}")
        kept.problem_at, kept.retry_at = now, self._clock.seconds() + retry
        if not self._stopped:
            kept.said_failed(problem, now, retry, self._options.failure_threshold)
        return retry

    def _plan(self, kept: KeptList, retry: float | None) -> None:
        if kept.dropped or self._stopped:
            return
        delay = self._options.refresh_interval if retry is None else retry
        current = kept.current
        if retry is None and current is not None and current.next_update is not None:
            delay = min(delay, max(_SOONEST, current.next_update - self._now()))
        kept.refresh = self._clock.callLater(delay, self._begin, kept)
        self._watch(kept)

    def _watch(self, kept: KeptList) -> None:
        """Notice the moment from which the list cannot be used any more."""
        if kept.expiry is not None and kept.expiry.active():
            kept.expiry.cancel()
        if kept.dropped or kept.current is None or kept.current.next_update is None:
            return
        left = kept.current.next_update + self._options.failure_threshold - self._now()
        if left < 0:
            return
        delay = min(left + 0.001, _LONGEST_TIMER)
        kept.expiry = self._clock.callLater(delay, self._passed, kept)

    def _passed(self, kept: KeptList) -> None:
        if self._is_usable(kept):
            self._watch(kept)
        else:
            kept.said_expired()
            self._changed()

    def _is_usable(self, kept: KeptList) -> bool:
        return is_usable(kept.current, self._now(), self._options.failure_threshold)

    def _status(self, kept: KeptList) -> ListStatus:
        return status_of(
            kept.url,
            kept.current,
            now=self._now(),
            grace=self._options.failure_threshold,
            issuer=escape(kept.issuer.subject.rfc4514_string()),
            fetched=kept.fetched,
            problem=kept.problem,
            problem_at=kept.problem_at,
            waiting=len(kept.waiting),
        )

    def _changed(self) -> None:
        try:
            self._on_change()
        except Exception:
            self._log.failure("Who waits for changes of revocation lists failed.")

    def _in_background(self, work: Callable[..., object], *arguments: object) -> None:
        done = self._writing.run(self._in_thread, work, *arguments)
        done.addErrback(lambda failure: self._log.failure("Keeping lists failed.", failure))


def _disk_key(url: str, key: IssuerKey) -> str:
    return f"{key.key.hex()} {hashlib.sha256(key.name).hexdigest()} {url}"


def _bad(problem: FetchError) -> BadList:
    cause = {"timeout": "crl-timeout", "too-large": "crl-too-large"}.get(problem.cause)
    return BadList(cause or "crl-unreachable", problem.text)


def _deferred(fetch: Fetch, url: str, timeout: float, max_size: int) -> Deferred[Answer]:
    async def run() -> Answer:
        return await fetch(url, timeout=timeout, max_size=max_size)

    running: Coroutine[Any, Any, Answer] = run()
    return ensureDeferred(running)


def joined(other: Deferred[None]) -> Deferred[None]:
    """Fires when the other one does, which goes on when this one is cancelled."""
    joined: Deferred[None] = Deferred()

    def fired(result: Any) -> Any:
        joined.callback(None)
        return result

    other.addBoth(fired)
    return joined


def _after(clock: IReactorTime, seconds: float) -> Deferred[None]:
    call_off: list[Any] = []
    waiting: Deferred[None] = Deferred(lambda _: call_off[0].cancel())
    call_off.append(clock.callLater(seconds, waiting.callback, None))
    return waiting

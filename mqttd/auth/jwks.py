"""The keys an address gives (JWKS): fetched in the background, kept over outages, bounded."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mqttd.auth.jwt_keys import KeySet, UnusableKey, jwks_keys
from mqttd.outgoing.http import FetchError, HTTPClient

LARGEST: Final = 256 << 10
"""Bytes of a key set."""
_BETWEEN: Final = 10.0
"""Seconds between two fetches that clients with unknown keys bring about."""
_FIRST_RETRY: Final = 1.0
"""Seconds to the next fetch after one failed; doubled with each, up to the next limit."""
_LAST_RETRY: Final = 60.0
_MOST_WAITING: Final = 5_000
"""Clients that wait for a fetch; others are told at once. The chain holds twice as many."""
_QUIET: Final = 60.0
"""Seconds between two lines about one cause."""


class KeysUnavailable(Exception):  # noqa: N818 - names what happened
    """There are no keys to check tokens with. ``safe_text`` says why and holds no secret."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.safe_text = text


@attrs.frozen(kw_only=True)
class Schedule:
    """When keys are fetched and how long they count, in seconds."""

    interval: float = 300.0
    timeout: float = 5.0
    max_age: float = 86400.0


class RemoteKeys:
    """The key set of one address.

    One fetch runs at a time and everybody who waits, waits for that one. An outage leaves the
    last good keys in use until ``max_age`` is over.
    """

    _log = Logger(namespace="mqttd.auth.jwt_authenticator")

    def __init__(
        self,
        url: str,
        client: HTTPClient,
        reactor: Any,
        schedule: Schedule,
        *,
        headers: Mapping[str, str] | None = None,
        choose: Callable[[KeySet], KeySet] = lambda keys: keys,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._url = url
        self._client = client
        self._reactor = reactor
        self._schedule = schedule
        self._headers = tuple((headers or {}).items())
        self._choose = choose
        self._jitter = jitter
        self._keys = KeySet()
        self._fetched: float | None = None
        self._begun = float("-inf")
        """When the latest fetch began."""
        self._failures = 0
        self._problem = "no keys were fetched yet"
        self._fetch: Deferred[None] | None = None
        self._waiting: set[Deferred[None]] = set()
        self._timer: Any = None
        self._running = False
        self._told: dict[str, float] = {}
        self._left_out: tuple[str, ...] = ()

    @property
    def keys(self) -> KeySet:
        """The keys that count now. Raises KeysUnavailable."""
        if self._fetched is None:
            raise KeysUnavailable(self._problem)
        if self._reactor.seconds() - self._fetched > self._schedule.max_age:
            raise KeysUnavailable(f"the keys are too old; {self._problem}")
        return self._keys

    def start(self) -> None:
        """Fetch, and go on doing so; the reactor runs."""
        if not self._running:
            self._running = True
            self._begin()

    def stop(self) -> Deferred[None]:
        """No more fetches; whoever waits is told that nothing came."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fetch is not None:
            self._fetch.cancel()
        return self._client.close()

    def refreshed(self) -> Deferred[None] | None:
        """Fires when the fetch that runs has ended, well or not; begins one when it may.

        None where the last one is so recent that another could bring nothing: tokens with
        invented keys must not make us flood the address.
        """
        if self._fetch is None:
            if not self._running or self._reactor.seconds() - self._begun < _BETWEEN:
                return None
            self._begin()
        if self._fetch is None or len(self._waiting) >= _MOST_WAITING:
            return None  # it ended at once, or many wait already
        waiting: Deferred[None] = Deferred(self._waiting.discard)
        self._waiting.add(waiting)
        return waiting

    def _begin(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._begun = self._reactor.seconds()
        fetch = Deferred.fromCoroutine(self._once())
        if not fetch.called:
            self._fetch = fetch
        fetch.addErrback(self._broke)
        fetch.addCallback(self._ended)

    async def _once(self) -> None:
        try:
            answer = await self._client.fetch(
                self._url,
                headers=self._headers,
                timeout=self._schedule.timeout,
                max_size=LARGEST,
            )
        except FetchError as problem:
            self._failed(problem.cause, problem.text)
            return
        if answer.status != 200:
            self._failed("bad-status", f"the answer has status {answer.status}")
            return
        try:
            keys = self._choose(jwks_keys(answer.body))
        except UnusableKey as problem:
            self._failed("bad-content", f"the answer {problem}")
            return
        self._take(keys)

    def _take(self, keys: KeySet) -> None:
        if self._failures and self._fetched is not None:
            self._log.info("the keys of tokens are fetched again", event="jwks_recovered")
        elif self._fetched is None:
            self._log.info(
                "fetched {count} keys of tokens", event="jwks_fetched", count=len(keys.keys)
            )
        if keys.left_out and keys.left_out != self._left_out:
            self._log.warn(
                "keys of tokens are left out: {why}",
                event="jwks_left_out",
                why="; ".join(keys.left_out[:5]),
            )
        if not keys.keys and (self._keys.keys or self._fetched is None):
            self._log.error(
                "the address gives no usable key: every token is refused", event="jwks_empty"
            )
        self._left_out = keys.left_out
        self._keys = keys
        self._fetched = self._reactor.seconds()
        self._failures = 0
        self._problem = ""
        self._told.clear()

    def _failed(self, cause: str, text: str) -> None:
        self._failures += 1
        self._problem = text
        now = self._reactor.seconds()
        if now - self._told.get(cause, float("-inf")) < _QUIET:
            return
        self._told[cause] = now
        age = None if self._fetched is None else now - self._fetched
        if age is None:
            then = "no token can be checked"
        elif age > self._schedule.max_age:
            then = "those there are count no longer: no token can be checked"
        else:
            then = f"those of {age:.0f} s ago stay in use"
        self._log.warn(
            "the keys of tokens cannot be fetched: {problem}; {then}",
            event="jwks_failed",
            cause=cause,
            problem=text,
            then=then,
        )

    def _broke(self, failure: Any) -> None:
        """Stopped, or something nobody thought of."""
        if self._running:
            self._log.failure("fetching the keys of tokens broke", failure)
            self._failed("broken", "fetching them broke")

    def _ended(self, _: object) -> None:
        self._fetch = None
        if self._running:
            self._timer = self._reactor.callLater(self._pause(), self._begin)
        waiting, self._waiting = self._waiting, set()
        for each in tuple(waiting):  # one that is told may have another give up
            if not each.called:  # given up meanwhile
                each.callback(None)

    def _pause(self) -> float:
        """Seconds to the next fetch: many brokers must not ask at the same moment."""
        interval = self._schedule.interval
        if self._failures:
            longest = min(interval, _LAST_RETRY)
            wait = min(longest, _FIRST_RETRY * 2.0 ** min(self._failures - 1, 10))
            return wait * self._jitter(0.5, 1.0)
        return interval * self._jitter(0.9, 1.0)

"""Looks at live sessions when rules change: subscriptions no longer allowed are dropped."""

from __future__ import annotations

from collections import deque
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mqttd.broker.broker import Broker
from mqttd.broker.connection import Connection
from mqttd.broker.review import Review
from mqttd.broker.state import State

BUDGET: Final = 0.005
"""Seconds of a turn after which the rest waits for the next."""
SLICE: Final = 200
"""Subscriptions judged in one turn of the reactor, at most."""
PIECE: Final = 20
"""Subscriptions of one client judged before the time is looked at."""
MOST_ASKED: Final = 50
"""Clients about whom answers are awaited at a time."""
RETRY: Final = 15.0
"""Seconds until clients are looked at again about whom no answer could be had."""


class Reviews:
    """Goes through the clients in slices, so that nobody feels it.

    What nobody can decide about is neither dropped nor forgotten: it is asked again later. A
    server that is down must not end the subscriptions of a whole fleet.
    """

    _log = Logger()

    def __init__(self, broker: Broker, clock: IReactorTime) -> None:
        self._broker = broker
        self._clock = clock
        self._queue: deque[Connection] = deque()
        self._ready: deque[tuple[Connection, Review]] = deque()
        self._asked = 0
        self._everybody = False
        self._undecided: set[Connection] = set()
        self._call: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        self._stopped = False

    @property
    def busy(self) -> bool:
        """Whether clients are being looked at."""
        return self._call is not None or self._asked > 0

    def everybody(self) -> None:
        """Look at every live session. Returns at once."""
        self._everybody = True
        self._go_on()

    def one(self, connection: Connection) -> None:
        """Look at one client. Returns at once."""
        self._queue.append(connection)
        self._go_on()

    def stop(self) -> None:
        """Look at nobody any more."""
        self._stopped = True
        for call in (self._call, self._retry):
            if call is not None and call.active():
                call.cancel()
        self._call = self._retry = None
        self._queue.clear()
        self._ready.clear()
        self._undecided.clear()

    def _go_on(self) -> None:
        if self._call is None and not self._stopped:
            self._call = self._clock.callLater(0, self._slice)

    def _slice(self) -> None:
        """One turn's work."""
        self._call = None
        self._broker.answered()
        until = self._clock.seconds() + BUDGET
        left = SLICE
        while left > 0 and self._clock.seconds() < until:
            try:
                used = self._next(min(left, PIECE))
            except Exception:
                self._log.failure("looking at a session failed; this is a bug in mqttd")
                used = 1
            if not used:
                break
            left -= used
        if self._ready or self._everybody or (self._queue and self._asked < MOST_ASKED):
            self._go_on()

    def _next(self, most: int) -> int:
        """One piece of work; returns how much it was, 0 when there is none for now."""
        if self._ready:
            connection, review = self._ready.popleft()
        elif self._queue and self._asked < MOST_ASKED:
            connection = self._queue.popleft()
            session = connection.session
            if session is None or connection.permissions is None:
                return 1
            if connection.state is not State.CONNECTED:
                return 1  # it is looked at before it comes in
            review = Review(connection, session, lambda: self._answered(connection, review))
        elif self._everybody and not self._queue and not self._asked:
            # A round is always ended before the next: changes that come in rows starve nobody.
            self._everybody = False
            self._queue.extend(self._broker.connections)
            return 1
        else:
            return 0
        used = review.advance(most)
        if used is None:
            self._asked += 1
        elif review.finished:
            self._end(connection, review)
        else:
            self._ready.append((connection, review))
        return (used or 0) + 1

    def _answered(self, connection: Connection, review: Review) -> None:
        self._asked -= 1
        self._ready.append((connection, review))
        self._go_on()

    def _end(self, connection: Connection, review: Review) -> None:
        review.enforce()
        if not review.undecided:
            return
        self._undecided.add(connection)
        if self._retry is None and not self._stopped:
            self._log.warn(
                "no answer about what clients subscribed to; they are looked at again in "
                "{seconds:.0f} s",
                event="review_undecided",
                seconds=RETRY,
            )
            self._retry = self._clock.callLater(RETRY, self._again)

    def _again(self) -> None:
        self._retry = None
        undecided, self._undecided = self._undecided, set()
        self._queue.extend(each for each in undecided if each.session is not None)
        self._go_on()

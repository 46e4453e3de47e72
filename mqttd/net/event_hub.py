"""Hands events to those who want them, without ever making a client wait."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mqttd.events import Event, MessageDelivered, MessagePublished
from mqttd.interfaces import IEventSink
from mqttd.log.failures import Quiet, what_failed
from mqttd.plugins import later

MOST_WAITING: Final = 10_000
"""Events that wait for one sink; more are dropped and counted."""
MOST_BYTES: Final = 64 << 20
"""Bytes of payloads that wait for one sink; it is told of no further message until some went."""
TIME_LIMIT: Final = 10.0
"""Seconds a sink has for one event."""
_SLICE: Final = 200
"""Events handed to one sink in one turn of the reactor, at most."""
_BUDGET: Final = 0.005
"""Seconds of a turn after which the rest waits for the next."""

Emit = Callable[[Event], object]


@attrs.frozen(eq=False)
class SinkLink:
    """One sink, what the configuration calls it, and the names of the events it is told of."""

    name: str
    sink: IEventSink
    events: frozenset[str]


class EventHub:
    """Where everything that happens is told. ``wanted`` holds the names of the events that
    anybody wants: others need not be made at all."""

    def __init__(self, clock: IReactorTime, *, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.wanted: frozenset[str] = frozenset()
        self._clock = clock
        self._queues: list[SinkQueue] = []
        self._direct: list[tuple[frozenset[str], Emit]] = []
        self._changed: list[Callable[[], object]] = []

    def on_change(self, changed: Callable[[], object]) -> None:
        """Remember a function to call when ``wanted`` is another."""
        self._changed.append(changed)

    def use(self, sinks: Sequence[SinkLink]) -> None:
        """Tell these from now on. What waits for a sink that stays is still handed to it; for one
        that goes it is dropped."""
        former = {id(queue.link.sink): queue for queue in self._queues}
        queues = []
        for link in sinks:
            queue = former.pop(id(link.sink), None)
            if queue is None:
                queue = SinkQueue(link, self._clock)
            queue.link = link
            queues.append(queue)
        for queue in former.values():
            queue.end()
        self._queues = queues
        self._note_wanted()

    def add(self, events: frozenset[str], emit: Emit) -> None:
        """Call ``emit``, which must be quick and must not raise, with each of these events."""
        self._direct.append((events, emit))
        self._note_wanted()

    def emit(self, event: Event) -> None:
        """Something happened. Never raises."""
        for events, emit in self._direct:
            if event.name in events:
                emit(event)
        for queue in self._queues:
            if event.name in queue.link.events:
                queue.put(event)

    def flushed(self, seconds: float) -> Deferred[None]:
        """Fires when every sink has had its events, or after ``seconds``."""
        waiting = DeferredList([queue.empty() for queue in self._queues], consumeErrors=True)
        return waiting.addTimeout(seconds, self._clock).addBoth(lambda _: None)

    def _note_wanted(self) -> None:
        kinds = [events for events, _ in self._direct]
        kinds += [queue.link.events for queue in self._queues]
        self.wanted = frozenset().union(*kinds)
        for changed in self._changed:
            changed()


class SinkQueue:
    """What waits for one sink. One event is with it at a time."""

    _log = Logger()

    def __init__(self, link: SinkLink, clock: IReactorTime) -> None:
        self.link = link
        self.dropped = 0
        self._bytes = 0
        self._clock = clock
        self._events: deque[Event] = deque()
        self._call: IDelayedCall | None = None
        self._busy: Deferred[Any] | None = None
        self._quiet = Quiet(clock.seconds)
        self._idle: list[Deferred[None]] = []

    def put(self, event: Event) -> None:
        """One more event; dropped when too many wait."""
        size = _size(event)
        if len(self._events) >= MOST_WAITING or (size and self._bytes + size > MOST_BYTES):
            self.dropped += 1
            self._tell("is too slow", f"{self.dropped} events were dropped by now")
            return
        self._events.append(event)
        self._bytes += size
        self._soon()

    def empty(self) -> Deferred[None]:
        """Fires when nothing waits any more."""
        if not self._events and self._busy is None:
            return succeed(None)
        self._idle.append(Deferred())
        return self._idle[-1]

    def end(self) -> None:
        """Hand over nothing more."""
        self._events.clear()
        self._bytes = 0
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._note_idle()

    def _soon(self) -> None:
        if self._call is None and self._busy is None:
            self._call = self._clock.callLater(0, self._drain)

    def _drain(self) -> None:
        self._call = None
        until = self._clock.seconds() + _BUDGET
        for _ in range(_SLICE):
            if not self._events:
                break
            event = self._events.popleft()
            self._bytes -= _size(event)
            if not self._hand_over(event):
                break
            if self._clock.seconds() >= until:
                break
        if self._events:
            self._soon()
        else:
            self._note_idle()

    def _hand_over(self, event: Event) -> bool:
        """Whether the sink is done with it already."""
        try:
            answer: Any = self.link.sink.handle(event)
            waiting = later(answer)
            if waiting is None:
                return True
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # asyncio's CancelledError is no Exception
            self._failed(error)
            return True
        if waiting.called and not waiting.paused:
            waiting.addErrback(self._broke)
            return True
        self._busy = waiting
        waiting.addTimeout(TIME_LIMIT, self._clock)
        waiting.addErrback(self._broke)
        waiting.addBoth(self._done)
        return False

    def _done(self, _: object) -> None:
        self._busy = None
        if self._events:
            self._soon()
        else:
            self._note_idle()

    def _broke(self, failure: Any) -> None:
        self._failed(failure.value)

    def _failed(self, error: BaseException) -> None:
        # The text of an error may quote what an event holds: only its kind is told.
        self._tell("failed", what_failed(error))

    def _tell(self, what: str, more: str) -> None:
        if not self._quiet.count(what):
            return
        self._log.error(
            "the event sink {name} {what}: {more}",
            event="event_sink_failed",
            name=self.link.name,
            what=what,
            more=more,
        )

    def _note_idle(self) -> None:
        if self._busy is None:
            idle, self._idle = self._idle, []
            for each in idle:
                if not each.called:
                    each.callback(None)


def _size(event: Event) -> int:
    return len(event.payload) if isinstance(event, MessagePublished | MessageDelivered) else 0

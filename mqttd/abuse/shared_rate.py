"""One rate for all connections of a listener: whoever must wait stands in a queue, and gets on in
its turn."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from mqttd.abuse.rates import Bucket


class Waiting(Protocol):
    """A connection in the queue."""

    last_bytes: int
    """Bytes it brought the last time it was read."""
    paid_messages: int
    """Messages it may bring before it has to ask again: taken from the bucket ahead."""
    paid_bytes: int
    """The same for bytes."""


TURN_MESSAGES = 16
"""Messages one connection may bring in its turn, while others wait."""


class SharedRate:
    """Buckets of messages and bytes that connections take from; None: no limit.

    Times are seconds of a clock that does not go back. Nobody is called from here: the owner asks
    :meth:`next` whom to let on, until there is nobody, and comes back after :meth:`delay`.
    """

    def __init__(self, messages: Bucket | None, bytes_: Bucket | None) -> None:
        self._messages = messages
        self._bytes = bytes_
        self._queue: deque[Waiting] = deque()
        self.counts_messages = messages is not None

    def __len__(self) -> int:
        return len(self._queue)

    def message(self, meter: Waiting, now: float) -> bool:
        """A message came: charged. Says whether the next may follow at once."""
        if meter.paid_messages > 0:
            meter.paid_messages -= 1
            if meter.paid_messages > 0:
                return True
            if self._messages is None or self._messages.wait(now) == 0.0:
                return not self._queue
            return False
        more = self._messages is None or self._messages.charge(now)
        return more and not self._queue

    def received(self, meter: Waiting, now: float, size: int) -> bool:
        """Bytes came: charged. Says whether reading may go on at once."""
        meter.last_bytes = size
        if self._bytes is None:
            return True
        due = size - meter.paid_bytes
        meter.paid_bytes = 0
        more = self._bytes.charge(now, due)
        return more and not self._queue

    def join(self, meter: Waiting) -> None:
        """Wait at the end of the queue."""
        self._queue.append(meter)

    def leave(self, meter: Waiting) -> None:
        """A connection is gone: what it paid ahead and did not use goes back."""
        if meter.paid_messages and self._messages is not None:
            self._messages.refund(meter.paid_messages)
        if meter.paid_bytes and self._bytes is not None:
            self._bytes.refund(meter.paid_bytes)
        meter.paid_messages = meter.paid_bytes = 0
        if meter in self._queue:
            self._queue.remove(meter)

    def next(self, now: float) -> Waiting | None:
        """The first in the queue, if there is something for it; its turn is paid ahead."""
        if not self._queue or self.delay(now) > 0.0:
            return None
        meter = self._queue.popleft()
        if self._messages is not None:
            turn = max(1, min(TURN_MESSAGES, int(self._messages.available(now))))
            self._messages.charge(now, turn - meter.paid_messages)
            meter.paid_messages = turn
        if self._bytes is not None:
            amount = max(1, meter.last_bytes)
            self._bytes.charge(now, amount - meter.paid_bytes)
            meter.paid_bytes = amount
        return meter

    def delay(self, now: float) -> float:
        """Seconds until the first in the queue gets on."""
        messages = 0.0 if self._messages is None else self._messages.wait(now)
        return messages if self._bytes is None else max(messages, self._bytes.wait(now))

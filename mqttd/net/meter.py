"""Message and byte rates of clients: reading stops until the rate allows more; nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from typing_extensions import override

from mqttd.abuse.rates import Bucket
from mqttd.abuse.shared_rate import SharedRate
from mqttd.config.schema.listeners import ListenerOptions
from mqttd.packets.framing import Framer
from mqttd.packets.types import PacketType

if TYPE_CHECKING:
    from mqttd.net.connection import NetworkConnection

_PUBLISH: Final = PacketType.PUBLISH
_SMALLEST_READ: Final = 1024
_LARGEST_READ: Final = 65_536
_SLICE: Final = 0.02
"""Seconds whose worth of messages is waited for at least: a client that sends faster than its
rate is let on fifty times a second, not for each message."""


class ListenerRates:
    """The rates of one listener: those of each of its clients, and that of all together."""

    def __init__(self, options: ListenerOptions, clock: IReactorTime) -> None:
        self.clock = clock
        self._options = options
        messages, bytes_ = options.listener_messages_rate, options.listener_bytes_rate
        self.shared: SharedRate | None = None
        if messages is not None or bytes_ is not None:
            self.shared = SharedRate(
                None if messages is None else Bucket(messages, options.listener_messages_burst),
                None if bytes_ is None else Bucket(bytes_, options.listener_bytes_burst),
            )
        self._call: IDelayedCall | None = None

    def meter(self, connection: NetworkConnection) -> Meter | None:
        """The meter of a new client, None where nothing is limited."""
        options = self._options
        messages, bytes_ = options.messages_rate, options.bytes_rate
        if messages is None and bytes_ is None and self.shared is None:
            return None
        return Meter(
            connection,
            self,
            None if messages is None else Bucket(messages, options.messages_burst),
            None if bytes_ is None else Bucket(bytes_, options.bytes_burst),
            smallest_rate=min(
                (rate.count for rate in (bytes_, options.listener_bytes_rate) if rate is not None),
                default=None,
            ),
        )

    def wait(self, meter: Meter) -> None:
        """Stand in the queue of the listener."""
        assert self.shared is not None
        self.shared.join(meter)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._call is None and self.shared is not None and len(self.shared):
            delay = self.shared.delay(self.clock.seconds())
            self._call = self.clock.callLater(delay, self._serve)

    def _serve(self) -> None:
        self._call = None
        shared = self.shared
        assert shared is not None
        # Whoever gets on may come to wait again at once: each at most one turn, then others' work.
        for _ in range(len(shared)):
            meter = shared.next(self.clock.seconds())
            if meter is None:
                break
            assert isinstance(meter, Meter)
            meter.turn()
        self._set_timer()


class Meter:
    """What one client brings; ``stopped`` while it must wait.

    Messages are counted as they are taken out of what was read: one above the rate stays there,
    with all behind it. Bytes are counted as they are read, and reading stops until they are paid
    for. Either way a client is paused and what it sent is handled later, in order.
    """

    def __init__(
        self,
        connection: NetworkConnection,
        rates: ListenerRates,
        messages: Bucket | None,
        bytes_: Bucket | None,
        *,
        smallest_rate: float | None,
    ) -> None:
        self._connection = connection
        self._rates = rates
        self._messages = messages
        self._bytes = bytes_
        self._shared = rates.shared
        self._call: IDelayedCall | None = None
        self._queued = False
        self._open = False
        self.stopped = False
        self.counts_messages = messages is not None or (
            rates.shared is not None and rates.shared.counts_messages
        )
        self.last_bytes = 0
        self.paid_messages = 0
        self.paid_bytes = 0
        self.read_size = _LARGEST_READ
        """Bytes to be read at a time: reading more than is due makes the pauses longer."""
        if smallest_rate is not None:
            self.read_size = min(_LARGEST_READ, max(_SMALLEST_READ, int(smallest_rate / 4)))

    def message(self) -> None:
        """A PUBLISH was taken out of what was read."""
        if self._open:
            return
        now = self._rates.clock.seconds()
        if self._messages is not None and not self._messages.charge(now):
            self.stopped = True
        if self._shared is not None and not self._shared.message(self, now):
            self.stopped = True
        if self.stopped:
            self._stop(now)

    def received(self, size: int) -> None:
        """``size`` bytes were read, and handled as far as the rate of messages allows."""
        if self._open:
            return
        now = self._rates.clock.seconds()
        if self._bytes is not None and not self._bytes.charge(now, size):
            self.stopped = True
        if self._shared is not None and not self._shared.received(self, now, size):
            self.stopped = True
        if self.stopped:
            self._stop(now)

    def turn(self) -> None:
        """The listener's queue lets this client on."""
        self._queued = False
        self._go_on()

    def end(self) -> None:
        """The connection ends, or is metered otherwise: nothing is held back any more."""
        self._open = True
        self.stopped = False
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._shared is not None:
            self._shared.leave(self)
        self._queued = False

    def _stop(self, now: float) -> None:
        if self._call is not None or self._queued:
            return
        wait = self._own_wait(now)
        if wait > 0.0 or self._shared is None:
            self._call = self._rates.clock.callLater(wait, self._paid)
        else:
            self._queued = True
            self._rates.wait(self)
        self._connection.reading.throttle()

    def _own_wait(self, now: float) -> float:
        wait = 0.0
        if self._messages is not None:
            amount = min(self._messages.capacity, self._messages.per_second * _SLICE)
            wait = self._messages.wait(now, max(1.0, amount))
        if self._bytes is not None:
            wait = max(wait, self._bytes.wait(now))
        return wait

    def _paid(self) -> None:
        """The client's own rates allow more, if nothing came meanwhile; then the listener's are
        asked."""
        self._call = None
        now = self._rates.clock.seconds()
        wait = self._own_wait(now)
        shared = self._shared
        if wait > 0.0:
            self._call = self._rates.clock.callLater(wait, self._paid)
        elif shared is not None and (len(shared) or shared.delay(now) > 0.0):
            self._queued = True
            self._rates.wait(self)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self.stopped = False
        self._connection.reading.go_on()


class MeteredFramer(Framer):
    """Gives no packet while its meter says stop."""

    __slots__ = ("_meter",)

    def __init__(self, max_packet_size: int, meter: Meter) -> None:
        super().__init__(max_packet_size)
        self._meter = meter

    @override
    def next_frame(self) -> tuple[int, bytes] | None:
        meter = self._meter
        if meter.stopped:
            return None
        frame = super().next_frame()
        if frame is not None and frame[0] >> 4 == _PUBLISH:
            meter.message()
        return frame


def framer_for(meter: Meter | None, former: Framer) -> Framer:
    """The framer that counts for a meter; what ``former`` keeps goes over into it."""
    largest = former.max_packet_size
    framer = Framer(largest)
    if meter is not None and meter.counts_messages:
        framer = MeteredFramer(largest, meter)
    rest = former.rest()
    if rest:
        framer.feed(rest)
    return framer

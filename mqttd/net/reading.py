"""Whether a connection is read: the broker, a peer that takes nothing, and rates may say no."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mqttd.net.meter import Meter, framer_for

if TYPE_CHECKING:
    from mqttd.net.connection import NetworkConnection


class Reading:
    """Reads from a connection's socket unless somebody objects.

    ``crowded``: the peer does not take its answers. ``throttled``: it has brought what its rate
    allows. ``meter`` counts what it brings, None where no rate is set.
    """

    __slots__ = ("_connection", "_held", "_left", "crowded", "meter", "throttled")

    def __init__(self, connection: NetworkConnection) -> None:
        self._connection = connection
        self._held = False
        self._left = math.inf
        self.crowded = False
        self.throttled = False
        self.meter: Meter | None = None

    def hold(self) -> None:
        """The broker awaits an answer."""
        self._held = True
        self._connection.transport.pauseProducing()

    def release(self) -> None:
        """The answer is there."""
        self._held = False
        self._read()

    def crowd(self) -> None:
        """Too much waits for the peer."""
        self.crowded = True
        self._connection.transport.pauseProducing()

    def disperse(self) -> None:
        """The peer has taken it."""
        if self.crowded:
            self.crowded = False
            self._read()

    # --- rates -------------------------------------------------------------------------------

    def measure(self, meter: Meter | None) -> None:
        """From now on what the client brings is metered so; None: not at all."""
        connection = self._connection
        mqtt = connection.mqtt
        assert mqtt is not None
        former, self.meter = self.meter, meter
        if former is None and meter is None:
            return
        if former is not None:
            former.end()
        mqtt.framer = framer_for(meter, mqtt.framer)
        if meter is not None:
            transport = connection.transport
            transport.bufferSize = min(transport.bufferSize, meter.read_size)
        self.go_on()

    def brought(self, size: int) -> None:
        """Bytes of MQTT came inside something else, and were handled."""
        if self.meter is not None:
            self.meter.received(size)

    def throttle(self) -> None:
        """The client has brought what its rate allows: it is not read until :meth:`go_on`."""
        connection = self._connection
        if self.throttled or connection.closing:
            return
        self.throttled = True
        connection.factory.throttled += 1
        connection.transport.pauseProducing()
        # Its silence is our doing.
        self._left, connection.deadline = connection.deadline - connection.factory.now(), math.inf
        mqtt = connection.mqtt
        if mqtt is not None and mqtt.session is not None:
            mqtt.deadline = math.inf

    def go_on(self) -> None:
        """The rate allows more: handle what was read, then read again."""
        if not self.throttled:
            return
        self.throttled = False
        connection = self._connection
        if connection.closing:
            return
        connection.deadline = connection.factory.now() + self._left
        self._proceed()
        self._read()

    def finish(self) -> None:
        """The client says goodbye: what it sent before is handled, whatever its rate."""
        if self.meter is not None:
            self.meter.end()
            self.go_on()

    def drain(self) -> None:
        """The same where the connection is gone, and nothing can be read or written."""
        if self.meter is not None:
            self.meter.end()
            if self.throttled:
                self.throttled = False
                self._proceed()

    def _proceed(self) -> None:
        """What was read and held back is handled."""
        connection = self._connection
        now = connection.factory.turn.touch()
        mqtt = connection.mqtt
        assert mqtt is not None
        try:
            mqtt.broker.now = now
            if mqtt.session is not None:
                mqtt.deadline = now + mqtt.allowance
            mqtt.proceed()
        except Exception:
            connection.fail()

    def _read(self) -> None:
        objects = self._held or self.crowded or self.throttled
        if not (objects or self._connection.closing):
            self._connection.transport.resumeProducing()

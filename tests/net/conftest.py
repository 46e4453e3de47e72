"""A broker behind listeners whose sockets, reactor and clock are in memory."""

# ruff: noqa: N802 - Twisted's names

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python.failure import Failure

from mqttd.broker.broker import Broker
from mqttd.broker.limits import Limits
from mqttd.config.schema.listeners import ListenerOptions
from mqttd.config.types import Bind
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions
from mqttd.net.events import LoggedEvents
from mqttd.net.factory import ListenerFactory
from mqttd.net.sweeper import Sweeper
from mqttd.net.turn import Turn
from mqttd.packets.connect import Connect
from mqttd.packets.encode import encode
from mqttd.testing import AdmitAll


class Wire(StringTransport):
    """A socket in memory that can be half closed, aborted and slow."""

    def __init__(self, host: str, port: int) -> None:
        address = IPv6Address if ":" in host else IPv4Address
        super().__init__(
            hostAddress=address("TCP", "127.0.0.1", 1883),
            peerAddress=address("TCP", host, port),
        )
        self.write_closed = False
        self.aborted = False
        self.nodelay: bool | None = None
        self.dataBuffer = b""
        self.offset = 0
        self.bufferSize = 65536
        self._tempDataLen = 0

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.nodelay = enabled

    def getHandle(self) -> None:
        return None

    def loseWriteConnection(self) -> None:
        self.write_closed = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True

    @property
    def paused(self) -> bool:
        return bool(self.producerState == "paused")

    def take(self) -> bytes:
        """What was written since the last call."""
        data: bytes = self.value()
        self.clear()
        return data


class Peer:
    """The far end of one accepted connection."""

    def __init__(self, world: World, protocol: Any, wire: Wire) -> None:
        self.world = world
        self.protocol = protocol
        self.wire = wire

    def send(self, data: bytes) -> bytes:
        """Send, let the turn end, and return what came back."""
        if not self.wire.disconnecting:
            self.protocol.dataReceived(data)
        self.world.turn()
        return self.wire.take()

    def connect(self, client_id: str = "c", level: int = 5, **fields: Any) -> bytes:
        return self.send(encode(Connect(client_id, level, **fields), level))

    def lose(self, reason: Exception | None = None) -> None:
        """The socket is gone."""
        default = ConnectionAborted() if self.wire.aborted else ConnectionDone()
        self.wire.disconnecting = True
        self.protocol.connectionLost(Failure(reason or default))
        self.world.turn()


class World:
    """A broker, a reactor that stands still, and listeners to connect to."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.rightNow = 1000.0
        self.limits = Limits(idle_timeout=15.0)
        self.engine = MemoryEngine(EngineOptions())
        self.broker = Broker(self.engine, self.limits, AdmitAll(), events=LoggedEvents())
        self.turns = Turn(self.reactor, self.broker)
        self.factories: list[ListenerFactory] = []
        self.log: list[Any] = []
        self._sweeper: Sweeper | None = None

    def listener(self, tls: Any = None, **options: Any) -> ListenerFactory:
        """A listener of ``type`` with these options; ``tls`` is its ServerContext."""
        options.setdefault("bind", Bind("127.0.0.1", 0))
        factory = ListenerFactory(
            ListenerOptions(**options), self.broker, self.limits, self.turns, self.reactor, tls
        )
        self.factories.append(factory)
        return factory

    def accept(
        self, factory: ListenerFactory, host: str = "192.0.2.7", port: int = 4711
    ) -> Peer | None:
        """A peer connects; None when it was turned away."""
        wire = Wire(host, port)
        protocol = factory.buildProtocol(wire.getPeer())
        if protocol is None:
            return None
        protocol.makeConnection(wire)
        return Peer(self, protocol, wire)

    def peer(self, factory: ListenerFactory, host: str = "192.0.2.7", port: int = 4711) -> Peer:
        """A peer connects and is let in."""
        peer = self.accept(factory, host, port)
        assert peer is not None
        return peer

    def turn(self) -> None:
        """End the turn."""
        self.reactor.advance(0)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with a sweep every second as in production."""
        if self._sweeper is None:
            self._sweeper = Sweeper(self.reactor, self.broker, self.factories)
            self._sweeper.start()
        whole, rest = divmod(seconds, 1)
        for _ in range(int(whole)):
            self.reactor.advance(1)
        self.reactor.advance(rest)

    def lines(self) -> list[str]:
        """The log so far, as text."""
        from twisted.logger import formatEvent

        return [formatEvent(event) for event in self.log]

    def failures(self) -> list[Any]:
        """Tracebacks logged since the last call; the test must ask for them."""
        failures = [event["log_failure"] for event in self.log if "log_failure" in event]
        self.log[:] = [event for event in self.log if "log_failure" not in event]
        return failures


@pytest.fixture
def world() -> Iterator[World]:
    """Fails the test when an exception was logged that the test did not ask for."""
    made = World()
    observer = cast("ILogObserver", made.log.append)
    globalLogPublisher.addObserver(observer)
    yield made
    globalLogPublisher.removeObserver(observer)
    assert not made.failures()

"""One timer for every deadline."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from mqttd.net.sweeper import Sweeper


class Broker:
    def __init__(self) -> None:
        self.at: list[float] = []
        self.again = 0
        self.error: Exception | None = None

    def sweep(self, now: float) -> bool:
        self.at.append(now)
        error, self.error = self.error, None
        if error is not None:
            raise error
        self.again -= 1
        return self.again >= 0


class Factory:
    def __init__(self) -> None:
        self.at: list[float] = []

    def sweep(self, now: float) -> None:
        self.at.append(now)


@pytest.fixture
def made() -> Any:
    clock: Any = Clock()
    broker: Any = Broker()
    factory: Any = Factory()
    return clock, broker, factory, Sweeper(clock, broker, [factory])


def test_once_a_second(made: Any) -> None:
    clock, broker, factory, sweeper = made
    sweeper.start()
    clock.pump([0.5] * 6)
    assert broker.at == [1.0, 2.0, 3.0]
    assert factory.at == broker.at


def test_slices_follow_at_once_and_listeners_come_last(made: Any) -> None:
    clock, broker, factory, sweeper = made
    broker.again = 2
    sweeper.start()
    clock.advance(1)
    clock.advance(0)
    clock.advance(0)
    assert broker.at == [1.0, 1.0, 1.0]
    assert factory.at == [1.0]


def test_an_error_is_logged_and_sweeping_goes_on(made: Any, world: Any) -> None:
    clock, broker, _, sweeper = made
    broker.error = ZeroDivisionError()
    sweeper.start()
    clock.advance(1)
    assert [failure.type for failure in world.failures()] == [ZeroDivisionError]
    clock.advance(1)
    assert broker.at == [1.0, 2.0]


def test_stop(made: Any) -> None:
    clock, broker, _, sweeper = made
    sweeper.stop()
    sweeper.start()
    sweeper.stop()
    sweeper.stop()
    assert not clock.getDelayedCalls()
    clock.advance(5)
    assert broker.at == []


def test_one_connections_error_does_not_keep_the_others_from_their_deadline(world: Any) -> None:
    factory = world.listener(proxy_protocol=True)
    peers = [world.peer(factory, port=port) for port in range(5)]

    def fail(_now: float) -> None:
        raise ZeroDivisionError

    peers[0].protocol.check_deadline = fail
    world.pass_time(4)
    assert all(peer.wire.write_closed for peer in peers[1:])
    assert peers[0].wire.aborted
    assert {failure.type for failure in world.failures()} == {ZeroDivisionError}

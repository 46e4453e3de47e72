"""A sink that records, and an engine with a hand on its clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import attrs
import pytest

from mqttd.broker.inflight import Flight, next_packet_id
from mqttd.broker.message import Message
from mqttd.broker.ports import Engine, EngineSession
from mqttd.broker.subscriptions import Subscription
from mqttd.broker.will import Will
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions


@attrs.define(eq=False)
class Client:
    """A session's sink: takes what it is given, within the credit it gave."""

    state: EngineSession
    got: list[tuple[bytes, int, bool, tuple[int, ...]]] = attrs.Factory(list)
    reasons: list[str] = attrs.Factory(list)
    is_ready: bool = True

    def ready(self) -> bool:
        return self.is_ready

    def deliver(
        self,
        message: Message,
        qos: int,
        retain: bool,
        subscription_ids: tuple[int, ...],
        group: str | None,
    ) -> None:
        self.got.append((message.payload, qos, retain, subscription_ids))
        if qos:
            packet_id = next_packet_id(self.state.flight, 0)
            flight = Flight(packet_id, message, qos, retain, subscription_ids, group)
            self.state.flight[packet_id] = flight
            self.state.sending(flight)

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)

    @property
    def payloads(self) -> list[bytes]:
        return [each[0] for each in self.got]

    def acknowledge(self) -> None:
        """Finish every exchange."""
        for packet_id in list(self.state.flight):
            self.state.finished(self.state.flight.pop(packet_id))


class World:
    """An engine under test. Each call is a turn of its own, unless ``turn`` is False."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = 1000.0

    def turn(self) -> None:
        self.engine.commit(self.now)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.engine.sweep(self.now)
        self.turn()

    def client(
        self,
        client_id: str,
        *subscriptions: Subscription,
        clean_start: bool = True,
        expiry: float = math.inf,
        will: Will | None = None,
        credit: int = 100,
    ) -> Client:
        made: list[Client] = []

        def claimed(state: EngineSession) -> None:
            client = Client(state)
            state.attach(client)
            state.credit(credit)
            made.append(client)

        self.engine.claim(
            client_id,
            clean_start=clean_start,
            expiry=expiry,
            will=will,
            now=self.now,
            done=claimed,
        )
        assert made == [], "a completion inside the call it answers"
        self.turn()
        if subscriptions:
            made[0].state.subscribe(list(subscriptions), self.now, lambda new: None)
            self.turn()
        return made[0]

    def publish(self, topic: str, payload: bytes = b"m", qos: int = 1, **more: Any) -> int:
        return self.engine.publish(
            Message(topic.encode(), payload, qos, **more), self.now, lambda count: None
        )

    def retained(self, topic_filter: str) -> list[bytes]:
        found: list[bytes] = []
        self.engine.retained(
            topic_filter.encode(),
            self.now,
            lambda page: found.extend(message.payload for message in page),
        )
        return found


@pytest.fixture(params=["memory"])
def make_world(request: pytest.FixtureRequest) -> Callable[..., World]:
    """Make a world on the engine under test, with options."""
    assert request.param == "memory"

    def make(**options: Any) -> World:
        return World(MemoryEngine(EngineOptions(**options), Random(1)))

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world with default options."""
    return make_world()

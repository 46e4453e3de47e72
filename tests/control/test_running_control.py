"""The control plane over a broker with many clients, and without the parts it may lack."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from mqttd.broker.broker import Broker
from mqttd.broker.limits import Limits
from mqttd.control.ports import ControlError
from mqttd.control.running import RunningControl
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions
from mqttd.identity import PeerCertificate, PeerInfo
from mqttd.testing import AdmitAll

DAY = 86400.0


class Outlet:
    writable = True

    def __init__(self) -> None:
        self.closed = False

    def send(self, *parts: bytes) -> None:
        """Nothing."""

    def close(self, *, linger: bool) -> None:
        self.closed = True

    def pause(self) -> None:
        """Nothing."""

    def resume(self) -> None:
        """Nothing."""


def connect_packet(client_id: str) -> bytes:
    name = client_id.encode()
    body = b"\x00\x04MQTT\x05\x02\x00\x00\x00" + len(name).to_bytes(2) + name
    return bytes((0x10, len(body))) + body


@attrs.frozen
class World:
    broker: Broker
    control: RunningControl

    def connect(self, client_id: str, not_after: float | None = None) -> Outlet:
        certificate = None
        if not_after is not None:
            certificate = PeerCertificate(
                der=b"",
                pem="",
                common_name="x",
                subject="CN=x",
                issuer="CN=y",
                serial=1,
                not_before=0,
                not_after=not_after,
            )
        outlet = Outlet()
        peer = PeerInfo("ssl:default", ("127.0.0.1", 1), certificate)
        connection = self.broker.connect(outlet, peer, 0.0)
        connection.receive(connect_packet(client_id), 0.0)
        return outlet


@pytest.fixture
def world() -> World:
    broker = Broker(MemoryEngine(EngineOptions()), Limits(), AdmitAll())
    nothing: Any = SimpleNamespace(
        listeners={},
        psk_store=None,
        crl=None,
        touch=lambda: 0.0,
        own_certificates=list,
        stapler=SimpleNamespace(list=list),
    )
    clock: Any = Clock()
    return World(
        broker, RunningControl(broker, nothing, nothing, nothing, nothing, clock, nothing)
    )


def test_ten_thousand_clients_page_by_page(world: World) -> None:
    names = [f"client-{number:05}" for number in range(10_000)]
    for name in reversed(names):
        world.connect(name)
    world.broker.commit(0.0)
    listed: list[str] = []
    longest = 0.0
    for page in range(1, 21):
        began = time.perf_counter()
        found = world.control.clients(page, 500, None)
        longest = max(longest, time.perf_counter() - began)
        assert found.count == 10_000
        listed += [row["clientid"] for row in found.rows]
    assert listed == names
    assert longest < 0.5  # alone it takes a hundredth of a second
    assert world.control.clients(21, 500, None).rows == []


def test_clients_that_are_not_admitted_are_no_clients(world: World) -> None:
    outlet = Outlet()
    world.broker.connect(outlet, PeerInfo("tcp:default", ("127.0.0.1", 1)), 0.0)
    assert world.control.clients(1, 10, None).count == 0


def test_certificates_that_end_first_come_first(world: World) -> None:
    now = time.time()
    world.connect("a", now + 20 * DAY)
    world.connect("b", now + 10 * DAY)
    world.connect("c", now + 40 * DAY)
    world.connect("d", now - DAY)
    world.connect("e")
    world.broker.commit(0.0)
    rows = world.control.clients(1, 10, 30 * DAY).rows
    assert [row["clientid"] for row in rows] == ["d", "b", "a"]
    assert [row["certificate"]["days_left"] for row in rows] == [-2, 9, 19]


def test_a_date_far_away_is_no_error(world: World) -> None:
    world.connect("far", 1e18)
    world.broker.commit(0.0)
    row = world.control.client("far")
    assert row["certificate"]["not_after"] == "unknown"


def test_a_kicked_client_is_gone(world: World) -> None:
    outlet = world.connect("a")
    world.broker.commit(0.0)
    world.control.kick("a")
    assert outlet.closed
    with pytest.raises(ControlError) as caught:
        world.control.kick("a")
    assert (caught.value.status, caught.value.code) == (404, "CLIENTID_NOT_FOUND")


def test_without_what_the_configuration_leaves_out(world: World) -> None:
    assert world.control.psk() == []
    assert world.control.crl() == []
    assert world.control.ocsp() == []
    assert world.control.certificates() == []
    with pytest.raises(ControlError) as caught:
        world.control.set_log_level("debug")
    assert caught.value.status == 503

"""Certificates that end soon: one line a threshold, a figure for each listener."""

from __future__ import annotations

import datetime
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from mqttd.runtime.expiry import DAY, Expiry, OwnCertificate, expiring


@attrs.define
class World:
    clock: Clock
    expiry: Expiry
    certificates: list[OwnCertificate]
    now: float


@pytest.fixture
def world(pki: Any) -> World:
    clock = Clock()
    certificates = [
        OwnCertificate("ssl:a", "the server certificate", pki.ec.cert),
        OwnCertificate("wss:b", "the server certificate", pki.ec.cert),
    ]
    end = pki.ec.cert.not_valid_after_utc.timestamp()
    made = World(clock, None, certificates, end - 40.5 * DAY)  # type: ignore[arg-type]
    made.expiry = Expiry(clock, lambda: made.certificates, lambda: made.now)
    return made


def advance(world: World, days: int) -> None:
    for _ in range(days):
        world.now += DAY
        world.clock.advance(DAY)


def test_one_line_a_threshold(world: World, logged: Any) -> None:
    world.expiry.start()
    lines = []
    for day in range(1, 44):
        logged.clear()
        advance(world, 1)
        lines += [(day, line) for line in logged]
    assert [day for day, _ in lines] == [10, 26, 33, 39, 41]
    assert "ssl:a, wss:b: the server certificate CN=localhost expires in 30 days" in lines[0][1]
    assert "has expired" in lines[-1][1]


def test_a_start_close_to_the_end_says_only_the_nearest(world: World, logged: Any) -> None:
    world.now += 35 * DAY
    world.expiry.start()
    assert len(list(logged)) == 1
    world.expiry.look()
    assert len(list(logged)) == 1
    advance(world, 4)
    assert "expires in 1 day:" in list(logged)[-1]


def test_on_the_last_day_the_hours_are_said(world: World, logged: Any) -> None:
    world.now += 40 * DAY
    world.expiry.start()
    assert ["expires in 12 hours" in line for line in logged] == [True]


def test_a_renewed_certificate_is_quiet(world: World, logged: Any, pki: Any) -> None:
    world.now += 35 * DAY
    world.expiry.start()
    logged.clear()
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=300)
    renewed = pki.root.issue(end=later)
    world.certificates[:] = [OwnCertificate("ssl:a", "the server certificate", renewed.cert)]
    world.expiry.start()
    assert list(logged) == []


def test_the_figure_is_that_of_the_certificate_that_ends_first(world: World, pki: Any) -> None:
    sooner = pki.root.issue(end=pki.ec.cert.not_valid_after_utc - datetime.timedelta(days=10))
    world.certificates.append(OwnCertificate("ssl:a", "a certificate", sooner.cert))
    world.certificates.append(OwnCertificate("wss:b", "an authority", sooner.cert, served=False))
    assert world.expiry.figures() == {
        "certificates/ssl:a/days_left": 30,
        "certificates/wss:b/days_left": 40,
    }


def test_an_error_does_not_end_the_looks(world: World, logged: Any) -> None:
    world.certificates[:] = [None]  # type: ignore[list-item]
    world.expiry.start()
    assert [event for event in logged.events if "log_failure" in event]
    assert world.clock.getDelayedCalls()
    world.expiry.stop()
    assert not world.clock.getDelayedCalls()


def test_clients_whose_certificates_end_soon(pki: Any) -> None:
    @attrs.define
    class Certificate:
        not_after: float

    @attrs.define
    class Peer:
        certificate: Certificate | None

    @attrs.define
    class Connection:
        peer: Peer

    ends = [None, 100 * DAY, 5 * DAY, -DAY]
    connections: Any = [
        Connection(Peer(None if end is None else Certificate(end))) for end in ends
    ]
    found = expiring(connections, 30, now=0)
    assert [end for _, end in found] == [-DAY, 5 * DAY]

"""Sessions end when what was proved for them ends, and not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mqttd.identity import ConnectRequest, Identity, Refused

WALL = 1_700_000_000.0


class Until:
    """Lets everybody in until the time in the password."""

    def admit(self, request: ConnectRequest, done: Callable[[Identity | Refused], None]) -> None:
        end = None if request.password is None else WALL + float(request.password)
        done(Identity(username=request.username, expires_at=end))


@pytest.fixture
def factory(world: Any) -> Any:
    begin = world.reactor.seconds()
    world.broker.admission = Until()
    factory = world.listener(type="tcp", name="a")
    factory._wall_clock = lambda: WALL + world.reactor.seconds() - begin
    return factory


def has_ended(peer: Any) -> bool:
    return bool(peer.wire.disconnecting or peer.wire.write_closed)


@pytest.mark.parametrize("level", [4, 5])
def test_the_session_is_cut_then(world: Any, factory: Any, level: int) -> None:
    short, long, ever = (world.peer(factory, port=port) for port in (1, 2, 3))
    for peer, client_id, password in ((short, "s", b"30"), (long, "l", b"90"), (ever, "e", None)):
        peer.connect(client_id, level, username="u", password=password)
    world.pass_time(29)
    assert not any(map(has_ended, (short, long, ever)))
    short.wire.take()
    world.pass_time(2)
    assert [has_ended(each) for each in (short, long, ever)] == [True, False, False]
    told = short.wire.take()
    assert told[:1] == (b"\xe0" if level == 5 else b"")
    if level == 5:
        assert told[2] == 0x87
    assert any("Client s [" in line for line in world.lines())
    world.pass_time(62)
    assert has_ended(long)
    assert not has_ended(ever)


def test_thousands_end_at_once_and_the_others_go_on(world: Any, factory: Any) -> None:
    ending = [world.peer(factory, port=port) for port in range(1, 600)]
    for number, peer in enumerate(ending):
        peer.connect(f"c{number}", username="u", password=b"10")
    other = world.peer(factory, port=1000)
    other.connect("other")
    world.pass_time(12)
    assert all(map(has_ended, ending))
    assert other.send(b"\xc0\x00") == b"\xd0\x00"

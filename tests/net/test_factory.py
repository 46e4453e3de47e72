"""Who may connect at all, and what is done to an accepted socket."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from mqttd.config.schema.tcp import TcpOptions
from mqttd.config.types import Keepalive, Rate


def test_max_connections_and_room_again(world: Any) -> None:
    factory = world.listener(max_connections=2)
    first = world.peer(factory, port=1)
    world.peer(factory, port=2)
    assert world.accept(factory, port=3) is None
    assert world.lines()[-1].startswith("connection refused on tcp:default from 192.0.2.7:3: ")
    assert world.lines()[-1].endswith("[max-connections]")
    assert factory.shutdown_counts == {"max-connections": 1}
    first.lose()
    world.peer(factory, port=4)


def test_a_connection_that_lingers_counts(world: Any) -> None:
    factory = world.listener(max_connections=1)
    peer = world.peer(factory)
    peer.connect()
    peer.send(b"\x00\x00")
    assert world.accept(factory) is None
    peer.lose()
    world.peer(factory)


def test_max_conn_rate(world: Any) -> None:
    factory = world.listener(max_conn_rate=Rate(2, 1))
    world.peer(factory)
    world.peer(factory)
    assert world.accept(factory) is None
    assert world.lines()[-1].endswith("[max-conn-rate]")
    world.reactor.advance(0.5)
    world.peer(factory)
    assert world.accept(factory) is None


def test_a_peer_the_rules_refuse_costs_nothing_of_the_rate(world: Any) -> None:
    factory = world.listener(
        max_conn_rate=Rate(1, 1), access_rules=["deny 198.51.100.0/24", "allow all"]
    )
    assert world.accept(factory, "198.51.100.1") is None
    world.peer(factory)


@pytest.mark.parametrize(
    ("rules", "host", "welcome"),
    [
        (["allow all"], "192.0.2.7", True),
        (["deny all"], "192.0.2.7", False),
        (["allow 192.0.2.0/24"], "192.0.2.7", True),
        (["allow 192.0.2.0/24"], "198.51.100.1", False),  # none matches: refused
        (["deny 192.0.2.7", "allow all"], "192.0.2.7", False),
        (["allow 192.0.2.7", "deny 192.0.2.0/24"], "192.0.2.7", True),
        (["allow 2001:db8::/32"], "2001:db8::1", True),
        (["allow 2001:db8::/32"], "192.0.2.7", False),
        (["allow 192.0.2.0/24"], "::ffff:192.0.2.7", True),
    ],
)
def test_access_rules(world: Any, rules: list[str], host: str, welcome: bool) -> None:
    factory = world.listener(access_rules=rules)
    assert (world.accept(factory, host) is not None) is welcome
    if not welcome:
        assert world.lines()[-1].endswith("[access-rules]")


def test_options_of_a_real_socket(world: Any) -> None:
    options = TcpOptions(
        nodelay=False, keepalive=Keepalive(60, 10, 3), nolinger=True, buffer=100_000
    )
    factory = world.listener(tcp_options=options)
    with socket.socket() as handle:

        class Transport:
            nodelay: bool | None = None
            bufferSize = 65536  # noqa: N815 - Twisted's name

            def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
                self.nodelay = enabled

            def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

            def getHandle(self) -> socket.socket:  # noqa: N802
                return handle

        transport = Transport()
        factory.configure(transport)
        assert transport.nodelay is False
        assert transport.bufferSize == 100_000
        assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
        assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
        linger = handle.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        assert linger == b"\1\0\0\0\0\0\0\0"


def test_when_empty(world: Any) -> None:
    factory = world.listener()
    fired: list[object] = []
    factory.when_empty().addCallback(fired.append)
    assert len(fired) == 1
    peers = [world.peer(factory, port=port) for port in (1, 2)]
    factory.when_empty().addCallback(fired.append)
    peers[0].lose()
    assert len(fired) == 1
    peers[1].lose()
    assert len(fired) == 2


@pytest.mark.parametrize("template", ["${username}/", "${clientid}/", "site/${clientid}/"])
def test_a_mountpoint_is_filled_in_for_each_client(world: Any, template: str) -> None:
    factory = world.listener(mountpoint=template)
    peer = world.peer(factory)
    assert peer.connect("dev", level=4, username="ann", password=b"x") == b"\x20\x02\x00\x00"
    filled = template.replace("${username}", "ann").replace("${clientid}", "dev")
    assert peer.protocol.mqtt.mountpoint == filled


def test_a_client_without_a_value_for_the_mountpoint_is_refused(world: Any) -> None:
    peer = world.peer(world.listener(mountpoint="${username}/"))
    answer = peer.connect("dev", level=4)
    assert answer[:3] == b"\x20\x02\x00"
    assert answer[3] == 5

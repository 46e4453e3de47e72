"""What an address is charged with, wherever the address comes from."""

from __future__ import annotations

from typing import Any

import pytest

from mqttd.abuse.banned import BanList, parse_ban
from mqttd.abuse.guard import Guard
from mqttd.config.schema.abuse import AbuseOptions, FlappingOptions, PerAddressOptions
from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.config.types import Rate

PROXY = b"PROXY TCP4 198.51.100.9 192.0.2.1 5000 1883\r\n"
UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n"
)


def guard(world: Any, **limits: Any) -> Guard:
    return Guard(
        AbuseOptions(per_address=PerAddressOptions(**limits)),
        FlappingOptions(),
        BanList(10),
        now=world.reactor.seconds,
        wall=world.reactor.seconds,
    )


def listener(world: Any, limits: dict[str, Any], **options: Any) -> Any:
    factory = world.listener(**options)
    factory.guard = guard(world, **limits)
    return factory


def test_one_more_is_closed_at_once_until_another_goes(world: Any) -> None:
    factory = listener(world, {"max_connections": 1})
    first = world.peer(factory)
    assert world.accept(factory) is None
    assert world.accept(factory, "192.0.2.8") is not None
    assert factory.shutdown_counts["address-connections"] == 1
    first.lose()
    assert world.accept(factory) is not None
    assert any("[address-connections]" in line for line in world.lines())


def test_what_the_listener_refuses_is_not_charged(world: Any) -> None:
    factory = listener(world, {"max_connections": 1}, max_conn_rate=Rate(1, 10.0))
    first = world.peer(factory)
    first.lose()
    for _ in range(3):
        assert world.accept(factory) is None
    world.reactor.advance(10)
    assert world.accept(factory) is not None


def test_who_comes_too_often_uses_up_nothing_of_the_others(world: Any) -> None:
    factory = listener(world, {"conn_rate": Rate(1, 10.0)}, max_conn_rate=Rate(3, 10.0))
    assert world.accept(factory) is not None
    for _ in range(10):
        assert world.accept(factory) is None
    assert world.accept(factory, "192.0.2.8") is not None
    assert world.accept(factory, "192.0.2.9") is not None


def test_the_client_behind_a_proxy_counts_and_not_the_proxy(world: Any) -> None:
    factory = listener(world, {"max_connections": 1}, proxy_protocol=True)
    first, second, third = (world.peer(factory) for _ in range(3))
    first.send(PROXY)
    assert first.connect()[:1] == b"\x20"
    second.send(PROXY)
    assert second.wire.write_closed
    third.send(PROXY.replace(b"100.9", b"100.8"))
    assert third.connect()[:1] == b"\x20"
    fourth = world.peer(factory)
    fourth.send(b"PROXY UNKNOWN\r\n")
    assert fourth.connect()[:1] == b"\x20"
    first.lose()
    fifth = world.peer(factory)
    fifth.send(PROXY)
    assert fifth.connect()[:1] == b"\x20"


def test_the_client_behind_a_proxy_of_web_sockets(world: Any) -> None:
    options = WebSocketOptions(proxy_address_header="X-Forwarded-For")
    factory = listener(world, {"max_connections": 1}, type="ws", websocket=options)
    first = world.peer(factory, "192.0.2.1")
    if b"101" not in first.send(UPGRADE)[:20]:
        pytest.fail("no WebSocket")
    if first.protocol.peer.peer[0] != "198.51.100.9":
        pytest.skip("headers of proxies are not trusted here")
    # The proxy's own address is free again, and the client's is taken.
    second = world.peer(factory, "192.0.2.1")
    second.send(UPGRADE)
    assert second.wire.write_closed
    first.lose()
    third = world.peer(factory, "192.0.2.1")
    assert b"101" in third.send(UPGRADE)[:20]


def test_the_banned_get_nothing(world: Any) -> None:
    factory = listener(world, {})
    for kind, who in (("peerhost", "192.0.2.7"), ("peerhost_net", "198.51.100.0/24")):
        factory.guard.bans.add(parse_ban({"as": kind, "who": who, "reason": "r"}, 0.0), 0.0)
    assert world.accept(factory) is None
    assert world.accept(factory, "198.51.100.77") is None
    assert world.accept(factory, "192.0.2.8") is not None
    assert any("list of bans: by somebody: r" in line for line in world.lines())
    proxied = listener(world, {}, proxy_protocol=True)
    proxied.guard = factory.guard
    peer = world.peer(proxied)
    peer.send(PROXY)
    assert peer.wire.write_closed

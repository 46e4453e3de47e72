"""One socket from its first byte to its end: plain, PROXY, TLS and WebSocket."""

from __future__ import annotations

from typing import Any

import pytest
from OpenSSL import SSL

from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.tls.channel import TLSChannel

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a"
CONNACK = b"\x20\x02\x00\x00"
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"
PROXY = b"PROXY TCP4 198.51.100.9 192.0.2.1 5000 1883\r\n"
UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)


def frame(payload: bytes, opcode: int = 2) -> bytes:
    """A masked frame of a client, with a mask of zeros."""
    assert len(payload) < 126
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


class TLSPeer:
    """A TLS client in front of a peer."""

    def __init__(self, peer: Any, context: SSL.Context) -> None:
        self.peer = peer
        self.channel = TLSChannel(context, server=False, server_hostname=b"localhost")

    def shake(self, before: bytes = b"") -> None:
        self.channel.start()
        data = before + self.channel.outgoing()
        while data:
            answer = self.peer.send(data)
            self.channel.receive(answer)
            data = self.channel.outgoing()

    def send(self, plaintext: bytes) -> bytes:
        self.channel.send(plaintext)
        return self.channel.receive(self.peer.send(self.channel.outgoing()))


# --- plain ----------------------------------------------------------------------------------


def test_connect_is_answered_and_logged(world: Any) -> None:
    peer = world.peer(world.listener())
    assert peer.wire.nodelay is True
    assert peer.send(CONNECT) == CONNACK
    assert world.lines() == [
        "New connection from 192.0.2.7:4711 on port 1883.",
        "New client connected from 192.0.2.7:4711 as a (p2, c1, k0).",
    ]
    peer.lose()
    assert world.lines()[-1] == (
        "Client a [192.0.2.7:4711] disconnected: connection closed by client."
    )
    assert not world.factories[0].connections
    assert not world.broker.connections


def test_answers_of_one_turn_leave_in_one_write(world: Any) -> None:
    peer = world.peer(world.listener())
    writes: list[bytes] = []
    peer.wire.write = writes.append
    peer.protocol.dataReceived(CONNECT)
    peer.protocol.dataReceived(PINGREQ + PINGREQ)
    assert writes == []
    world.turn()
    world.turn()
    assert b"".join(writes) == CONNACK + 2 * PINGRESP
    assert len(writes) <= 2


def test_a_peer_that_says_nothing_is_gone_after_idle_timeout(world: Any) -> None:
    peer = world.peer(world.listener())
    world.pass_time(14)
    assert not peer.wire.disconnecting
    world.pass_time(2)
    assert peer.wire.disconnecting
    assert "nothing came in time" in world.lines()[-1]


def test_a_peer_that_leaves_before_connect_is_one_line(world: Any) -> None:
    peer = world.peer(world.listener())
    peer.lose()
    assert len([line for line in world.lines() if "192.0.2.7" in line]) == 2


# --- PROXY protocol -------------------------------------------------------------------------


def test_the_real_client_is_the_one_of_the_proxy_header(world: Any) -> None:
    peer = world.peer(world.listener(proxy_protocol=True))
    assert peer.send(PROXY + CONNECT) == CONNACK
    assert "198.51.100.9:5000 as a" in world.lines()[-1]


def test_a_proxy_header_in_single_bytes(world: Any) -> None:
    peer = world.peer(world.listener(proxy_protocol=True))
    data = PROXY + CONNECT
    assert b"".join(peer.send(data[at : at + 1]) for at in range(len(data))) == CONNACK


def test_a_proxy_header_of_unknown_family_keeps_the_address_of_the_socket(world: Any) -> None:
    peer = world.peer(world.listener(proxy_protocol=True))
    assert peer.send(b"PROXY UNKNOWN\r\n" + CONNECT) == CONNACK
    assert "192.0.2.7:4711 as a" in world.lines()[-1]


def test_rules_are_asked_for_the_real_client_only(world: Any) -> None:
    rules = ["deny 198.51.100.0/24", "allow 203.0.113.0/24"]
    factory = world.listener(proxy_protocol=True, access_rules=rules)
    denied = world.peer(factory)
    assert denied.send(PROXY + CONNECT) == b""
    assert denied.wire.write_closed
    line = world.lines()[-1]
    assert line.startswith("connection refused on tcp:default from 198.51.100.9:5000: ")
    assert line.endswith("[access-rules]")
    allowed = world.peer(factory)
    header = PROXY.replace(b"198.51.100.9", b"203.0.113.9")
    assert allowed.send(header + CONNECT) == CONNACK


def test_without_a_proxy_header_nobody_comes_in(world: Any) -> None:
    peer = world.peer(world.listener(proxy_protocol=True))
    assert peer.send(CONNECT) == b""
    assert peer.wire.write_closed
    line = world.lines()[-1]
    assert "the first bytes are an MQTT CONNECT packet" in line
    assert line.endswith("[no-proxy-header]")


def test_a_proxy_header_has_its_time(world: Any) -> None:
    peer = world.peer(world.listener(proxy_protocol=True, proxy_protocol_timeout=3.0))
    peer.send(PROXY[:20])
    world.pass_time(2)
    assert not peer.wire.write_closed
    world.pass_time(1)
    assert peer.wire.write_closed
    assert world.lines()[-1].endswith("[timeout-proxy]")


# --- TLS ------------------------------------------------------------------------------------


@pytest.fixture
def tls(world: Any, pki: Any) -> Any:
    """Make a TLS listener."""

    def make(**options: Any) -> Any:
        own = pki.options(handshake_timeout=15.0)
        options.setdefault("type", "ssl")
        return world.listener(pki.server_context(), ssl_options=own, **options)

    return make


def test_mqtt_over_tls(world: Any, tls: Any, pki: Any) -> None:
    peer = world.peer(tls())
    client = TLSPeer(peer, pki.client_context())
    client.shake()
    assert client.send(CONNECT) == CONNACK
    assert client.send(PINGREQ) == PINGRESP
    assert peer.protocol.peer.tls_version == "TLSv1.3"
    assert peer.protocol.peer.sni == "localhost"


def test_proxy_then_tls_then_mqtt(world: Any, tls: Any, pki: Any) -> None:
    peer = world.peer(tls(proxy_protocol=True))
    client = TLSPeer(peer, pki.client_context())
    client.shake(before=PROXY)
    assert client.send(CONNECT) == CONNACK
    assert "198.51.100.9:5000 as a" in world.lines()[-1]


def test_proxy_then_tls_then_websocket_then_mqtt_in_small_pieces(
    world: Any, tls: Any, pki: Any
) -> None:
    peer = world.peer(tls(type="wss", websocket=WebSocketOptions(), proxy_protocol=True))
    whole = peer.send
    peer.send = lambda data: b"".join(whole(data[at : at + 7]) for at in range(0, len(data), 7))
    client = TLSPeer(peer, pki.client_context())
    client.shake(before=PROXY)
    assert client.send(UPGRADE).startswith(b"HTTP/1.1 101 ")
    assert client.send(frame(CONNECT)) == b"\x82\x04" + CONNACK
    assert "198.51.100.9:5000 as a" in world.lines()[-1]


def test_the_handshake_has_its_time(world: Any, tls: Any) -> None:
    peer = world.peer(tls())
    world.pass_time(14)
    assert not peer.wire.write_closed
    world.pass_time(1)
    assert peer.wire.write_closed
    assert world.lines()[-1].endswith("[timeout-tls]")


def test_plain_mqtt_on_a_tls_port_is_named(world: Any, tls: Any) -> None:
    peer = world.peer(tls())
    answer = peer.send(CONNECT)
    assert answer[:1] in (b"", b"\x15")
    assert peer.wire.write_closed
    assert world.lines()[-1].endswith("[plain-mqtt]")


def test_a_peer_that_leaves_during_the_handshake_is_one_line(
    world: Any, tls: Any, pki: Any
) -> None:
    peer = world.peer(tls())
    client = TLSPeer(peer, pki.client_context())
    client.channel.start()
    peer.send(client.channel.outgoing())
    peer.lose()
    lines = [line for line in world.lines() if "refused" in line]
    assert len(lines) == 1
    assert lines[0].endswith(("[truncated]", "[closed-after-certificate]"))


def test_connect_and_close_notify_in_one_chunk_are_both_answered(
    world: Any, tls: Any, pki: Any
) -> None:
    """What ``echo ... | openssl s_client`` does."""
    peer = world.peer(tls())
    client = TLSPeer(peer, pki.client_context())
    client.shake()
    client.channel.send(CONNECT)
    client.channel.close()
    assert client.channel.receive(peer.send(client.channel.outgoing())) == CONNACK
    assert client.channel.peer_closed
    assert peer.wire.disconnecting
    peer.lose()
    assert "disconnected: connection closed by client" in world.lines()[-1]


def test_close_notify_before_mqtt_is_one_line(world: Any, tls: Any, pki: Any) -> None:
    peer = world.peer(tls(type="wss", websocket=WebSocketOptions()))
    client = TLSPeer(peer, pki.client_context())
    client.shake()
    client.channel.close()
    peer.send(client.channel.outgoing())
    assert peer.wire.disconnecting
    peer.lose()
    lines = [line for line in world.lines() if "refused" in line]
    assert len(lines) == 1
    assert lines[0].startswith("connection refused on wss:default from 192.0.2.7:4711: ")
    assert lines[0].endswith("[closed]")


def test_broken_records_end_a_connected_client_and_send_its_will(
    world: Any, tls: Any, pki: Any
) -> None:
    peer = world.peer(tls())
    client = TLSPeer(peer, pki.client_context())
    client.shake()
    client.send(CONNECT)
    peer.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert peer.wire.disconnecting
    assert "disconnected: TLS failed" in world.lines()[-1]


# --- WebSocket ------------------------------------------------------------------------------


def _websocket(world: Any, **options: Any) -> Any:
    return world.listener(type="ws", websocket=WebSocketOptions(**options))


def test_mqtt_over_websocket(world: Any) -> None:
    peer = world.peer(_websocket(world))
    assert peer.send(UPGRADE + frame(CONNECT)).endswith(b"\r\n\r\n\x82\x04" + CONNACK)


def test_a_refused_upgrade_says_why_in_the_log(world: Any) -> None:
    peer = world.peer(_websocket(world, check_origin_enable=True, check_origins=["https://a"]))
    answer = peer.send(UPGRADE.replace(b"\r\n\r\n", b"\r\nOrigin: https://evil\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert peer.wire.write_closed
    assert world.lines()[-1].endswith("[websocket-origin]")


def test_an_upgrade_has_its_time(world: Any) -> None:
    peer = world.peer(_websocket(world))
    peer.send(UPGRADE[:30])
    world.pass_time(15)
    assert peer.wire.take().startswith(b"HTTP/1.1 408 ")
    assert peer.wire.write_closed


def test_connect_has_its_time_after_the_upgrade(world: Any) -> None:
    peer = world.peer(_websocket(world))
    peer.send(UPGRADE)
    world.pass_time(16)
    assert peer.wire.disconnecting


def test_an_idle_websocket_is_closed(world: Any) -> None:
    peer = world.peer(_websocket(world, idle_timeout=5.0))
    peer.send(UPGRADE + frame(CONNECT))
    world.pass_time(4)
    assert not peer.wire.disconnecting
    peer.send(frame(b"", opcode=9))
    world.pass_time(4)
    assert not peer.wire.disconnecting
    world.pass_time(2)
    assert peer.wire.disconnecting
    assert "the WebSocket was idle" in world.lines()[-1]


def test_the_forwarded_address_counts_for_the_log_and_the_rules(world: Any) -> None:
    options = WebSocketOptions(proxy_address_header="x-forwarded-for")
    rules = ["deny 198.51.100.0/24", "allow all"]
    factory = world.listener(type="ws", websocket=options, access_rules=rules)
    for address, welcome in ((b"203.0.113.5", True), (b"198.51.100.9", False)):
        peer = world.peer(factory)
        header = b"\r\nX-Forwarded-For: " + address + b"\r\n\r\n"
        answer = peer.send(UPGRADE.replace(b"\r\n\r\n", header) + frame(CONNECT))
        assert answer.endswith(CONNACK) is welcome
        assert address.decode() in world.lines()[-1]
        assert peer.wire.write_closed is not welcome


def test_pings_of_a_peer_that_does_not_read_are_not_answered(world: Any) -> None:
    peer = world.peer(_websocket(world))
    peer.send(UPGRADE + frame(CONNECT))
    peer.protocol._buffer.pauseProducing()
    for _ in range(100):
        assert peer.send(frame(b"x" * 100, opcode=9)) == b""
    peer.protocol._buffer.resumeProducing()

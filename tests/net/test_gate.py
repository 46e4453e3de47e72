"""The gate: no MQTT byte is looked at before the verdict on the client's certificate is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cryptography import x509
from OpenSSL import SSL

from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.net.gate import Gate
from mqttd.tls.channel import TLSChannel, TLSFailure
from mqttd.tls.listener_context import ListenerTLS
from mqttd.tls.verdict import ACCEPTED, ASK, Verdict

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a"
CONNACK = b"\x20\x02\x00\x00"
UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)
REVOKED = Verdict(23, "revoked", "on 2026-11-20, key compromise")
VERSIONS = [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION]
TYPES = ["ssl", "wss"]


class Asked:
    """A judge whose answers the test gives."""

    def __init__(self, at_once: Verdict = ASK) -> None:
        self.at_once = at_once
        self.chains: list[Sequence[x509.Certificate]] = []
        self.waiting: list[Callable[[Verdict], None]] = []
        self.answer: Verdict | None = None

    def judge(self, chain: Sequence[x509.Certificate]) -> Verdict:
        return self.at_once

    def ask(self, chain: Sequence[x509.Certificate], done: Callable[[Verdict], None]) -> None:
        self.chains.append(chain)
        if self.answer is not None:
            done(self.answer)
        else:
            self.waiting.append(done)


class Client:
    """A TLS client in front of a peer, which sends what it has when it may."""

    def __init__(self, peer: Any, context: SSL.Context) -> None:
        self.peer = peer
        self.channel = TLSChannel(context, server=False, server_hostname=b"localhost")
        self.got = b""

    def shake(self, early: bytes = b"") -> None:
        """The handshake as far as it goes; ``early`` follows at once where TLS 1.3 lets it."""
        self.channel.start()
        if early:
            self.channel.send(early)
        self.pump()

    def pump(self) -> None:
        while data := self.channel.outgoing():
            self.take(self.peer.send(data))

    def take(self, data: bytes) -> None:
        self.got += self.channel.receive(data)

    def send(self, plaintext: bytes) -> None:
        self.channel.send(plaintext)
        self.pump()


class Held:
    """A listener with a judge, and clients that come to it."""

    def __init__(self, world: Any, pki: Any, kind: str, version: int) -> None:
        self.world, self.pki, self.kind, self.version = world, pki, kind, version
        self.judge = Asked()
        options: dict[str, Any] = {"type": kind}
        if kind == "wss":
            options["websocket"] = WebSocketOptions()
        self.factory = world.listener(
            ListenerTLS(default=pki.mutual(), judge=self.judge),
            ssl_options=pki.options(verify="verify_peer", handshake_timeout=15.0),
            **options,
        )

    def client(self, early: bytes = b"") -> Client:
        peer = self.world.peer(self.factory)
        context = self.pki.client_context(self.pki.client_ec, version=self.version)
        client = Client(peer, context)
        client.shake(early)
        return client

    @property
    def first(self) -> bytes:
        return UPGRADE if self.kind == "wss" else CONNECT

    def decide(self, verdict: Verdict) -> None:
        self.judge.waiting.pop(0)(verdict)
        self.world.turn()


@pytest.fixture(params=[(kind, version) for kind in TYPES for version in VERSIONS])
def held(request: pytest.FixtureRequest, world: Any, pki: Any) -> Held:
    kind, version = request.param
    return Held(world, pki, kind, version)


def test_nothing_is_looked_at_before_the_verdict(held: Held, pki: Any) -> None:
    client = held.client(held.first)
    assert held.factory.gate.waiting == 1
    assert held.judge.chains[0][0] == pki.client_ec.cert
    assert client.peer.protocol.mqtt is None
    assert not client.peer.protocol.tls.admitted
    assert held.world.broker.counters.bytes_received == 0
    assert client.channel.handshake_complete is (held.version == SSL.TLS1_3_VERSION)
    held.world.pass_time(5)
    assert client.got == b""
    held.decide(ACCEPTED)
    client.take(client.peer.wire.take())
    client.pump()
    if held.kind == "ssl":
        assert client.got == CONNACK
    else:
        assert client.got.startswith(b"HTTP/1.1 101 ")
    assert held.factory.gate.waiting == 0
    assert not client.peer.wire.paused


def test_the_revoked_are_refused_and_nothing_of_theirs_was_looked_at(held: Held) -> None:
    client = held.client(held.first)
    held.decide(REVOKED)
    assert client.peer.wire.write_closed
    answer = client.peer.wire.take()
    if held.version == SSL.TLS1_3_VERSION:
        client.take(answer)
        assert client.channel.peer_closed
    else:
        with pytest.raises(TLSFailure) as caught:
            client.take(answer)
        assert caught.value.alert == "certificate_revoked"
    assert client.got == b""
    assert held.world.broker.counters.bytes_received == 0
    assert not held.world.broker.connections
    lines = [line for line in held.world.lines() if "refused" in line]
    assert len(lines) == 1
    assert "on 2026-11-20, key compromise" in lines[0]
    assert "CN=dev-ec" in lines[0]
    assert lines[0].endswith("[revoked]")
    client.peer.lose()
    assert held.factory.shutdown_counts == {"revoked": 1}


def test_an_answer_at_once(held: Held) -> None:
    held.judge.answer = ACCEPTED
    client = held.client()
    client.send(held.first)
    assert client.got


def test_a_refusal_at_once(held: Held) -> None:
    held.judge.answer = REVOKED
    peer = held.world.peer(held.factory)
    made = Client(peer, held.pki.client_context(held.pki.client_ec, version=held.version))
    if held.version == SSL.TLS1_3_VERSION:
        made.shake(held.first)
        assert made.channel.peer_closed
    else:
        with pytest.raises(TLSFailure):
            made.shake(held.first)
    assert peer.wire.write_closed
    assert held.world.broker.counters.bytes_received == 0


def test_the_gate_has_its_time(held: Held) -> None:
    held.factory.gate_timeout = 8.0
    client = held.client(held.first)
    held.world.pass_time(7)
    assert not client.peer.wire.write_closed
    held.world.pass_time(2)
    assert client.peer.wire.write_closed
    assert held.world.lines()[-1].endswith("[revocation-timeout]")
    assert held.factory.gate.waiting == 0
    # Too late: nothing happens.
    held.decide(ACCEPTED)
    assert held.world.broker.counters.bytes_received == 0
    assert not held.world.broker.connections


def test_a_client_that_goes_away_frees_its_place(held: Held) -> None:
    client = held.client(held.first)
    client.peer.lose()
    assert held.factory.gate.waiting == 0
    assert held.world.lines()[-1].endswith("[closed]")
    held.decide(REVOKED)
    assert len([line for line in held.world.lines() if "refused" in line]) == 1
    assert not held.factory.connections


def test_an_error_of_ours_ends_that_client_only(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = held.client(held.first), held.client(held.first)

    def fail(_self: Any, _records: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("mqttd.net.connection.NetworkConnection.tls_ready", fail)
    held.decide(ACCEPTED)
    monkeypatch.undo()
    assert client.peer.wire.aborted
    assert [failure.type for failure in held.world.failures()] == [ZeroDivisionError]
    held.decide(ACCEPTED)
    other.take(other.peer.wire.take())
    other.pump()
    assert other.got


def test_an_undecided_verdict_of_the_gate_lets_nobody_in(held: Held) -> None:
    client = held.client(held.first)
    held.decide(ASK)
    assert client.peer.wire.write_closed
    assert held.world.lines()[-1].endswith("[revocation-failed]")


@pytest.fixture
def tls13(world: Any, pki: Any) -> Held:
    return Held(world, pki, "ssl", SSL.TLS1_3_VERSION)


def test_a_client_that_says_much_is_not_read_while_it_waits(tls13: Held) -> None:
    client = tls13.client(CONNECT)
    assert not client.peer.wire.paused
    pings = b"\xc0\x00" * 3000
    client.send(pings)
    assert client.peer.wire.paused
    assert tls13.world.broker.counters.bytes_received == 0
    tls13.decide(ACCEPTED)
    assert not client.peer.wire.paused
    client.take(client.peer.wire.take())
    assert client.got == CONNACK + b"\xd0\x00" * 3000


def test_only_so_many_wait(tls13: Held) -> None:
    tls13.factory.gate = Gate(2)
    waiting = [tls13.client() for _ in range(2)]
    refused = tls13.client(CONNECT)
    assert refused.peer.wire.write_closed
    assert tls13.world.lines()[-1].endswith("[revocation-busy]")
    assert tls13.factory.gate.waiting == 2
    waiting[0].peer.lose()
    tls13.client()
    assert len(tls13.judge.waiting) == 3


def test_many_wait_and_each_gets_its_own_verdict(tls13: Held) -> None:
    clients = [tls13.client(CONNECT) for _ in range(30)]
    for number in range(30):
        tls13.decide(ACCEPTED if number % 2 else REVOKED)
    for number, client in enumerate(clients):
        client.take(client.peer.wire.take())
        assert client.got == (CONNACK if number % 2 else b"")
    assert tls13.factory.gate.waiting == 0


def test_close_notify_while_waiting(tls13: Held) -> None:
    client = tls13.client(CONNECT)
    client.channel.close()
    client.pump()
    tls13.decide(ACCEPTED)
    client.take(client.peer.wire.take())
    assert client.got == CONNACK
    assert client.channel.peer_closed


def test_the_broker_stops_while_a_client_waits(tls13: Held) -> None:
    client = tls13.client(CONNECT)
    tls13.factory.cut("the listener is stopped")
    assert client.peer.wire.write_closed
    tls13.decide(ACCEPTED)
    assert tls13.world.broker.counters.bytes_received == 0
    client.peer.lose()
    assert tls13.factory.gate.waiting == 0

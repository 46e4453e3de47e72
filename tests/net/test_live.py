"""Sessions follow the credential: what admitted a client is asked again when it changes."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from mqttd.config.schema.websocket import WebSocketOptions
from mqttd.net.credentials import fingerprint
from mqttd.net.live import MOST_ASKED, LiveTrust
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.decode import decode
from mqttd.packets.encode import encode
from mqttd.packets.framing import Framer
from mqttd.packets.subscribe import Subscribe, SubscribeTopic
from mqttd.tls.channel import TLSChannel
from mqttd.tls.listener_context import ListenerTLS
from mqttd.tls.verdict import ACCEPTED, ASK, Verdict

REVOKED = Verdict(23, "revoked", "on 2026-11-20, key compromise")
UNREACHABLE = Verdict(28, "crl-unreachable", "http://127.0.0.1:1/ca.crl: refused")


class Ruling:
    """A judge that says what the test wants, by common name."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.judged = 0
        self.waiting: list[tuple[str, Callable[[Verdict], None]]] = []

    def judge(self, chain: Sequence[x509.Certificate]) -> Verdict:
        self.judged += 1
        return self.verdicts.get(_name(chain), ACCEPTED)

    def ask(self, chain: Sequence[x509.Certificate], done: Callable[[Verdict], None]) -> None:
        self.waiting.append((_name(chain), done))


class Keys(dict[bytes, bytes]):
    def key_for(self, identity: bytes) -> bytes | None:
        return self.get(identity)


def _name(chain: Sequence[x509.Certificate]) -> str:
    return chain[0].subject.rfc4514_string()


class Client:
    """An MQTT client over TLS in front of a peer."""

    def __init__(self, peer: Any, context: SSL.Context) -> None:
        self.peer = peer
        self.level = 5
        self.channel = TLSChannel(context, server=False, server_hostname=b"localhost")
        self.channel.start()
        while data := self.channel.outgoing():
            self.channel.receive(peer.send(data))

    def connect(self, client_id: str, level: int = 5, **fields: Any) -> bytes:
        self.level = level
        return self.send(encode(Connect(client_id, level, **fields), level))

    def send(self, plaintext: bytes) -> bytes:
        self.channel.send(plaintext)
        return self.channel.receive(self.peer.send(self.channel.outgoing()))

    def told(self) -> Any:
        """The packet that waits for it, None without."""
        framer = Framer(1 << 20)
        framer.feed(self.channel.receive(self.peer.wire.take()))
        frame = framer.next_frame()
        return None if frame is None else decode(*frame, self.level, from_client=False)

    @property
    def gone(self) -> bool:
        return bool(self.peer.wire.disconnecting or self.peer.wire.write_closed)


class Lives:
    """A listener with a judge, its clients, and what watches over them."""

    def __init__(self, world: Any, pki: Any) -> None:
        self.world, self.pki = world, pki
        self.judge = Ruling()
        self.factory = self.listener(judge=self.judge)
        self.live = LiveTrust(world.factories, world.reactor)
        self._port = 1000

    def listener(self, *, server: Any = None, enforce: bool = True, **tls: Any) -> Any:
        return self.world.listener(
            ListenerTLS(default=server or self.pki.mutual(), **tls),
            type="ssl",
            ssl_options=self.pki.options(verify="verify_peer", live_enforcement=enforce),
        )

    def client(self, certificate: Any = None, factory: Any = None) -> Client:
        self._port += 1
        peer = self.world.peer(factory or self.factory, port=self._port)
        context = self.pki.client_context(certificate or self.pki.client_ec)
        return Client(peer, context)

    def change(self, listeners: list[str] | None = None) -> None:
        self.live.credentials_changed(listeners)
        self.settle()

    def settle(self) -> None:
        for _ in range(1000):
            self.world.turn()
            if self.live._call is None:
                return
        pytest.fail("it does not end")

    def cut_lines(self) -> list[str]:
        return [line for line in self.world.lines() if "session" in line]


@pytest.fixture
def lives(world: Any, pki: Any) -> Lives:
    return Lives(world, pki)


# --- certificates ---------------------------------------------------------------------------


def test_the_revoked_are_told_and_the_others_stay(lives: Lives, pki: Any) -> None:
    bad, old, good = lives.client(), lives.client(), lives.client(pki.client_rsa)
    bad.connect("bad")
    old.connect("old", level=4)
    good.connect("good")
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.change()
    told = bad.told()
    assert told.reason_code == 0x87
    assert told.properties.reason_string == "client certificate revoked"
    assert old.told() is None
    assert bad.gone
    assert old.gone
    assert not good.gone
    lines = lives.cut_lines()
    assert len(lines) == 2
    assert "client bad [192.0.2.7:1001]: on 2026-11-20, key compromise; " in lines[0] + lines[1]
    assert all("CN=dev-ec, serial " in line and line.endswith("[revoked]") for line in lines)
    # One certificate is judged once in a round, whoever has it.
    assert lives.judge.judged == 3 + 2
    bad.peer.lose()
    assert lives.factory.shutdown_counts == {"revoked": 1}
    assert lives.live.ended == 2
    assert not lives.live.busy


def test_the_will_of_a_client_that_is_cut_is_published(lives: Lives, pki: Any) -> None:
    watcher = lives.client(pki.client_rsa)
    watcher.connect("watcher")
    watcher.send(encode(Subscribe(1, [SubscribeTopic("will/#")]), 5))
    bad = lives.client()
    bad.connect("bad", will=ConnectWill(b"will/bad", b"gone"))
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.change()
    assert bad.gone
    published = watcher.told()
    assert (published.topic, published.payload) == (b"will/bad", b"gone")


def test_a_client_that_has_not_said_connect_is_dropped_too(lives: Lives) -> None:
    silent = lives.client()
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.change()
    assert silent.gone
    assert silent.told() is None
    assert not lives.world.broker.connections


def test_only_the_listeners_named_are_looked_at(lives: Lives) -> None:
    client = lives.client()
    client.connect("c")
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.change(["ssl:other"])
    assert not client.gone
    lives.change(["ssl:default"])
    assert client.gone


def test_without_live_enforcement_nobody_is_cut(lives: Lives) -> None:
    factory = lives.listener(judge=lives.judge, enforce=False)
    client = lives.client(factory=factory)
    client.connect("c")
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.change()
    assert not client.gone
    lives.world.pass_time(3)
    assert not client.gone


def test_what_is_not_known_is_asked_and_then_cut(lives: Lives, pki: Any) -> None:
    clients = [lives.client() for _ in range(3)]
    other = lives.client(pki.client_rsa)
    for client in (*clients, other):
        client.connect("")
    lives.judge.verdicts = {"CN=dev-ec": ASK, "CN=dev-rsa": ASK}
    lives.change()
    assert sorted(name for name, _ in lives.judge.waiting) == ["CN=dev-ec", "CN=dev-rsa"]
    assert lives.live.busy
    assert not any(client.gone for client in clients)
    for name, done in lives.judge.waiting:
        done(REVOKED if name == "CN=dev-ec" else ACCEPTED)
    lives.settle()
    assert all(client.gone for client in clients)
    told = clients[0].told().properties.reason_string
    assert told == "client certificate revoked"
    assert not other.gone
    assert not lives.live.busy


@pytest.mark.parametrize("at_once", [True, False])
def test_a_session_stays_while_nobody_can_say(lives: Lives, at_once: bool) -> None:
    client = lives.client()
    client.connect("c")
    lives.judge.verdicts = {"CN=dev-ec": UNREACHABLE if at_once else ASK}
    lives.change()
    for _, done in lives.judge.waiting:
        done(UNREACHABLE)
    lives.settle()
    assert not client.gone


def test_only_so_many_are_asked_about_at_a_time(lives: Lives, pki: Any) -> None:
    names = [f"n{number}" for number in range(MOST_ASKED + 5)]
    key = pki.client_ec.key
    clients = [lives.client(pki.root.client(name, key=key)) for name in names]
    lives.judge.verdicts = {f"CN={name}": ASK for name in names}
    lives.change()
    assert len(lives.judge.waiting) == MOST_ASKED
    lives.judge.waiting.pop()[1](REVOKED)
    lives.settle()
    assert len(lives.judge.waiting) == MOST_ASKED
    while lives.judge.waiting:
        lives.judge.waiting.pop()[1](REVOKED)
        lives.settle()
    assert all(client.gone for client in clients)


def test_a_client_that_leaves_meanwhile_is_nobodys_loss(lives: Lives) -> None:
    client, other = lives.client(), lives.client()
    lives.judge.verdicts["CN=dev-ec"] = ASK
    lives.change()
    client.peer.lose()
    lives.judge.waiting.pop()[1](REVOKED)
    lives.settle()
    assert other.gone
    assert len(lives.cut_lines()) == 1


def test_changes_in_a_row_are_all_looked_at(lives: Lives) -> None:
    client = lives.client()
    client.connect("c")
    lives.live.credentials_changed()
    lives.live.credentials_changed(["ssl:default"])
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.live.credentials_changed(["ssl:default"])
    lives.settle()
    assert client.gone


def test_many_are_cut_in_slices_with_few_lines(lives: Lives) -> None:
    clients = [lives.client() for _ in range(30)]
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.change()
    assert all(client.gone for client in clients)
    lines = lives.cut_lines()
    assert len(lines) == 21
    assert lines[-1] == "10 more sessions ended: revoked 10"


def test_the_stop_ends_the_work(lives: Lives) -> None:
    client = lives.client()
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.live.credentials_changed()
    lives.live.stop()
    lives.world.turn()
    lives.live.credentials_changed()
    lives.world.turn()
    assert not client.gone


# --- during the handshake -------------------------------------------------------------------


def _half(lives: Lives, certificate: Any = None) -> Any:
    """A client whose handshake lacks its last flight, and that flight."""
    peer = lives.world.peer(lives.factory)
    context = lives.pki.client_context(
        certificate or lives.pki.client_ec, version=SSL.TLS1_3_VERSION
    )
    channel = TLSChannel(context, server=False, server_hostname=b"localhost")
    channel.start()
    channel.receive(peer.send(channel.outgoing()))
    return peer, channel.outgoing()


def test_a_change_during_the_handshake_is_not_missed(lives: Lives) -> None:
    peer, flight = _half(lives)
    # All but the last bytes: the certificate is verified, the handshake is not over.
    peer.send(flight[:-5])
    assert lives.judge.judged == 1
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.change()
    assert not peer.wire.write_closed
    peer.send(flight[-5:])
    assert peer.wire.write_closed
    assert not lives.world.broker.connections
    assert lives.world.lines()[-1].endswith("[revoked]")


def test_a_change_while_the_gate_holds_is_not_missed(lives: Lives, pki: Any) -> None:
    lives.judge.verdicts["CN=dev-ec"] = ASK
    client = lives.client()
    lives.factory.configure_with(
        lives.factory.options,
        lives.factory.limits,
        ListenerTLS(default=pki.mutual(cacertfile=_pem(pki.other_root.cert)), judge=lives.judge),
    )
    lives.change()
    lives.judge.waiting.pop()[1](ACCEPTED)
    lives.world.turn()
    assert client.gone
    assert lives.world.lines()[-1].endswith("[unknown-ca]")


# --- authorities ----------------------------------------------------------------------------


def _pem(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


def test_an_authority_that_is_taken_away(lives: Lives, pki: Any) -> None:
    both = _pem(pki.root.cert, pki.other_root.cert)
    factory = lives.listener(server=pki.mutual(cacertfile=both))
    chained = pki.intermediate.client("chained")
    mine, stranger = lives.client(chained, factory), lives.client(pki.stranger, factory)
    mine.connect("mine")
    stranger.connect("stranger")
    factory.configure_with(factory.options, factory.limits, ListenerTLS(default=pki.mutual()))
    lives.change()
    assert not mine.gone
    assert stranger.told().properties.reason_string == "authority no longer trusted"
    assert stranger.gone
    # Looked at, and good: the next round has nothing to verify.
    assert mine.peer.protocol.tls.server is factory.tls_context.default


def test_the_chain_is_known_and_its_issuers_are_shared(lives: Lives, pki: Any) -> None:
    chained = pki.intermediate.client("chained")
    one, two = (lives.client(chained).peer.protocol.tls for _ in range(2))
    assert one.chain() == (chained.cert, pki.intermediate.cert, pki.root.cert)
    assert one._issuers is two._issuers
    assert one.channel.chain == ()


# --- pre-shared keys ------------------------------------------------------------------------


def _admitted_by_key(lives: Lives, keys: Keys, identity: bytes) -> Any:
    """A session as one that a pre-shared key admitted; handshakes are tested elsewhere."""
    factory = lives.listener(server=lives.pki.server_context(), psk=keys)
    client = lives.client(factory=factory)
    protocol = client.peer.protocol
    protocol.peer = attrs.evolve(protocol.peer, psk_identity=identity)
    protocol.tls.key_fingerprint = fingerprint(keys[identity])
    client.connect("dev")
    return client


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, None),
        ({b"dev2": b"k" * 16}, None),
        ({b"dev1": b"K" * 16}, "pre-shared key changed"),
        (None, "pre-shared key withdrawn"),
    ],
)
def test_pre_shared_keys(lives: Lives, change: dict[bytes, bytes] | None, text: Any) -> None:
    keys = Keys({b"dev1": b"k" * 16})
    client = _admitted_by_key(lives, keys, b"dev1")
    if change is None:
        keys.clear()
    else:
        keys.update(change)
    lives.change()
    assert client.gone is (text is not None)
    if text is not None:
        assert client.told().properties.reason_string == text
        assert "PSK identity 'dev1'" in lives.cut_lines()[0]
        assert not any("k" * 16 in line or "6b6b6b6b" in line for line in lives.world.lines())


def test_pre_shared_keys_that_are_turned_off(lives: Lives) -> None:
    client = _admitted_by_key(lives, Keys({b"dev1": b"k" * 16}), b"dev1")
    factory = client.peer.protocol.factory
    factory.configure_with(
        factory.options, factory.limits, ListenerTLS(default=lives.pki.server_context())
    )
    lives.change()
    assert client.gone


# --- notAfter -------------------------------------------------------------------------------


def test_a_certificate_that_ends(lives: Lives, pki: Any) -> None:
    end = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(hours=1)
    short = lives.client(pki.root.client("short", end=end))
    long = lives.client()
    for client in (short, long):
        client.connect("")
    lives.factory._wall_clock = lambda: end.timestamp() - 1
    lives.world.pass_time(2)
    assert not short.gone
    lives.factory._wall_clock = end.timestamp
    lives.world.pass_time(1)
    told = short.told()
    assert told.reason_code == 0x87
    assert told.properties.reason_string == "client certificate expired"
    assert lives.cut_lines()[0].endswith("[certificate-expired]")
    assert not long.gone
    lives.world.pass_time(2)
    assert short.peer.wire.aborted


def test_many_certificates_that_end_at_once(lives: Lives) -> None:
    clients = [lives.client() for _ in range(30)]
    lives.factory._wall_clock = lambda: float("inf")
    lives.world.pass_time(1)
    lives.world.turn()
    assert all(client.gone for client in clients)
    lines = lives.cut_lines()
    assert len(lines) == 21
    assert lines[-1] == "10 more sessions ended: certificate-expired 10"


def test_a_check_that_fails_ends_nobody_and_is_told_once(
    lives: Lives, pki: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [lives.client(), lives.client(pki.client_rsa)]

    def fail(_chain: object) -> Verdict:
        raise ZeroDivisionError

    monkeypatch.setattr(lives.judge, "judge", fail)
    lives.change()
    assert [failure.type for failure in lives.world.failures()] == [ZeroDivisionError]
    assert not any(client.gone for client in clients)
    monkeypatch.undo()
    lives.judge.verdicts["CN=dev-ec"] = REVOKED
    lives.change()
    assert [client.gone for client in clients] == [True, False]


def test_a_certificate_that_ends_before_the_websocket_is_open(lives: Lives, pki: Any) -> None:
    factory = lives.world.listener(
        pki.mutual(),
        type="wss",
        websocket=WebSocketOptions(),
        ssl_options=pki.options(verify="verify_peer"),
    )
    client = lives.client(factory=factory)
    factory._wall_clock = lambda: float("inf")
    lives.world.pass_time(1)
    assert client.gone
    assert lives.world.lines()[-1].endswith("[certificate-expired]")


# --- a listener that is stopped -------------------------------------------------------------


def test_a_listener_cuts_its_clients(lives: Lives) -> None:
    client, silent = lives.client(), lives.client()
    client.connect("c")
    lives.factory.cut("the listener is stopped")
    lives.world.turn()
    told = client.told()
    assert told.reason_code == 0x98
    assert told.properties.reason_string == "the listener is stopped"
    assert client.gone
    assert silent.gone
    for each in (client, silent):
        each.peer.lose()
    assert lives.factory.shutdown_counts == {"stopping": 2}
    assert lives.factory.most_connections == 2

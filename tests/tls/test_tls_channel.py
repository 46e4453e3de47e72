"""Two channels against each other in memory: handshakes, data, closing."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from OpenSSL import SSL

from mqttd.tls import native
from mqttd.tls.channel import TLSChannel, TLSInfo
from mqttd.tls.failure import TLSFailure

if TYPE_CHECKING:
    from tests.conftest import Pki
    from tests.tls.conftest import Joined

    Join = Callable[..., Joined]

TLS12 = SSL.TLS1_2_VERSION
TLS13 = SSL.TLS1_3_VERSION
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls1.2", "tls1.3"])


@VERSIONS
@pytest.mark.parametrize("server", ["ec", "rsa"])
@pytest.mark.parametrize("client", [None, "client_ec", "client_rsa"])
def test_handshake(pki: Pki, join: Join, version: int, server: str, client: str | None) -> None:
    certificate = getattr(pki, client) if client else None
    make = pki.mutual if client else pki.server_context
    pair = join(pki.client_context(certificate, version=version), make(getattr(pki, server)))
    assert pair.server.info() == TLSInfo()
    assert pair.server.peer_certificate() is None
    pair.run()
    assert pair.client.handshake_complete
    assert pair.server.handshake_complete
    info = pair.server.info()
    assert info == pair.client.info()
    assert info.version == ("TLSv1.2" if version == TLS12 else "TLSv1.3")
    assert info.sni == "localhost"
    if version == TLS12:
        assert info.cipher == f"ECDHE-{'ECDSA' if server == 'ec' else 'RSA'}-AES128-GCM-SHA256"
        assert info.group == "x25519"
    else:
        assert info.cipher == "TLS_AES_256_GCM_SHA384"
        assert info.group == "X25519MLKEM768"
    peer = pair.server.peer_certificate()
    assert (peer and peer.common_name) == (client and client.replace("client_", "dev-"))
    assert pair.server.psk_identity is None
    pair.client.send(b"to the server")
    pair.server.send(b"to the client")
    pair.run()
    assert (pair.to_server, pair.to_client) == (b"to the server", b"to the client")


@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
@pytest.mark.parametrize("server", ["ec", "rsa"])
def test_legacy_versions_when_listed(pki: Pki, join: Join, version: int, server: str) -> None:
    everything = ["tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"]
    context = pki.mutual(getattr(pki, server), versions=everything)
    client = pki.client_context(pki.client_ec, version=version, ciphers=b"DEFAULT:@SECLEVEL=0")
    pair = join(client, context)
    pair.run()
    info = pair.server.info()
    assert info.version == ("TLSv1" if version == SSL.TLS1_VERSION else "TLSv1.1")
    assert pair.server.peer_certificate() is not None


def test_newest_version_is_chosen_with_legacy_ones_listed(pki: Pki, join: Join) -> None:
    everything = ["tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"]
    pair = join(pki.client_context(), pki.server_context(versions=everything))
    pair.run()
    info = pair.server.info()
    assert info.version == "TLSv1.3"


@VERSIONS
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_one_byte_at_a_time(
    pki: Pki, join: Join, version: int, kind: Callable[[bytes], bytes]
) -> None:
    pair = join(pki.client_context(pki.client_rsa, version=version), pki.mutual(pki.rsa))
    receive = pair.server.receive
    pair.client.start()
    said = b""
    while not (pair.server.handshake_complete and pair.client.handshake_complete):
        up = pair.client.outgoing()
        for at in range(len(up)):
            said += receive(kind(up[at : at + 1]))
        down = pair.server.outgoing()
        for at in range(len(down)):
            assert pair.client.receive(down[at : at + 1]) == b""
    pair.client.send(b"ping")
    for byte in pair.client.outgoing():
        said += receive(kind(bytes([byte])))
    assert said == b"ping"


@VERSIONS
def test_large_data_both_ways_in_odd_pieces(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(version=version), pki.server_context())
    pair.run()
    data = random.Random(7).randbytes(1_000_003)
    pair.client.send(data)
    pair.server.send(data[::-1])
    pair.run(chunk=40_009)
    assert pair.to_server == data
    assert pair.to_client == data[::-1]


def test_records_hold_at_most_16_kib(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(), pki.server_context())
    pair.run()
    pair.client.send(bytes(100_000))
    wire = pair.client.outgoing()
    sizes = []
    while wire:
        size = int.from_bytes(wire[3:5])
        assert wire[:3] == b"\x17\x03\x03"
        sizes.append(size)
        wire = wire[5 + size :]
    assert len(sizes) == 7
    assert max(sizes) <= 16384 + 256  # RFC 8446 section 5.2


def test_one_send_is_one_record(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(version=TLS13), pki.server_context())
    pair.run()
    pair.server.send(b"x" * 1000)
    wire = pair.server.outgoing()
    assert len(wire) == 5 + 1000 + 1 + 16
    pair.server.send(b"")
    assert pair.server.outgoing() == b""


def test_many_records_in_one_receive(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(), pki.server_context())
    pair.run()
    for number in range(3000):
        pair.client.send(b"%05d" % number * 10)
    wire = pair.client.outgoing()
    assert pair.server.receive(wire) == b"".join(b"%05d" % number * 10 for number in range(3000))
    assert pair.server.receive(b"") == b""


def test_plaintext_is_never_longer_than_ciphertext(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(), pki.server_context())
    pair.run()
    pair.client.send(bytes(200_000))
    wire = pair.client.outgoing()
    for at in range(0, len(wire), 5000):
        piece = wire[at : at + 5000]
        # A record is decrypted when its last byte arrives: never more than one was waiting.
        assert len(pair.server.receive(piece)) <= len(piece) + 16384


@VERSIONS
def test_sent_before_the_handshake_is_kept_in_order(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(version=version), pki.server_context())
    pair.client.send(b"first ")
    pair.client.send(b"second")
    assert pair.client.outgoing() == b""
    pair.run()
    pair.client.send(b" third")
    pair.run()
    assert pair.to_server == b"first second third"


@VERSIONS
def test_last_flight_waits_in_outgoing(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(version=version), pki.server_context())
    pair.client.start()
    while not pair.server.handshake_complete:
        pair.server.receive(pair.client.outgoing())
        if not pair.server.handshake_complete:
            pair.client.receive(pair.server.outgoing())
    assert pair.client.handshake_complete is (version == TLS13)
    held = pair.server.outgoing()
    assert held
    pair.client.receive(held)
    assert pair.client.handshake_complete


@VERSIONS
def test_close_notify_both_ways(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(version=version), pki.server_context())
    pair.run()
    pair.client.send(b"bye")
    pair.client.close()
    pair.run()
    assert pair.to_server == b"bye"
    assert pair.server.peer_closed
    assert not pair.client.peer_closed
    pair.server.close()
    pair.run()
    assert pair.client.peer_closed
    assert pair.server.receive(b"noise after the end") == b""


def test_after_close_notify_the_other_half_still_sends(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(version=TLS13), pki.server_context())
    pair.run()
    pair.client.close()
    pair.run()
    pair.server.send(b"late answer")
    pair.run()
    assert pair.to_client == b"late answer"
    pair.client.send(b"dropped")
    assert pair.client.outgoing() == b""


def test_data_and_close_notify_in_one_chunk(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(), pki.server_context())
    pair.run()
    pair.client.send(b"last words")
    pair.client.close()
    assert pair.server.receive(pair.client.outgoing()) == b"last words"
    assert pair.server.peer_closed


def test_close_before_the_handshake_says_nothing(pki: Pki) -> None:
    server = TLSChannel(pki.server_context())
    server.close()
    assert server.outgoing() == b""
    server.start()
    assert server.outgoing() == b""


def test_eof_during_the_handshake_is_a_failure(pki: Pki, join: Join) -> None:
    server = TLSChannel(pki.server_context())
    with pytest.raises(TLSFailure, match="having said nothing") as caught:
        server.eof()
    assert caught.value.kind == "truncated"
    assert caught.value.alert is None
    pair = join(pki.client_context(), pki.server_context())
    pair.client.start()
    hello = pair.client.outgoing()
    pair.server.receive(hello[:100])
    with pytest.raises(TLSFailure, match="in the middle of the handshake"):
        pair.server.eof()
    pair.server.eof()  # said once


@VERSIONS
def test_eof_after_our_certificate(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(version=version), pki.server_context())
    pair.client.start()
    pair.server.receive(pair.client.outgoing())
    with pytest.raises(TLSFailure, match="our certificate, which it may not trust"):
        pair.server.eof()
    with pytest.raises(TLSFailure, match="having answered nothing"):
        pair.client.eof()


def test_nothing_is_left_to_the_garbage_collector(pki: Pki, join: Join) -> None:
    good = join(pki.client_context(), pki.server_context())
    good.run()
    bad = TLSChannel(pki.server_context())
    with pytest.raises(TLSFailure):
        bad.receive(b"GET / HTTP/1.1\r\n\r\n")
    connections = [weakref.ref(c._connection) for c in (good.client, good.server, bad)]
    gc.disable()
    try:
        del good, bad
        assert [connection() for connection in connections] == [None, None, None]
    finally:
        gc.enable()


def test_eof_later_is_none(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(), pki.server_context())
    pair.run()
    pair.server.eof()
    pair.server.send(b"x")
    assert pair.server.outgoing()


@VERSIONS
def test_tampered_record(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(version=version), pki.server_context())
    pair.run()
    pair.client.send(b"good")
    good = pair.client.outgoing()
    pair.client.send(b"evil")
    evil = bytearray(pair.client.outgoing())
    evil[-1] ^= 1
    with pytest.raises(TLSFailure) as caught:
        pair.server.receive(good + bytes(evil))
    failure = caught.value
    assert failure.kind == "record"
    assert failure.plaintext == b"good"
    assert (failure.alert, failure.alert_number, failure.alert_sent) == (
        "bad_record_mac",
        20,
        True,
    )
    assert pair.server.receive(b"more") == b""
    pair.server.send(b"dropped")
    pair.server.close()
    with pytest.raises(TLSFailure) as caught:
        pair.client.receive(pair.server.outgoing())
    assert (caught.value.alert_number, caught.value.alert_sent) == (20, False)
    assert pair.server.outgoing() == b""


@VERSIONS
def test_replayed_record_is_refused(pki: Pki, join: Join, version: int) -> None:
    pair = join(pki.client_context(version=version), pki.server_context())
    pair.run()
    pair.client.send(b"once")
    wire = pair.client.outgoing()
    assert pair.server.receive(wire) == b"once"
    with pytest.raises(TLSFailure, match="damaged or forged"):
        pair.server.receive(wire)


def test_renegotiation_is_refused(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(version=TLS12), pki.server_context())
    pair.run()
    assert pair.client._connection.renegotiate()
    with pytest.raises(SSL.WantReadError):
        pair.client._connection.do_handshake()
    hello = pair.client.outgoing()
    assert hello[0] == 22
    pair.server.receive(hello)
    answer = pair.server.outgoing()
    assert answer[0] == 21  # an alert (no_renegotiation), not a ServerHello
    pair.server.send(b"unimpressed")
    assert not pair.server.peer_closed


def test_a_session_is_never_resumed(pki: Pki, join: Join) -> None:
    context = pki.mutual()
    for version in (TLS12, TLS13):
        client = pki.client_context(pki.client_ec, version=version)
        first = join(client, context)
        first.run()
        session = first.client._connection.get_session()
        assert session is not None
        again = join(client, context)
        again.client._connection.set_session(session)
        again.run()
        assert again.server.handshake_complete
        assert not native._lib.SSL_session_reused(again.server._handles.ssl)
        assert again.server.peer_certificate() is not None


def test_errors_left_by_others_do_no_harm(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(), pki.server_context())
    native._lib.ERR_put_error(20, 0, 123, b"elsewhere", 1)
    pair.run()
    native._lib.ERR_put_error(20, 0, 123, b"elsewhere", 1)
    pair.client.send(b"fine")
    pair.run()
    assert pair.to_server == b"fine"
    native.take_errors()


def test_two_connections_do_not_mix(pki: Pki, join: Join) -> None:
    context = pki.mutual()
    pairs = [
        join(pki.client_context(certificate), context)
        for certificate in (pki.client_ec, pki.client_rsa)
    ]
    for pair in pairs:
        pair.client.start()
    for _ in range(4):
        for pair in pairs:
            pair.server.receive(pair.client.outgoing())
        for pair in reversed(pairs):
            pair.client.receive(pair.server.outgoing())
    names = [pair.server.peer_certificate() for pair in pairs]
    assert [name and name.common_name for name in names] == ["dev-ec", "dev-rsa"]


def test_memory_of_large_moments_is_given_back(pki: Pki, join: Join) -> None:
    pair = join(pki.client_context(), pki.server_context())
    pair.run()
    into, outof = pair.server._handles.into, pair.server._handles.outof
    pair.client.send(bytes(100_000))
    pair.server.send(bytes(100_000))
    pair.run()
    assert pair.server._handles.into != into
    assert pair.server._handles.outof != outof
    into, outof = pair.server._handles.into, pair.server._handles.outof
    pair.client.send(bytes(1000))
    pair.server.send(bytes(1000))
    pair.run()
    assert (pair.server._handles.into, pair.server._handles.outof) == (into, outof)
    assert len(pair.to_server) == len(pair.to_client) == 101_000


@pytest.mark.parametrize("host", [b"127.0.0.1", b"localhost"])
def test_client_accepts_the_name_or_address_it_asked_for(
    pki: Pki, join: Join, host: bytes
) -> None:
    pair = join(pki.client_context(), pki.server_context(), host)
    pair.run()
    info = pair.server.info()
    assert info.sni == (None if host == b"127.0.0.1" else "localhost")

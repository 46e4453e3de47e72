"""What a client offers, read from whatever it sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from mqttd.tls.channel import TLSChannel
from mqttd.tls.client_hello import ClientHello, parse_client_hello

if TYPE_CHECKING:
    from tests.conftest import Pki


def hello_of(context: SSL.Context, host: bytes | None = b"a.test") -> bytes:
    client = TLSChannel(context, server=False)
    if host is not None:
        client._connection.set_tlsext_host_name(host)
    client.start()
    return client.outgoing()


@pytest.fixture(scope="module")
def hello(pki: Pki) -> bytes:
    return hello_of(pki.client_context(alpn=[b"mqtt", b"h2"]))


def in_records(hello: bytes, size: int) -> bytes:
    """The same message, in records of ``size`` bytes."""
    message = hello[5:]
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(hello[:3] + len(piece).to_bytes(2) + piece for piece in pieces)


def test_openssl(hello: bytes) -> None:
    found = parse_client_hello(hello)
    assert found is not None
    assert found.versions == (0x0304, 0x0303)
    assert {0x1301, 0xC02B} < set(found.suites)
    assert found.sni == "a.test"
    assert found.alpn == (b"mqtt", b"h2")
    assert found.groups[0] in (0x11EC, 0x001D)
    assert not found.psk


def test_older_clients_name_one_version(pki: Pki) -> None:
    context = pki.client_context(version=SSL.TLS1_2_VERSION, ciphers=b"ECDHE-RSA-AES128-SHA256")
    found = parse_client_hello(hello_of(context, None))
    assert found is not None
    assert found.versions == (0x0303,)
    assert found.suites[0] == 0xC027
    assert (found.sni, found.alpn) == (None, ())


@pytest.mark.parametrize("size", [1, 40, 300])
def test_split_over_records(hello: bytes, size: int) -> None:
    assert parse_client_hello(in_records(hello, size)) == parse_client_hello(hello)


def test_part_of_it_says_what_it_can(hello: bytes) -> None:
    whole = parse_client_hello(hello)
    assert whole is not None
    for size in range(len(hello)):
        found = parse_client_hello(hello[:size])
        if found is not None:
            assert found.suites == whole.suites
            assert found.sni in (None, whole.sni)


@given(st.binary(max_size=200))
def test_garbage_is_no_hello(data: bytes) -> None:
    assert parse_client_hello(data) is None or data[:2] == b"\x16\x03"


@given(at=st.integers(0, 400), with_=st.binary(min_size=1, max_size=8))
def test_damage_never_raises(hello: bytes, at: int, with_: bytes) -> None:
    damaged = hello[:at] + with_ + hello[at + len(with_) :]
    assert isinstance(parse_client_hello(damaged), ClientHello | None)


def test_a_channel_tells_what_was_offered(pki: Pki) -> None:
    server = TLSChannel(pki.server_context())
    assert server.hello() is None
    data = hello_of(pki.client_context())
    server.receive(data[:200])
    server.receive(data[200:])
    found = server.hello()
    assert found is not None
    assert found.sni == "a.test"

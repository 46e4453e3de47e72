"""Writing at once: nothing is lost, doubled or overtaken, whatever the socket takes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock, StringTransport

from mqttd.net.wire import write_now


class Pair:
    """A server transport of Twisted's on one end of a socket pair."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.peer.setblocking(False)
        self.reactor = MemoryReactorClock()
        address = ("127.0.0.1", 1)
        self.transport = Server(ours, Protocol(), address, None, 0, self.reactor)  # type: ignore[arg-type]
        self.transport.connected = 1

    def read(self) -> bytes:
        """What has arrived."""
        data = b""
        while True:
            try:
                data += self.peer.recv(1 << 20)
            except BlockingIOError:
                return data


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.peer.close()
    made.transport.socket.close()


def test_an_idle_socket_is_written_to_at_once(pair: Pair) -> None:
    write_now(pair.transport, b"hello")
    assert pair.read() == b"hello"
    assert not pair.reactor.getWriters()


def test_what_waits_is_not_overtaken(pair: Pair) -> None:
    pair.transport.write(b"first ")
    write_now(pair.transport, b"second")
    assert pair.read() == b""
    pair.transport.doWrite()
    assert pair.read() == b"first second"


def test_what_does_not_fit_waits_for_the_reactor(pair: Pair) -> None:
    data = bytes(range(256)) * 40_000
    write_now(pair.transport, data)
    write_now(pair.transport, b"end")
    assert pair.reactor.getWriters() == [pair.transport]
    got = pair.read()
    while pair.transport.dataBuffer or pair.transport._tempDataLen:
        pair.transport.doWrite()
        got += pair.read()
    assert got == data + b"end"


def test_a_socket_that_broke_is_left_to_the_reactor(pair: Pair) -> None:
    pair.peer.close()
    write_now(pair.transport, b"hello")
    assert pair.reactor.getWriters() == [pair.transport]


def test_a_closed_side_takes_nothing(pair: Pair) -> None:
    pair.transport._writeDisconnected = True
    write_now(pair.transport, b"hello")
    assert pair.read() == b""


def test_other_transports_just_write() -> None:
    transport = StringTransport()
    write_now(transport, b"hello")
    assert transport.value() == b"hello"

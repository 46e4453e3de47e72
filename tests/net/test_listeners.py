"""A listener as an open port of the kernel's choice, and why one cannot be opened."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from mqttd.config.schema.tcp import TcpOptions
from mqttd.config.types import Bind
from mqttd.net.listeners import Listener, ListenError


@pytest.fixture
def reactor() -> Iterator[Any]:
    """A reactor of its own, which never runs."""
    from twisted.internet.selectreactor import SelectReactor

    reactor = SelectReactor()
    yield reactor
    for reader in list(reactor._internalReaders):
        reader.connectionLost(None)


@pytest.fixture
def listener(world: Any, reactor: Any) -> Iterator[Any]:
    made: list[Listener] = []

    def make(**options: Any) -> Listener:
        made.append(Listener(world.listener(**options), reactor))
        return made[-1]

    yield make
    for each in made:
        if each._port is not None:
            each._port.connectionLost(None)


def test_port_0_becomes_a_real_port(listener: Any) -> None:
    made = listener(type="ws", name="x")
    assert (made.id, made.running, made.address) == ("ws:x", False, "127.0.0.1:0")
    made.open()
    assert made.running
    assert made.port > 0
    assert made.address == f"127.0.0.1:{made.port}"
    with socket.create_connection(("127.0.0.1", made.port), 5):
        pass


def test_ipv6_is_shown_with_brackets(listener: Any) -> None:
    made = listener(bind=Bind("::1", 0))
    made.open()
    assert made.address == f"[::1]:{made.port}"
    with socket.create_connection(("::1", made.port), 5):
        pass


def test_a_busy_port_names_listener_and_port(listener: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        made = listener(type="ssl", name="external", bind=Bind("127.0.0.1", port))
        with pytest.raises(ListenError) as caught:
            made.open()
    assert str(caught.value) == (
        f"ssl:external: cannot listen on 127.0.0.1:{port}: the port is in use; stop the other "
        "program or change bind"
    )
    assert not made.running


def test_an_address_of_another_machine_is_named(listener: Any) -> None:
    made = listener(bind=Bind("192.0.2.1", 1))
    with pytest.raises(ListenError, match=r"192\.0\.2\.1:1: this machine does not have"):
        made.open()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "ports below 1024 need root"), (errno.EMFILE, "Too many open files")],
)
def test_other_reasons(
    listener: Any, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", fail)
    with pytest.raises(ListenError, match=words):
        listener(bind=Bind("127.0.0.1", 1)).open()


def test_buffers_and_backlog_are_set_before_the_port_listens(listener: Any) -> None:
    made = listener(tcp_options=TcpOptions(recbuf=20_000, sndbuf=30_000, backlog=7))
    made.open()
    handle = made._port.socket
    # Linux doubles them
    assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 40_000
    assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 60_000
    assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert made._port.backlog == 7


def test_reuseaddr_can_be_off(listener: Any) -> None:
    made = listener(tcp_options=TcpOptions(reuseaddr=False))
    made.open()
    assert not made._port.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_closing_what_never_opened_is_done_at_once(listener: Any) -> None:
    fired: list[object] = []
    listener().close().addCallback(fired.append)
    assert fired == [None]

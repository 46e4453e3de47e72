"""Peers that take their time: before TLS, before CONNECT, and within a packet."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from mqttd.packets.connack import Connack
from mqttd.packets.connect import Connect
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish

SWEEP = 2.5
"""Seconds: deadlines are looked at once a second, and a close lingers for one more."""


@pytest.mark.parametrize("kind", ["tcp", "ssl", "ws"])
@pytest.mark.parametrize("said", [b"", b"\x10\x0d\x00\x04MQ"], ids=["nothing", "a part"])
def test_connect_must_come_in_time(broker: Any, client: Any, kind: str, said: bytes) -> None:
    """A half-open CONNECT is closed after idle_timeout."""
    running = broker("mqtt.idle_timeout = 2s")
    idle = client(running, kind)
    if said:
        idle.send_bytes(said)
    assert 1.5 < idle.seconds_to_end() < 2 + SWEEP


def test_a_silent_tls_client(broker: Any) -> None:
    """The handshake must be over within handshake_timeout."""
    running = broker()
    with socket.create_connection(("127.0.0.1", running.ports["ssl:default"])) as silent:
        silent.settimeout(10)
        started = time.monotonic()
        assert not silent.recv(100)
        assert 1.5 < time.monotonic() - started < 2 + SWEEP


@pytest.mark.parametrize("kind", ["tcp", "ssl", "ws"])
def test_one_byte_at_a_time(broker: Any, client: Any, kind: str) -> None:
    """A small link is no fault."""
    running = broker()
    slow = client(running, kind).connect("reader").subscribe("t")
    writer = client(running, kind)
    stream = encode(Connect("writer"), 4) + encode(Publish(b"t", bytes(300)), 4) * 3
    for byte in stream:
        writer.send_bytes(bytes((byte,)))
    assert isinstance(writer.take(), Connack)
    assert slow.payloads(900) == 3


@pytest.mark.parametrize("begun", [False, True], ids=["in CONNECT", "in PUBLISH"])
def test_a_slow_loris(broker: Any, client: Any, begun: bool) -> None:
    """A byte now and then extends no deadline: only a whole packet does."""
    running = broker("mqtt.idle_timeout = 2s")
    loris = client(running)
    if begun:
        loris.connect("loris", keep_alive=1)
        data, allowed = encode(Publish(b"t", bytes(1_000)), 4), 1.5
    else:
        data, allowed = encode(Connect("x" * 1_000), 4), 2.0
    started = time.monotonic()
    loris.sock.settimeout(0.2)
    for byte in data:
        try:
            loris.send_bytes(bytes((byte,)))
            if not loris.receive():
                break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        pytest.fail("never closed")
    assert allowed - 0.5 < time.monotonic() - started < allowed + SWEEP

"""TERM: clients are told, bytes in hand leave, and nobody holds the process back."""

from __future__ import annotations

import signal
import socket
import time
from typing import Any

import pytest

from mqttd.packets.disconnect import Disconnect
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish
from mqttd.packets.reason_codes import ReasonCode


@pytest.mark.parametrize("kind", ["tcp", "ssl", "ws"])
def test_clients_are_told(broker: Any, client: Any, kind: str) -> None:
    """DISCONNECT 0x8B for MQTT 5, a clean end for MQTT 3, at once."""
    running = broker()
    five = client(running, kind, 5).connect("five")
    four = client(running, kind, 4).connect("four")
    started = time.monotonic()
    running.process.terminate()
    answer = five.take()
    assert isinstance(answer, Disconnect)
    assert answer.reason_code == ReasonCode.SERVER_SHUTTING_DOWN
    assert five.take() is None
    assert four.take() is None
    five.sock.close()
    four.sock.close()
    assert running.stop() == -signal.SIGTERM  # how twistd says that it was asked to
    assert time.monotonic() - started < 3


def test_messages_in_hand_leave_first(broker: Any, client: Any) -> None:
    """What was accepted and waits for a slow reader is written before the end."""
    running = broker()
    reader = client(running, "tcp", 5)
    reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    reader.connect("reader").subscribe("t")
    writer = client(running, "tcp", 5).connect("writer").subscribe("done")
    data = encode(Publish(b"t", bytes(60_000)), 5)
    writer.send_bytes(data * 10 + encode(Publish(b"done", b"."), 5))
    assert writer.payloads(1) == 1
    running.process.terminate()
    assert reader.payloads(600_000) == 10
    assert isinstance(reader.take(), Disconnect)
    assert running.stop() == -signal.SIGTERM  # how twistd says that it was asked to


@pytest.mark.parametrize("kind", ["tcp", "ssl"])
def test_a_client_that_does_not_read(broker: Any, client: Any, kind: str) -> None:
    """It has five seconds, no more."""
    running = broker()
    deaf = client(running, kind, 5).connect("deaf").subscribe("t")
    writer = client(running, kind, 5).connect("writer")
    writer.send_bytes(encode(Publish(b"t", bytes(60_000)), 5) * 200)
    other = client(running, kind, 5).connect("other").subscribe("o")
    other.send(Publish(b"o", b"hello"))
    assert other.payloads(5) == 1
    started = time.monotonic()
    assert running.stop() == -signal.SIGTERM  # how twistd says that it was asked to
    assert time.monotonic() - started < 5.5
    deaf.sock.close()

"""The clients we did not write, and one broker for all of them."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest


@pytest.fixture(scope="session")
def broker(start_broker: Callable[..., Any]) -> Any:
    """One broker with the four default listeners, for all tests that need nothing special."""
    return start_broker()


@attrs.frozen
class Ended:
    """A client command that ended."""

    status: int
    output: str


Run = Callable[..., Ended]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a client command to its end; its output is text, both streams together."""

    def call(
        *command: object, stdin: bytes = b"", seconds: float = 20.0, cwd: object = None
    ) -> Ended:
        # Commands of the environment the tests run in come first: mqttd is one of them.
        own = str(Path(sys.executable).parent)
        program = shutil.which(str(command[0]), path=f"{own}:{os.environ['PATH']}")
        assert program is not None, f"{command[0]} is not installed: run make test-clients"
        done = subprocess.run(
            [program, *map(str, command[1:])],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            cwd=None if cwd is None else str(cwd),
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(errors="replace"))

    return call


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a client command that goes on; ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*command: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for each in started:
        if each.poll() is None:
            each.kill()
        each.communicate()


CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02it"
"""A CONNECT of MQTT 3.1.1 without a name."""


class RawClient:
    """A socket, maybe with TLS, that speaks in bytes."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, count: int) -> bytes:
        """``count`` bytes, or fewer when the broker closed."""
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except ConnectionError:
                break
            if not more:
                break
            data += more
        return data

    def ask(self, data: bytes = CONNECT, count: int = 4) -> bytes:
        """Send and read; nothing when the broker closed instead."""
        try:
            self.send(data)
        except ConnectionError:
            return b""
        return self.read(count)

    def subscribe(self, topic: bytes) -> bytes:
        body = b"\x00\x01" + len(topic).to_bytes(2) + topic + b"\x01"
        return self.ask(bytes((0x82, len(body))) + body, 5)

    def publish(self, topic: bytes, payload: bytes, *, retain: bool = False) -> bytes:
        """With QoS 1; returns PUBACK."""
        body = len(topic).to_bytes(2) + topic + b"\x00\x07" + payload
        return self.ask(bytes((0x32 | retain, len(body))) + body, 4)


def connect_packet(
    client_id: str,
    *,
    username: str | None = None,
    level: int = 4,
    will: tuple[bytes, bytes] | None = None,
) -> bytes:
    """A CONNECT with clean start; ``will`` is topic and payload, with QoS 1."""

    def text(data: bytes) -> bytes:
        return len(data).to_bytes(2) + data

    flags = 0x02 | (0x80 if username is not None else 0) | (0x0C if will else 0)
    body = text(b"MQTT") + bytes((level, flags, 0, 0)) + (b"\0" if level == 5 else b"")
    body += text(client_id.encode())
    if will:
        body += (b"\0" if level == 5 else b"") + text(will[0]) + text(will[1])
    if username is not None:
        body += text(username.encode())
    return bytes((0x10, len(body))) + body


@pytest.fixture
def dial() -> Iterator[Callable[..., RawClient]]:
    """Connect to a port; ``before`` is sent in clear, then comes TLS when there is a context."""
    made: list[RawClient] = []

    def call(
        port: int,
        context: ssl.SSLContext | None = None,
        *,
        host: str = "127.0.0.1",
        before: bytes = b"",
        source: str = "",
    ) -> RawClient:
        # An address of one's own (127.0.0.0/8 is all ours): log lines are rationed by address.
        own = (source, 0) if source else None
        connection = socket.create_connection((host, port), 10, own)
        try:
            if before:
                connection.sendall(before)
            if context is not None:
                connection = context.wrap_socket(connection, server_hostname="localhost")
        except BaseException:
            connection.close()
            raise
        made.append(RawClient(connection))
        return made[-1]

    yield call
    for each in made:
        each.socket.close()


@pytest.fixture(scope="session")
def packet() -> Callable[..., bytes]:
    return connect_packet

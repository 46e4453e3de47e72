"""CONNECT packets a second through authentication by an HTTP server, and what others feel of it.

The HTTP server, the generator of CONNECTs and the broker are processes of their own. A client that
is connected all the time sends itself a message every few milliseconds and measures how long it
takes. Without authentication CONNECTs come at a rate (--rate); with it that client is first alone,
then CONNECTs come at the rate, then as many as go.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import load
import peers

from mqttd.packets.connect import Connect
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 39\r\n\r\n"
    b'{"result":"allow","is_superuser":false}'
)


class Answering(asyncio.Protocol):
    """As little of an HTTP server as is needed, so that it is not what is measured."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            size = end + 4 + int(length or b"0")
            if len(self.received) < size:
                return
            self.received = self.received[size:]
            self.transport.write(ANSWER)


async def serve() -> None:
    """Print the port and answer for ever."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def generate(port: int, seconds: float, rate: float, at_once: int, users: int) -> None:
    """Connect, CONNECT, CONNACK, close; prints how many."""
    selector = selectors.DefaultSelector()
    begun = done = refused = running = 0
    started = time.perf_counter()
    while True:
        now = time.perf_counter() - started
        if now >= seconds and not running:
            break
        allowed = at_once if rate <= 0 else min(at_once, running + int(now * rate) - begun)
        while now < seconds and running < allowed:
            sock = socket.create_connection(("127.0.0.1", port), timeout=10)
            name = begun % users
            packet = Connect(f"c{begun}", username=f"u{name}", password=b"secret", level=4)
            sock.sendall(encode(packet, 4))
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ)
            begun += 1
            running += 1
        for key, _ in selector.select(0.001):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            answer = connection.recv(64)
            done += answer == b"\x20\x02\x00\x00"
            refused += answer != b"\x20\x02\x00\x00"
            selector.unregister(connection)
            connection.close()
            running -= 1
    print(done, refused, time.perf_counter() - started)


def waits(sock: socket.socket, until: float, pause: float) -> list[float]:
    """How long each message of a client to itself took, in seconds."""
    found = []
    packet = encode(Publish(b"bench/own", bytes(32)), 4)
    while time.perf_counter() < until:
        started = time.perf_counter()
        sock.sendall(packet)
        missing = len(packet)
        while missing:
            missing -= len(sock.recv(missing))
        found.append(time.perf_counter() - started)
        time.sleep(pause)
    return found


def show(what: str, found: list[float]) -> None:
    """Print the figures of one run."""
    found.sort()
    p50, p99 = found[len(found) // 2], found[int(len(found) * 0.99)]
    print(
        f"{what}: a message to oneself takes {p50 * 1e3:.2f} ms (median),"
        f" {p99 * 1e3:.2f} ms (p99), {found[-1] * 1e3:.2f} ms at most"
    )


@contextlib.contextmanager
def backend() -> Iterator[int]:
    """The HTTP server as a process; its port."""
    command = [sys.executable, __file__, "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def measure(peer: peers.Peer, options: argparse.Namespace, rate: float, how: str = "") -> None:
    """One run with CONNECTs; ``how`` says which."""
    sock = load.open_client(peer.tcp_port, "prober", None)
    load.subscribe(sock, "bench/own")
    command = [sys.executable, __file__, "--generate", str(peer.tcp_port)]
    command += ["--rate", str(rate), "--seconds", str(options.seconds)]
    command += ["--at-once", str(options.at_once), "--users", str(options.users)]
    cpu = load.cpu_seconds(peer.pid)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    found = waits(sock, time.perf_counter() + options.seconds, 0.004)
    output, _ = process.communicate(timeout=60)
    used = load.cpu_seconds(peer.pid) - cpu
    done, refused, elapsed = map(float, output.split())
    sock.close()
    name = (f"{rate:g} CONNECTs a second" if rate > 0 else "as many CONNECTs as go") + how
    print(
        f"{name}: {done / elapsed:.0f}/s let in, {refused:.0f} refused,"
        f" {used * 1e6 / max(1, done + refused):.0f} us broker CPU each"
        f" ({used / elapsed:.0%} of a core)"
    )
    show(name, found)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--users", type=int, default=1_000_000, help="different user names")
    parser.add_argument("--extra", default="", help="options of the authentication section")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--generate", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve())
        return
    if options.generate:
        generate(options.generate, options.seconds, options.rate, options.at_once, options.users)
        return
    with peers.workplace() as folder, peers.mqttd(folder) as peer:
        measure(peer, options, options.rate, ", nobody is asked")
    with peers.workplace() as folder, backend() as port:
        section = (
            f'authentication {{ backend = "http", url = "http://127.0.0.1:{port}/auth"'
            f" {options.extra} }}"
        )
        with peers.mqttd(folder, section) as peer:
            sock = load.open_client(peer.tcp_port, "prober", None)
            load.subscribe(sock, "bench/own")
            show("no CONNECTs", waits(sock, time.perf_counter() + 2, 0.004))
            sock.close()
            measure(peer, options, options.rate)
            measure(peer, options, 0)


if __name__ == "__main__":
    main()

"""Thousands of connections in and out: memory before and after, and how long another waits.

Fails when the broker's memory grew by more than a tenth (and 4 MB), or a client that only pings
waited for more than a second.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import ssl
import statistics
import sys
import threading
import time

import load
import peers

from mqttd.packets.connect import Connect
from mqttd.packets.encode import encode

PINGREQ = b"\xc0\x00"


class Pinger(threading.Thread):
    """Pings ten times a second, and keeps how long each answer took, in seconds."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.waits: list[float] = []
        self.ended = threading.Event()
        self._sock = load.open_client(port, "pinger", None)

    def run(self) -> None:
        while not self.ended.wait(0.1):
            started = time.perf_counter()
            self._sock.sendall(PINGREQ)
            self._sock.recv(2)
            self.waits.append(time.perf_counter() - started)
        self._sock.close()


def connect_and_go(
    number: int, port: int, context: ssl.SSLContext | None, polite: bool
) -> socket.socket:
    """A client with a session of its own; left open. ``polite``: it will say DISCONNECT."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    if context is not None:
        sock = context.wrap_socket(sock, server_hostname="localhost")
    sock.sendall(encode(Connect(f"churn{number}", 5), 5))
    if sock.recv(512)[:1] != b"\x20":
        raise RuntimeError("CONNECT was refused")
    if polite:
        sock.sendall(b"\xe0\x00")
    return sock


def churn(peer: peers.Peer, count: int, at_once: int, context: ssl.SSLContext) -> None:
    """``count`` connections, ``at_once`` of them open; every tenth over TLS."""
    open_ones: list[socket.socket] = []
    for number in range(count):
        tls = number % 10 == 0
        port = peer.tls_port if tls else peer.tcp_port
        open_ones.append(connect_and_go(number, port, context if tls else None, number % 2 == 0))
        if len(open_ones) >= at_once:
            for sock in open_ones:
                sock.close()
            open_ones.clear()
    for sock in open_ones:
        sock.close()


def main() -> None:
    """Run, print, and end with status 1 when a bound is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=20_000)
    parser.add_argument("--at-once", type=int, default=200)
    options = parser.parse_args()
    with peers.workplace() as folder, contextlib.ExitStack() as stack:
        context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        peer = stack.enter_context(peers.mqttd(folder))
        # The first ones fill caches and the allocator's pools.
        churn(peer, max(options.at_once * 2, options.connections // 20), options.at_once, context)
        time.sleep(2.5)
        before = load.resident_kib(peer.pid)
        pinger = Pinger(peer.tcp_port)
        pinger.start()
        started, cpu = time.perf_counter(), load.cpu_seconds(peer.pid)
        churn(peer, options.connections, options.at_once, context)
        elapsed = time.perf_counter() - started
        used = load.cpu_seconds(peer.pid) - cpu
        pinger.ended.set()
        pinger.join()
        time.sleep(2.5)
        after = load.resident_kib(peer.pid)
    waits = sorted(pinger.waits)
    print(
        f"{options.connections:,} connections in {elapsed:.1f} s,"
        f" {used * 1e6 / options.connections:.0f} us broker CPU each"
    )
    print(f"resident memory: {before:,} KiB before, {after:,} KiB after")
    print(
        f"a pinging client waited {statistics.median(waits) * 1e3:.1f} ms (median),"
        f" {waits[-1] * 1e3:.1f} ms at most"
    )
    if after > before * 1.1 + 4_096 or waits[-1] > 1:
        sys.exit("a bound is passed")


if __name__ == "__main__":
    main()

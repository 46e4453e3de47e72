"""A small load generator: raw sockets, packets made beforehand, broker CPU from /proc."""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import time

from mqttd.packets.connect import Connect
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system CPU time of a process so far."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        fields = stat.read().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def resident_kib(pid: int) -> int:
    """Resident memory of a process."""
    with open(f"/proc/{pid}/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def open_client(
    port: int, client_id: str, context: ssl.SSLContext | None, level: int = 4
) -> socket.socket:
    """A connected MQTT client as a blocking socket."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        sock = context.wrap_socket(sock, server_hostname="localhost")
    sock.sendall(encode(Connect(client_id=client_id, level=level), level))
    answer = sock.recv(512)
    if answer[:1] != b"\x20" or answer[3] != 0:
        raise RuntimeError(f"CONNECT was refused: {answer.hex()}")
    return sock


def subscribe(sock: socket.socket, topic_filter: str, qos: int = 0, level: int = 4) -> None:
    """Subscribe and wait for SUBACK."""
    sock.sendall(encode(Subscribe(1, [SubscribeTopic(topic_filter, qos)]), level))
    answer = sock.recv(512)
    if answer[:1] != b"\x90":
        raise RuntimeError(f"SUBSCRIBE was refused: {answer.hex()}")


def messages(
    port: int,
    pid: int,
    *,
    seconds: float,
    context: ssl.SSLContext | None,
    publishers: int,
    subscribers: int,
    fan_out: bool,
    window: int,
    payload: int = 64,
) -> tuple[float, float]:
    """QoS 0 traffic: (deliveries a second, broker CPU microseconds for each delivery).

    ``fan_out``: every subscriber gets every message; else publisher N sends to subscriber N.
    ``window`` messages are sent at a time, and the next only when they all arrived.
    """
    receivers = []
    for number in range(subscribers):
        sock = open_client(port, f"sub{number}", context)
        subscribe(sock, "bench/all" if fan_out else f"bench/{number}")
        receivers.append(sock)
    senders = []
    for number in range(publishers):
        topic = b"bench/all" if fan_out else f"bench/{number}".encode()
        packet = encode(Publish(topic, bytes(payload)), 4)
        senders.append((open_client(port, f"pub{number}", context), packet * window, len(packet)))
    selector = selectors.DefaultSelector()
    for number, sock in enumerate(receivers):
        selector.register(sock, selectors.EVENT_READ, number)
    share = subscribers if fan_out else 1
    missing = [0] * len(receivers)
    delivered = 0
    started, cpu = time.perf_counter(), cpu_seconds(pid)
    until = started + seconds
    while time.perf_counter() < until:
        for number, (sock, batch, size) in enumerate(senders):
            sock.sendall(batch)
            if fan_out:
                for each in range(subscribers):
                    missing[each] += size * window
            else:
                missing[number] += size * window
            delivered += window * share
        while any(missing):
            for key, _ in selector.select(5):
                data = key.fileobj.recv(262_144)  # type: ignore[union-attr]
                missing[key.data] -= len(data)
                while isinstance(key.fileobj, ssl.SSLSocket) and key.fileobj.pending():
                    missing[key.data] -= len(key.fileobj.recv(262_144))
    elapsed = time.perf_counter() - started
    used = cpu_seconds(pid) - cpu
    for sock in receivers:
        sock.close()
    for sock, _, _ in senders:
        sock.close()
    return delivered / elapsed, used * 1e6 / delivered


def connects(
    port: int, pid: int, *, seconds: float, context: ssl.SSLContext | None
) -> tuple[float, float]:
    """Connect, CONNECT, CONNACK, close: (connects a second, broker CPU microseconds each)."""
    count = 0
    started, cpu = time.perf_counter(), cpu_seconds(pid)
    until = started + seconds
    while time.perf_counter() < until:
        open_client(port, f"c{count}", context).close()
        count += 1
    elapsed = time.perf_counter() - started
    return count / elapsed, (cpu_seconds(pid) - cpu) * 1e6 / count

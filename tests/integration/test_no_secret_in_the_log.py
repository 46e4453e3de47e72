"""Passwords, payloads and key material never reach the log, whatever happens to them."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from typing import Any

from mqttd.packets.auth import Auth
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.encode import encode
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish

PASSWORD = b"pass-7f3a9c51"
PAYLOAD = b"payload-51be07d2"
WILL = b"will-c09a6f14"
AUTH = b"auth-90ab17cd"
SECRETS = (PASSWORD, PAYLOAD, WILL, AUTH)


def talk(port: int, data: bytes) -> bytes:
    """Send bytes, say no more, and read all that comes back."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := sock.recv(4096):
            answer += chunk
        return answer


def conversations() -> list[bytes]:
    """Good and bad ones, each with every secret it can carry."""
    good = Connect("c", 5, username="u", password=PASSWORD, will=ConnectWill(b"t", WILL))
    connect = encode(good, 5)
    method = Properties(authentication_method="none", authentication_data=AUTH)
    publish = encode(Publish(b"t", PAYLOAD, 1, packet_id=1), 5)
    return [
        connect + publish,
        connect + publish + b"\xf0\x00",
        connect + connect,
        connect[:-1] + b"\xff\xff",
        bytes((connect[0], connect[1] - 2)) + connect[2:],
        encode(Connect("c", 5, password=PASSWORD, properties=method), 5),
        encode(Connect("c", 4, username="u", password=PASSWORD), 4).replace(
            b"MQTT\x04", b"MQTT\x09"
        ),
        connect + encode(Auth(0x19, method), 5),
        connect + encode(Publish(b"bad/#", PAYLOAD), 5),
        connect + encode(Publish(b"t", PAYLOAD, properties=Properties(topic_alias=9)), 5)[:-4],
        b"GET /?" + PASSWORD + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ]


def test_no_secret_in_the_log(start_broker: Callable[..., Any]) -> None:
    """The log is at debug: the packet trace is in it, too."""
    broker = start_broker()
    for data in conversations():
        for listener in ("tcp:default", "ssl:default", "ws:default"):
            talk(broker.ports[listener], data)
    last = uuid.uuid4().hex
    talk(broker.ports["tcp:default"], encode(Connect(last), 4))
    broker.wait_for(last)
    broker.stop()
    log = "\n".join(broker.lines).encode()
    assert b"RECV CONNECT" in log
    assert b"Password=******" in log
    for secret in SECRETS:
        for form in (secret, secret.hex().encode(), repr(secret).encode()):
            assert form not in log
    key = (broker.folder / "etc/certs/key.pem").read_text().splitlines()
    for line in key[1:-1]:
        assert line.encode() not in log

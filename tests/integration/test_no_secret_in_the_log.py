"""Passwords, payloads and key material never reach the log, whatever happens to them."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mqttd.packets.auth import Auth
from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.encode import encode
from mqttd.packets.properties import Properties
from mqttd.packets.publish import Publish

PASSWORD = b"s3cret-pass-7f3a9c51"
PAYLOAD = b"s3cret-payload-51be07d2"
WILL = b"s3cret-will-c09a6f14"
AUTH = b"s3cret-auth-90ab17cd"
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


PLANTED = """
psk_authentication { enable = true, init_file = "keys.psk" }
listeners.tcp.default {
  bind = "127.0.0.1:0"
  authentication { backend = "built_in_database", file = "users" }
}
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "etc/certs/key.pem", certfile = "etc/certs/cert.pem"
    cacertfile = "etc/certs/cacert.pem"
  }
}
"""
HASH = "$6$dGhlIHNhbHQ=$" + "A" * 86 + "=="


def test_the_search_of_all_logs_finds_each_kind_of_secret(
    start_broker: Callable[..., Any], secret_watch: Any, tmp_path: Path
) -> None:
    """What the end of every test run rests on: user names are logged, so secrets are put there."""
    watch = type(secret_watch)()
    (tmp_path / "keys.psk").write_text("dev1:0123456789abcdef0123\n")
    (tmp_path / "users").write_text(f"alice:{HASH}\n")
    for name in ("keys.psk", "users"):
        (tmp_path / name).chmod(0o600)
    broker = start_broker(PLANTED, tmp_path)
    broker.searched = False
    watch.read(broker)
    watch.command("subprocess.Popen", ("x", ["x", "-P", "of-a-command"], None, None))
    assert watch.leaks(broker) == []
    key = (tmp_path / "etc/certs/key.pem").read_text().splitlines()[1]
    planted = [
        "s3cret-planted",
        "0123456789abcdef0123",
        HASH,
        "of-a-command",
        key,
        b"s3cret".hex(),
    ]
    for number, secret in enumerate(planted):
        name = f"c{number}{secret}"
        talk(broker.ports["tcp:default"], encode(Connect(name, 5, username="x", password=b"x"), 5))
        broker.wait_for(f"Client {name} ")
        assert any(name in line for line in watch.leaks(broker)), secret
    broker.stop()
    assert len({line for line in watch.leaks(broker) if "Client c" in line}) == len(planted)

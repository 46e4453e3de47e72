"""What a listener's options do, with real sockets and real clients."""

from __future__ import annotations

import re
from typing import Any

import pytest

TLS = (
    'ssl_options { keyfile = "etc/certs/key.pem", certfile = "etc/certs/cert.pem", '
    'cacertfile = "etc/certs/cacert.pem" }'
)
CONFIG = f"""
listeners.tcp.one {{ bind = "127.0.0.1:0", max_connections = 1 }}
listeners.tcp.rare {{ bind = "127.0.0.1:0", max_conn_rate = "2/1h" }}
listeners.tcp.six {{ bind = "[::1]:0" }}
listeners.ssl.six {{ bind = "[::1]:0", {TLS} }}
listeners.tcp.off {{ enable = false, bind = "127.0.0.1:1" }}
listeners.tcp.users {{ bind = "127.0.0.1:0", mountpoint = "user/${{username}}/" }}
listeners.ws.ids {{ bind = "127.0.0.1:0", mountpoint = "id/${{clientid}}/" }}
listeners.tcp.ids {{ bind = "127.0.0.1:0", mountpoint = "id/${{clientid}}/" }}
listeners.tcp.all {{ bind = "127.0.0.1:0", tcp_options {{
  backlog = 64, nodelay = true, keepalive = "60,10,3", recbuf = 64KB, sndbuf = 64KB
  send_timeout = 5s, high_watermark = 512KB, buffer = 4KB, reuseaddr = true
}} }}
listeners.ws.path {{ bind = "127.0.0.1:0", websocket.mqtt_path = "/broker" }}
listeners.ws.free {{ bind = "127.0.0.1:0", websocket.fail_if_no_subprotocol = false }}
listeners.ws.origin {{
  bind = "127.0.0.1:0"
  websocket {{
    check_origin_enable = true, check_origins = ["https://good.example.com"]
    allow_origin_absence = false
  }}
}}
listeners.ws.squeeze {{ bind = "127.0.0.1:0", websocket.compress = true }}
listeners.ws.small {{ bind = "127.0.0.1:0", websocket.max_frame_size = 64 }}
listeners.ws.behind {{
  bind = "127.0.0.1:0"
  access_rules = ["deny 203.0.113.0/24", "allow all"]
  websocket {{ proxy_address_header = "x-forwarded-for", proxy_port_header = "x-forwarded-port" }}
}}
listeners.wss.plain {{ bind = "127.0.0.1:0", {TLS} }}
listeners.tcp.denied {{ bind = "127.0.0.1:0", access_rules = ["deny 127.0.0.0/8", "allow all"] }}
listeners.ssl.denied {{ bind = "127.0.0.1:0", access_rules = ["deny all"], {TLS} }}
listeners.ws.denied {{ bind = "127.0.0.1:0", access_rules = ["allow 10.0.0.0/8"] }}
listeners.wss.denied {{ bind = "127.0.0.1:0", access_rules = ["deny all"], {TLS} }}
"""
CONNACK = b"\x20\x02\x00\x00"


@pytest.fixture(scope="module")
def broker(start_broker: Any) -> Any:
    return start_broker(CONFIG)


# --- who may connect ------------------------------------------------------------------------


def test_one_connection_at_a_time(broker: Any, dial: Any) -> None:
    port = broker.ports["tcp:one"]
    first = dial(port)
    assert first.ask() == CONNACK
    assert dial(port).ask() == b""
    assert "[max-connections]" in broker.wait_for("refused on tcp:one from 127.0.0.1")
    first.socket.close()
    broker.wait_for("Client it [127.0.0.1")
    assert dial(port).ask() == CONNACK


def test_two_connections_an_hour(broker: Any, dial: Any) -> None:
    port = broker.ports["tcp:rare"]
    assert [dial(port).ask() for _ in range(3)] == [CONNACK, CONNACK, b""]
    assert "[max-conn-rate]" in broker.wait_for("refused on tcp:rare from 127.0.0.1")


@pytest.mark.parametrize("kind", ["tcp", "ssl", "ws", "wss"])
def test_access_rules_on_every_type(broker: Any, dial: Any, kind: str) -> None:
    assert dial(broker.ports[f"{kind}:denied"]).ask() == b""
    assert "[access-rules]" in broker.wait_for(f"refused on {kind}:denied from 127.0.0.1:")


def test_ipv6(broker: Any, run: Any) -> None:
    for kind, more in (("tcp", []), ("ssl", ["--cafile", broker.cafile])):
        done = run(
            "mosquitto_pub", "-h", "::1", "-p", broker.ports[f"{kind}:six"], *more,
            "-t", "t", "-m", "x", "-q", 1, "-i", f"six-{kind}",
        )  # fmt: skip
        assert (done.status, done.output) == (0, "")
        assert "New client connected from ::1:" in broker.wait_for(f" as six-{kind} (")


def test_a_disabled_listener_is_not_started(broker: Any) -> None:
    broker.wait_for("tcp:off is disabled")
    assert "tcp:off" not in broker.ports


def test_all_tcp_options_at_once(broker: Any, dial: Any) -> None:
    assert dial(broker.ports["tcp:all"]).ask() == CONNACK


# --- mountpoint -----------------------------------------------------------------------------


@pytest.fixture
def publish(broker: Any, run: Any) -> Any:
    def call(listener: str, *more: object) -> None:
        done = run(
            "mosquitto_pub", "-h", "127.0.0.1", "-p", broker.ports[listener], "-q", 1, *more
        )
        assert (done.status, done.output) == (0, "")

    return call


def _subscribed(broker: Any, dial: Any, packet: Any, listener: str, name: str, topic: str) -> Any:
    client = dial(broker.ports[listener])
    assert client.ask(packet(f"{name}-{topic[:6]}", username=name)) == CONNACK
    assert client.subscribe(topic.encode())[:4] == b"\x90\x03\x00\x01"
    return client


def _until_pingresp(client: Any) -> bytes:
    client.send(b"\xc0\x00")
    received = b""
    while not received.endswith(b"\xd0\x00"):
        more = client.read(1)
        assert more, received
        received += more
    return bytes(received)


def test_two_users_do_not_see_each_other(
    broker: Any, dial: Any, packet: Any, publish: Any
) -> None:
    ann = _subscribed(broker, dial, packet, "tcp:users", "ann", "#")
    bob = _subscribed(broker, dial, packet, "tcp:users", "bob", "#")
    publish("tcp:users", "-u", "ann", "-t", "room/1", "-m", "for-ann")
    publish("tcp:users", "-u", "bob", "-t", "room/1", "-m", "for-bob")
    for client, own, foreign in ((ann, b"for-ann", b"for-bob"), (bob, b"for-bob", b"for-ann")):
        received = _until_pingresp(client)
        assert b"\x00\x06room/1" in received  # without the prefix
        assert own in received
        assert foreign not in received
        assert b"user/" not in received


def test_those_outside_see_the_prefix(broker: Any, dial: Any, packet: Any, publish: Any) -> None:
    outside = _subscribed(broker, dial, packet, "tcp:all", "zoe", "user/cat/#")
    publish("tcp:users", "-u", "cat", "-t", "x", "-m", "inside")
    assert b"\x00\x0auser/cat/x" in _until_pingresp(outside)
    publish("tcp:all", "-t", "user/cat/y", "-m", "back", "-r")
    cat = _subscribed(broker, dial, packet, "tcp:users", "cat", "y")
    assert b"\x00\x01y" in _until_pingresp(cat)


def test_retained_messages_stay_with_their_user(
    broker: Any, dial: Any, packet: Any, publish: Any
) -> None:
    publish("tcp:users", "-u", "dan", "-t", "kept", "-m", "secret", "-r")
    eve = _subscribed(broker, dial, packet, "tcp:users", "eve", "kept")
    dan = _subscribed(broker, dial, packet, "tcp:users", "dan", "kept")
    assert b"secret" not in _until_pingresp(eve)
    assert b"secret" in _until_pingresp(dan)


def test_a_will_stays_with_its_user(broker: Any, dial: Any, packet: Any) -> None:
    fay = _subscribed(broker, dial, packet, "tcp:users", "fay", "#")
    gus = _subscribed(broker, dial, packet, "tcp:users", "gus", "#")
    dying = dial(broker.ports["tcp:users"])
    assert dying.ask(packet("dying", username="fay", will=(b"last", b"words"))) == CONNACK
    dying.socket.close()
    broker.wait_for("Client dying [")
    received = fay.read(2 + 2 + 4 + 2 + 5)
    assert received[2:8] == b"\x00\x04last"
    assert received.endswith(b"words")
    assert b"words" not in _until_pingresp(gus)


def test_shared_subscriptions_stay_with_their_user(
    broker: Any, dial: Any, packet: Any, publish: Any
) -> None:
    hal = _subscribed(broker, dial, packet, "tcp:users", "hal", "$share/g/work")
    ida = _subscribed(broker, dial, packet, "tcp:users", "ida", "$share/g/work")
    for number in range(4):
        publish("tcp:users", "-u", "hal", "-t", "work", "-m", f"hal-{number}")
    received = _until_pingresp(hal)
    assert all(f"hal-{number}".encode() in received for number in range(4))
    assert b"hal-" not in _until_pingresp(ida)


def test_unsubscribe_under_a_mountpoint(broker: Any, dial: Any, packet: Any, publish: Any) -> None:
    jo = _subscribed(broker, dial, packet, "tcp:users", "jo", "news")
    assert jo.ask(b"\xa2\x08\x00\x02\x00\x04news", 4) == b"\xb0\x02\x00\x02"
    publish("tcp:users", "-u", "jo", "-t", "news", "-m", "late")
    assert b"late" not in _until_pingresp(jo)


def test_clients_do_not_see_each_other_by_client_id(broker: Any, dial: Any, packet: Any) -> None:
    clients = []
    for name in ("kim", "lee"):
        client = dial(broker.ports["tcp:ids"])
        assert client.ask(packet(name)) == CONNACK
        client.subscribe(b"t")
        clients.append(client)
    kim, lee = clients
    kim.send(b"\x30\x06\x00\x01tkim")
    assert b"kim" in _until_pingresp(kim)
    assert b"kim" not in _until_pingresp(lee)


@pytest.mark.parametrize("name", ["a/b", "+", "#", None])
@pytest.mark.parametrize("level", [4, 5])
def test_a_name_that_does_not_fit_the_mountpoint_is_refused(
    broker: Any, dial: Any, packet: Any, name: str | None, level: int
) -> None:
    answer = dial(broker.ports["tcp:users"]).ask(packet("m", username=name, level=level))
    assert answer[0] == 0x20
    assert answer[3] >= (0x80 if level == 5 else 1)


# --- WebSocket ------------------------------------------------------------------------------


def _upgrade(path: str = "/mqtt", protocol: str | None = "mqtt", *more: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *more,
    ]
    if protocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _head(client: Any) -> str:
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        more = client.read(1)
        if not more:
            break
        answer += more
    return str(answer.decode())


@pytest.mark.parametrize(
    ("listener", "request_", "status"),
    [
        ("path", _upgrade("/broker"), 101),
        ("path", _upgrade("/mqtt"), 404),
        ("small", _upgrade(protocol=None), 400),
        ("small", _upgrade(protocol="chat"), 400),
        ("small", _upgrade(protocol="chat, mqtt"), 101),
        ("free", _upgrade(protocol=None), 101),
        ("origin", _upgrade("/mqtt", "mqtt", "Origin: https://good.example.com"), 101),
        ("origin", _upgrade("/mqtt", "mqtt", "Origin: https://evil.example.com"), 403),
        ("origin", _upgrade(), 403),
        ("small", b"GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", None),
    ],
)
def test_upgrades(
    broker: Any, dial: Any, listener: str, request_: bytes, status: int | None
) -> None:
    client = dial(broker.ports[f"ws:{listener}"])
    client.send(request_)
    match = re.match(r"HTTP/1\.1 (\d+) ", _head(client))
    assert match
    if status is None:
        assert int(match[1]) in (400, 426)
    else:
        assert int(match[1]) == status


def test_the_subprotocol_is_said(broker: Any, dial: Any) -> None:
    client = dial(broker.ports["ws:small"])
    client.send(_upgrade())
    assert "sec-websocket-protocol: mqtt\r\n" in _head(client).lower()


def test_compression_is_agreed_on(broker: Any, dial: Any) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    for listener, agreed in (("squeeze", True), ("small", False)):
        client = dial(broker.ports[f"ws:{listener}"])
        client.send(_upgrade("/mqtt", "mqtt", offer))
        assert ("permessage-deflate" in _head(client)) is agreed


def test_a_frame_that_is_too_large_is_answered_with_1009(broker: Any, dial: Any) -> None:
    client = dial(broker.ports["ws:small"])
    client.send(_upgrade())
    assert " 101 " in _head(client)
    client.send(b"\x82\xfe\x00\x80" + bytes(4) + bytes(128))
    answer = client.read(4)
    assert answer[0] == 0x88
    assert int.from_bytes(answer[2:4]) == 1009


def test_the_address_a_proxy_forwards(broker: Any, dial: Any, packet: Any) -> None:
    connect = packet("forwarded")
    frame = bytes((0x82, 0x80 | len(connect))) + bytes(4) + connect
    headers = ("X-Forwarded-For: 198.51.100.4", "X-Forwarded-Port: 4321")
    client = dial(broker.ports["ws:behind"])
    client.send(_upgrade("/mqtt", "mqtt", *headers) + frame)
    assert " 101 " in _head(client)
    assert client.read(6) == b"\x82\x04" + CONNACK
    assert "from 198.51.100.4:4321 " in broker.wait_for(" as forwarded (")
    refused = dial(broker.ports["ws:behind"])
    refused.send(_upgrade("/mqtt", "mqtt", "X-Forwarded-For: 203.0.113.4") + frame)
    _head(refused)
    assert CONNACK not in refused.read(100)
    broker.wait_for("refused on ws:behind from 203.0.113.4")

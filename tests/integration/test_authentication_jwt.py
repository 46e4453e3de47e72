"""Clients with signed tokens: a real broker, real clients, keys over HTTPS."""

from __future__ import annotations

import http.server
import json
import queue
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

SECRET = "a secret of 64 bytes, which is as many as the largest hash needs"
NOBODY_ELSE = "No matching subscribers"
"""An allowed publish that nobody wants."""
LISTENER = 'listeners.tcp.default { bind = "127.0.0.1:0" }\nlog.console.level = debug\n'


class KeyServer:
    """An HTTPS server in a thread that gives a set of keys."""

    def __init__(self, folder: Path) -> None:
        self.keys: dict[str, Any] = {}
        self.asked = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                jwks = [
                    ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": key_id}
                    for key_id, key in server.keys.items()
                ]
                body = json.dumps({"keys": jwks}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                server.asked.set()

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.server.shutdown()
            self.server.server_close()
            self._thread.join()


@pytest.fixture
def key_server(tmp_path: Path, pki: Any, make_cert_pem: Callable[..., str]) -> Iterator[KeyServer]:
    for name, text in (
        ("cacert.pem", make_cert_pem(pki.root.cert)),
        ("server.pem", pki.ec.chain_pem),
        ("server-key.pem", pki.ec.key_pem),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    server = KeyServer(tmp_path)
    yield server
    server.stop()


class Client:
    """A paho client of MQTT 5 and what it was told."""

    def __init__(self, port: int, username: str | None, password: str | None) -> None:
        self.told = threading.Event()
        self.gone = threading.Event()
        self.answers: queue.Queue[str] = queue.Queue()
        self.codes: list[ReasonCode] = []
        self.reasons: list[str] = []
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id="dev1",
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        if username is not None:
            self.client.username_pw_set(username, password)

        def connected(*args: Any) -> None:
            self.codes.append(args[3])
            self.reasons.append(getattr(args[4], "ReasonString", ""))
            self.told.set()

        def disconnected(*args: Any) -> None:
            self.codes.append(args[3])
            self.gone.set()

        def answered(*args: Any) -> None:
            """PUBACK's code, or SUBACK's one."""
            self.answers.put(str(args[3][0] if isinstance(args[3], list) else args[3]))

        self.client.on_publish = self.client.on_subscribe = answered
        self.client.on_connect = connected
        self.client.on_disconnect = disconnected
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.told.wait(10)

    def published(self, topic: str) -> str:
        self.client.publish(topic, "x", qos=1)
        return self.answers.get(timeout=10)

    def subscribed(self, topic: str) -> str:
        self.client.subscribe(topic, qos=1)
        return self.answers.get(timeout=10)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def start(broker: Any, password: str | None, username: str | None = "alice") -> Client:
        made.append(Client(broker.ports["tcp:default"], username, password))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def connack(name: str) -> ReasonCode:
    return ReasonCode(PacketTypes.CONNACK, name)


def secret_token(seconds: float = 60.0, **claims: Any) -> str:
    return jwt.encode({"exp": time.time() + seconds, **claims}, SECRET, "HS256")


def test_a_token_lets_in_and_its_end_cuts_off(
    tmp_path: Path,
    start_broker: Callable[..., Any],
    connect: Callable[..., Client],
    run: Callable[..., Any],
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    broker = start_broker(
        LISTENER
        + """
authentication {
  mechanism = jwt
  from = password
  algorithm = "hmac-based"
  secret = "file://secret"
  verify_claims { username = "${username}", device = "${clientid}" }
  leeway = 0s
}
""",
        tmp_path,
    )
    place = ("-h", "127.0.0.1", "-p", broker.ports["tcp:default"], "-t", "t", "-m", "x")
    good = secret_token(username="alice", device="dev1")
    common = ("mosquitto_pub", *place, "-i", "dev1", "-P", good)
    assert run(*common, "-u", "alice").status == 0
    assert run(*common, "-u", "alice", "-V", "mqttv5").status == 0
    refused = run(*common, "-u", "mallory")
    assert refused.status != 0
    assert "bad user name or password" in refused.output.lower()
    late = connect(broker, secret_token(-1.0, username="alice", device="dev1"))
    assert late.codes[0] == connack("Bad user name or password")
    assert late.reasons == ["the token has expired"]
    assert connect(broker, "a password").codes[0] == connack("Bad user name or password")
    broker.wait_for("the token's username is not what it must be")
    begin = time.monotonic()
    short = connect(broker, secret_token(1.5, username="alice", device="dev1"))
    assert short.codes[0] == connack("Success")
    assert short.gone.wait(5)
    assert 1.0 < time.monotonic() - begin < 4
    assert short.codes[1] == ReasonCode(PacketTypes.DISCONNECT, "Not authorized")
    broker.stop()
    signature = good.rpartition(".")[2]
    assert not [line for line in broker.lines if signature in line or SECRET in line]


def test_keys_over_https_rotate(
    tmp_path: Path,
    start_broker: Callable[..., Any],
    connect: Callable[..., Client],
    key_server: KeyServer,
) -> None:
    old, new, stranger = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    key_server.keys = {"old": old}
    broker = start_broker(
        LISTENER
        + f"""
authentication = [{{
  mechanism = jwt
  use_jwks = true
  endpoint = "https://localhost:{key_server.port}/jwks.json"
  refresh_interval = 1
  audience = mqtt
  username_claim = sub
  ssl {{ cacertfile = "cacert.pem" }}
}}]
""",
        tmp_path,
    )

    def token(key: Any, key_id: str, **more: Any) -> str:
        claims = {"exp": time.time() + 60, "aud": "mqtt", "sub": "sensor-7", **more}
        return jwt.encode(claims, key, "ES256", headers={"kid": key_id})

    success, bad = connack("Success"), connack("Bad user name or password")
    assert connect(broker, token(old, "old")).codes[0] == success
    assert "u'sensor-7'" in broker.wait_for("New client connected")
    wrong = connect(broker, token(stranger, "old"))
    assert (wrong.codes[0], wrong.reasons) == (bad, ["the token's signature is wrong"])
    assert connect(broker, token(old, "old", aud="web")).codes[0] == bad
    key_server.keys = {"new": new}
    key_server.asked.clear()
    assert key_server.asked.wait(10)
    assert connect(broker, token(new, "new")).codes[0] == success
    assert connect(broker, token(old, "old")).reasons == ["the key of the token is not known"]
    key_server.stop()
    broker.wait_for("the keys of tokens cannot be fetched")
    assert connect(broker, token(new, "new")).codes[0] == success
    broker.stop()
    assert not [line for line in broker.lines if "eyJ" in line]


def test_a_changed_public_key_counts_and_a_bad_one_does_not(
    tmp_path: Path, start_broker: Callable[..., Any], connect: Callable[..., Client]
) -> None:
    keys = [ec.generate_private_key(ec.SECP384R1()) for _ in range(2)]

    def pem(key: Any) -> str:
        text: bytes = key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return text.decode()

    def token(key: Any) -> str:
        return jwt.encode({"exp": time.time() + 60, "sub": "dev7"}, key, "ES384")

    file = tmp_path / "public.pem"
    file.write_text(pem(keys[0]))
    broker = start_broker(
        LISTENER
        + """
reload_interval = 200ms
authentication { mechanism = jwt, from = username, public_key = "public.pem" }
""",
        tmp_path,
    )
    success, bad = connack("Success"), connack("Bad user name or password")
    assert connect(broker, None, token(keys[0])).codes[0] == success
    assert "u'dev7'" in broker.wait_for("New client connected")
    assert connect(broker, None, token(keys[1])).codes[0] != success
    file.write_text("-----BEGIN PUBLIC KEY-----\ngarbage\n-----END PUBLIC KEY-----\n")
    broker.wait_for("cannot be read")
    assert connect(broker, None, token(keys[0])).codes[0] == success
    file.write_text(pem(keys[1]))
    broker.wait_for("reload (files changed): public.pem")
    assert connect(broker, None, token(keys[1])).codes[0] == success
    assert connect(broker, None, token(keys[0])).codes[0] in (bad, connack("Not authorized"))
    broker.stop()
    assert not [line for line in broker.lines if "eyJ" in line]


def test_the_rules_of_a_token_count(
    tmp_path: Path, start_broker: Callable[..., Any], connect: Callable[..., Client]
) -> None:
    broker = start_broker(
        LISTENER
        + f"""
authentication {{
  mechanism = jwt, secret = "{SECRET}", username_claim = sub, acl_claim_name = rights
}}
authorization {{ no_match = deny, sources = [] }}
""",
        tmp_path,
    )
    rights = [
        {"permission": "deny", "action": "publish", "topic": "dev/dev1/config"},
        {"permission": "allow", "action": "publish", "topic": "dev/${clientid}/#"},
        {"permission": "allow", "action": "subscribe", "topic": "eq all/+"},
    ]
    client = connect(broker, secret_token(sub="dev7", rights=rights))
    assert client.codes[0] == connack("Success")
    assert [client.published(f"dev/{topic}") for topic in ("dev1/a", "dev1/config", "b")] == [
        NOBODY_ELSE,
        "Not authorized",
        "Not authorized",
    ]
    assert client.subscribed("all/+") == "Granted QoS 1"
    assert client.subscribed("all/one") == "Not authorized"
    older = connect(broker, secret_token(sub="dev7", rights={"pub": ["a/#"], "sub": ["b"]}))
    assert (older.published("a/b"), older.published("b")) == (NOBODY_ELSE, "Not authorized")
    assert (older.subscribed("b"), older.subscribed("a/b")) == ("Granted QoS 1", "Not authorized")
    root = connect(broker, secret_token(sub="root", is_superuser=True))
    assert (root.published("x"), root.subscribed("#")) == (NOBODY_ELSE, "Granted QoS 1")
    assert connect(broker, secret_token(sub="a", rights="all")).codes[0] == connack(
        "Bad user name or password"
    )
    broker.stop()

"""Sessions end with the credential that admitted them: certificate, authority, pre-shared key."""

from __future__ import annotations

import datetime
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

KEYS = {name: f"{number:032x}" for number, name in enumerate(("gone", "changed", "same"), 1)}
SSL = (
    "keyfile = server.key, certfile = server.pem, cacertfile = %s, verify = verify_peer, "
    "live_enforcement = %s"
)
CONFIG = f"""
listeners.ssl.cert {{ bind = "127.0.0.1:0", ssl_options {{ {SSL % ("ca.pem", "true")} }} }}
listeners.wss.cert {{ bind = "127.0.0.1:0", ssl_options {{ {SSL % ("ca.pem", "true")} }} }}
listeners.ssl.lax {{ bind = "127.0.0.1:0", ssl_options {{ {SSL % ("ca.pem", "false")} }} }}
listeners.ssl.psk {{
  bind = "127.0.0.1:0", psk_identity_as_username = true
  ssl_options {{
    keyfile = server.key, certfile = server.pem
    versions = [tlsv1.2], ciphers = [PSK-AES128-GCM-SHA256, ECDHE-ECDSA-AES128-GCM-SHA256]
  }}
}}
psk_authentication {{ enable = true, init_file = "keys.psk" }}
reload_interval = 0s
"""


@pytest.fixture
def folder(pki: Any, make_cert_pem: Any, tmp_path: Path) -> Path:
    for name, text in {
        "server.key": pki.ec.key_pem,
        "server.pem": pki.ec.chain_pem,
        "root.pem": make_cert_pem(pki.root.cert),
        "ca.pem": make_cert_pem(pki.root.cert, pki.other_root.cert),
        "keys.psk": "".join(f"{name}:{key}\n" for name, key in KEYS.items()),
    }.items():
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def broker(start_broker: Any, folder: Path) -> Any:
    return start_broker(CONFIG, folder)


class Client:
    """A paho client of MQTT 5 that remembers why it was disconnected."""

    def __init__(self, broker: Any, listener: str, issued: Any, name: str, will: str = "") -> None:
        self.connected = threading.Event()
        self.ended = threading.Event()
        self.arrived = threading.Event()
        self.at = 0.0
        self.code = -1
        self.text = ""
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=MQTTProtocolVersion.MQTTv5,
            transport="websockets" if listener.startswith("ws") else "tcp",
            reconnect_on_failure=False,
        )
        certfile, keyfile = broker.folder / f"{name}.pem", broker.folder / f"{name}.key"
        certfile.write_text(issued.chain_pem)
        keyfile.write_text(issued.key_pem)
        self.paho.tls_set(str(broker.folder / "root.pem"), str(certfile), str(keyfile))
        if will:
            self.paho.will_set(will, name, retain=True)
        self.paho.on_connect = self._connected
        self.paho.on_disconnect = self._disconnected
        self.paho.on_message = lambda *_: self.arrived.set()
        self.paho.connect("localhost", broker.ports[listener])
        self.paho.loop_start()
        assert self.connected.wait(10)

    def _connected(self, *_: object) -> None:
        self.paho.subscribe("wills/#")
        self.connected.set()

    def _disconnected(
        self, _client: object, _data: object, _flags: object, code: Any, properties: Any
    ) -> None:
        self.at = time.time()
        self.code = code.value
        self.text = getattr(properties, "ReasonString", "")
        self.ended.set()

    def stop(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture
def join(broker: Any) -> Iterator[Any]:
    made: list[Client] = []

    def call(*args: Any, **fields: Any) -> Client:
        made.append(Client(broker, *args, **fields))
        return made[-1]

    yield call
    for client in made:
        client.stop()


def test_a_session_ends_with_its_certificate(broker: Any, join: Any, pki: Any) -> None:
    end = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    end += datetime.timedelta(seconds=3)
    watcher = join("ssl:cert", pki.client_ec, "watcher")
    short = [
        join(f"{kind}:cert", pki.root.client(kind, end=end), kind, will="wills/x")
        for kind in ("ssl", "wss")
    ]
    lax = join("ssl:lax", pki.root.client("lax", end=end), "lax")
    for client in short:
        assert client.ended.wait(10)
        assert (client.code, client.text) == (0x87, "client certificate expired")
        assert 0 <= client.at - end.timestamp() <= 2.5
    assert watcher.arrived.wait(5)
    assert not watcher.ended.is_set()
    assert not lax.ended.is_set()
    line = broker.wait_for("session ended on ssl:cert: client ssl [127.0.0.1:")
    assert "client certificate expired; certificate CN=ssl, serial " in line


def test_an_authority_that_is_taken_away(
    broker: Any, join: Any, pki: Any, make_cert_pem: Any
) -> None:
    mine = join("ssl:cert", pki.client_ec, "mine")
    stranger = join("ssl:cert", pki.stranger, "stranger")
    (broker.folder / "ca.pem").write_text(make_cert_pem(pki.root.cert))
    begun = time.time()
    broker.process.send_signal(signal.SIGHUP)
    assert stranger.ended.wait(10)
    assert (stranger.code, stranger.text) == (0x87, "authority no longer trusted")
    assert stranger.at - begun < 5
    assert not mine.ended.is_set()


def test_pre_shared_keys_that_are_taken_away(broker: Any, spawn: Any) -> None:
    clients = {
        name: spawn(
            "mosquitto_sub", "-h", "localhost", "-p", broker.ports["ssl:psk"], "-i", f"c-{name}",
            "--psk", key, "--psk-identity", name, "-V", "5", "-t", "t",
        )
        for name, key in KEYS.items()
    }  # fmt: skip
    for name in clients:
        # The name comes from the key: the client gave none.
        assert f"u'{name}'" in broker.wait_for(f" as c-{name} (")
    (broker.folder / "keys.psk").write_text(f"changed:{9:032x}\nsame:{KEYS['same']}\n")
    begun = time.monotonic()
    broker.process.send_signal(signal.SIGHUP)
    for name, word in (("gone", "withdrawn"), ("changed", "changed")):
        broker.wait_for(f"Client c-{name} [127.0.0.1:", 5)
        broker.wait_for(f"disconnected: pre-shared key {word}.", 5)
    assert time.monotonic() - begun < 5
    assert clients["same"].poll() is None


def test_without_a_proven_key_the_name_is_nobodys(broker: Any, dial: Any, packet: Any) -> None:
    context = ssl.create_default_context(cafile=str(broker.folder / "root.pem"))
    client = dial(broker.ports["ssl:psk"], context)
    # Not authorized, whatever username CONNECT holds.
    assert client.ask(packet("thief", username="gone")) == b"\x20\x02\x00\x05"
    broker.wait_for("the username comes from a pre-shared key and none was proven")

"""One line with cause and cure for what fails apart from TLS: ports, limits, PROXY, WebSocket."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mqttd.explain.causes import CAUSES

CONFIG = """
listeners.tcp.default { bind = "127.0.0.1:0" }
listeners.tcp.nobody { bind = "127.0.0.1:0", access_rules = ["deny all"] }
listeners.tcp.one { bind = "127.0.0.1:0", max_connections = 1 }
listeners.tcp.slow { bind = "127.0.0.1:0", max_conn_rate = "1/60s" }
listeners.tcp.behind {
  bind = "127.0.0.1:0", proxy_protocol = true, proxy_protocol_timeout = 1s
}
listeners.ws.default {
  bind = "127.0.0.1:0"
  websocket { check_origin_enable = true, check_origins = ["http://good.example"] }
}
mqtt.idle_timeout = 1s
log.console { level = info, formatter = FORMATTER }
"""
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n"
)
GOOD = "Sec-WebSocket-Protocol: mqtt\r\nOrigin: http://good.example\r\n"


def upgrade(path: str = "/mqtt", more: str = GOOD) -> bytes:
    return UPGRADE.format(path=path, more=more).encode()


class Plain:
    """A broker, and what it says of the next refused connection."""

    def __init__(self, broker: Any, run: Any) -> None:
        self.broker = broker
        self.run = run

    def send(self, listener: str, *parts: bytes, answers: bool = False) -> None:
        """Send bytes, each after an answer to the one before; read to the end with ``answers``."""
        port = self.broker.ports[listener]
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            for number, part in enumerate(parts):
                if number:
                    connection.recv(65536)
                connection.sendall(part)
            while answers and connection.recv(65536):
                pass

    def kind(self, listener: str, client: Callable[[], object]) -> str:
        """Run a client that is refused; the kind in the one line there is of it."""
        self.broker.lines.clear()
        client()
        line = self.broker.wait_for(f"connection refused on {listener} from 127.0.0.1:")
        self.send("tcp:default", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x", b"\xe0\x00")
        self.broker.wait_for(" as x (p2, c1, k0).")
        assert [each for each in self.broker.lines if " refused " in each] == [line]
        match = re.search(r"\. Cure: (.+) \[([a-z0-9-]+)\]", line)
        assert match is not None, line
        assert match[1] == CAUSES[match[2]].cure
        return match[2]


@pytest.fixture(scope="module")
def plain(start_broker: Any, run: Any) -> Plain:
    return Plain(start_broker(CONFIG.replace("FORMATTER", "text")), run)


def test_tls_to_a_plain_port(plain: Plain) -> None:
    for listener in ("tcp:default", "ws:default"):
        port = plain.broker.ports[listener]
        for command in (
            ("openssl", "s_client", "-connect", f"127.0.0.1:{port}"),
            ("gnutls-cli", "--insecure", "--port", port, "127.0.0.1"),
        ):
            assert plain.kind(listener, partial(plain.run, *command)) == "tls-to-plain"


def test_a_browser_at_the_mqtt_port(plain: Plain) -> None:
    def browse() -> None:
        client = http.client.HTTPConnection("127.0.0.1", plain.broker.ports["tcp:default"])
        client.request("GET", "/")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            client.getresponse()
        client.close()

    assert plain.kind("tcp:default", browse) == "http-to-mqtt"


@pytest.mark.parametrize(
    ("listener", "parts", "kind"),
    [
        ("tcp:default", [b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"], "proxy-to-mqtt"),
        ("tcp:default", [b"\x30\x03\x00\x01a"], "not-mqtt"),
        ("tcp:nobody", [], "access-rules"),
        ("tcp:behind", [b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x"], "no-proxy-header"),
        ("tcp:behind", [b""], "timeout-proxy"),
        ("ws:default", [upgrade("/other")], "websocket-path"),
        ("ws:default", [upgrade(more="Origin: http://good.example\r\n")], "websocket-subprotocol"),
        (
            "ws:default",
            [upgrade(more=GOOD.replace("good", "bad"))],
            "websocket-origin",
        ),
        ("ws:default", [b"GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n"], "websocket-not-upgrade"),
        ("ws:default", [b"POST /mqtt HTTP/1.1\r\nHost: x\r\n\r\n"], "websocket"),
        ("ws:default", [b""], "timeout-websocket"),
    ],
)
def test_refused(plain: Plain, listener: str, parts: list[bytes], kind: str) -> None:
    assert plain.kind(listener, lambda: plain.send(listener, *parts, answers=True)) == kind


def test_too_many_connections(plain: Plain) -> None:
    with socket.create_connection(("127.0.0.1", plain.broker.ports["tcp:one"]), 10) as first:
        first.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01y")
        first.recv(4)
        assert plain.kind("tcp:one", lambda: plain.send("tcp:one")) == "max-connections"


def test_too_fast(plain: Plain) -> None:
    plain.send("tcp:slow", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01z", b"\xe0\x00")
    plain.broker.wait_for("Client z [")
    assert plain.kind("tcp:slow", lambda: plain.send("tcp:slow")) == "max-conn-rate"


def test_a_check_of_the_port(plain: Plain) -> None:
    assert plain.kind("ws:default", lambda: plain.send("ws:default")) == "closed"


def test_the_log_is_explained(start_broker: Any, tmp_path: Path) -> None:
    """Both forms of the log give the same causes and counts."""
    said = []
    for formatter in ("text", "json"):
        broker = start_broker(CONFIG.replace("FORMATTER", formatter))
        one = Plain(broker, None)
        for _ in range(3):
            one.send("tcp:nobody")
        one.send("tcp:default", b"GET / HTTP/1.1\r\n\r\n", answers=True)
        broker.wait_for("[http-to-mqtt]")
        log = tmp_path / formatter
        log.write_text("\n".join(broker.lines))
        mqttd = shutil.which("mqttd", path=str(Path(sys.executable).parent))
        assert mqttd is not None
        done = subprocess.run(
            [mqttd, "explain", "--json", str(log)], capture_output=True, text=True, check=True
        )
        said.append(re.findall(r'"(kind|cause|cure|count|peers)": (.*)', done.stdout))
    assert said[0] == said[1]
    assert ("kind", '"access-rules",') in said[0]
    assert ("count", "3,") in said[0]

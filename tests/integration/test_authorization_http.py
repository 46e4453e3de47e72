"""The ``http`` source of rules in a real broker: what is asked, what follows, what failures do."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mqttd.packets.connect import Connect, ConnectWill
from mqttd.packets.encode import encode
from mqttd.packets.publish import Publish
from mqttd.packets.subscribe import Subscribe, SubscribeTopic


class Backend:
    """Allows what is below ``open/``, leaves ``other/`` to others, denies the rest."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[dict[str, Any]] = []
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                backend.asked.append({"token": self.headers["X-Token"]} | fields)
                first = fields["topic"].partition("/")[0]
                result = {"open": "allow", "other": "ignore"}.get(first, "deny")
                body = json.dumps({"result": result}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.stop()


def config(port: int, more: str = "") -> str:
    return f"""
listeners.tcp.default {{ bind = "127.0.0.1:0" }}
authorization {{
  {more}
  sources = [
    {{
      type = http
      url = "http://127.0.0.1:{port}/acl"
      headers {{ x-token = "s3cret-token" }}
      circuit_breaker {{ failures = 2, reset = 200ms }}
    }}
    {{ type = file, rules = [{{ permission = allow, topics = ["other/#"] }}] }}
  ]
}}
"""


Dial = Callable[..., Any]


def connected(dial: Dial, broker: Any, will: ConnectWill | None = None) -> Any:
    client = dial(broker.ports["tcp:default"])
    packet = Connect("c1", 5, username="u1", clean_start=True, will=will)
    client.send(encode(packet, 5))
    return client


def published(client: Any, topic: str) -> int:
    """The reason code of PUBACK."""
    client.send(encode(Publish(topic.encode(), b"x", 1, packet_id=7), 5))
    return reason(client, 0x40)


def subscribed(client: Any, topic: str) -> int:
    """The reason code of SUBACK."""
    client.send(encode(Subscribe(3, [SubscribeTopic(topic, 1)]), 5))
    return reason(client, 0x90)


def reason(client: Any, expected: int) -> int:
    """Read one packet; its reason code. Success needs none in a PUBACK."""
    while True:
        first, length = client.read(2)
        body = client.read(length)
        if first == expected:
            break
    if first == 0x40:
        return body[2] if len(body) > 2 else 0
    return int(body[1] if first == 0x20 else body[-1])


def test_answers_count_and_are_remembered(
    backend: Backend, start_broker: Callable[..., Any], dial: Dial, tmp_path: Path
) -> None:
    broker = start_broker(config(backend.port), tmp_path)
    client = connected(dial, broker)
    assert reason(client, 0x20) == 0
    assert [published(client, f"{first}/a") for first in ("open", "shut", "other")] == [
        0x10,  # nobody subscribed
        0x87,
        0x10,
    ]
    assert [subscribed(client, f"{first}/+") for first in ("open", "shut", "other")] == [
        1,
        0x87,
        1,
    ]
    asked = len(backend.asked)
    assert published(client, "shut/a") == 0x87
    assert len(backend.asked) == asked  # remembered by authorization.cache
    assert backend.asked[0] == {
        "token": "s3cret-token",
        "username": "u1",
        "clientid": "c1",
        "action": "publish",
        "topic": "open/a",
        "qos": "1",
        "retain": "false",
    }
    assert backend.asked[4]["action"] == "subscribe"
    assert backend.asked[4]["topic"] == "shut/+"
    refused = connected(dial, broker, ConnectWill(b"shut/will", b"x"))
    assert reason(refused, 0x20) == 0x87


def test_a_server_that_fails_denies_and_is_believed_again(
    start_broker: Callable[..., Any], dial: Dial, tmp_path: Path
) -> None:
    backend = Backend()
    broker = start_broker(config(backend.port), tmp_path)
    client = connected(dial, broker)
    assert reason(client, 0x20) == 0
    backend.stop()
    for _ in range(3):
        assert published(client, "open/a") == 0x87
        assert published(client, "other/a") == 0x87  # no later source is asked instead
        assert subscribed(client, "open/+") == 0x87
    broker.wait_for(f"authorization by HTTP: 127.0.0.1:{backend.port} refuses connections")
    broker.wait_for(f"authorization by HTTP: 127.0.0.1:{backend.port} is left alone for 0.2 s")
    broker.wait_for("the source of rules authorization.sources[0] (http) failed")
    refused = connected(dial, broker, ConnectWill(b"open/will", b"x"))
    assert reason(refused, 0x20) == 0x88
    client = connected(dial, broker)
    assert reason(client, 0x20) == 0
    again = Backend(backend.port)
    try:
        pause = threading.Event()
        for _ in range(100):
            if published(client, "open/a") == 0x10:  # nothing of the failures was remembered
                break
            pause.wait(0.05)
        broker.wait_for(f"authorization by HTTP: 127.0.0.1:{backend.port} answers again")
        assert published(client, "shut/a") == 0x87
    finally:
        again.stop()


def test_check_names_what_is_wrong(run: Callable[..., Any], tmp_path: Path) -> None:
    text = config(1, "no_match = allow").replace("/acl", "/${tpic}/${password}")
    text = text.replace("http://127", "https://127").replace(
        "circuit_breaker", 'ssl { enable = true, cacertfile = "missing.pem" }\n circuit_breaker'
    )
    text += """
authentication {
  backend = "http"
  url = "https://127.0.0.1/${user}"
  headers { x-name = "${$}${clientId}" }
  ssl { enable = true, certfile = "gone.pem", keyfile = "gone.key" }
}
"""
    (tmp_path / "mqttd.conf").write_text(text)
    checked = run(
        Path(sys.executable).parent / "mqttd",
        "check",
        "--config",
        tmp_path / "mqttd.conf",
        cwd=tmp_path,
    )
    assert checked.status != 0
    assert "did you mean ${topic}?" in checked.output
    assert "authorization.sources[0].url" in checked.output
    assert "authorization.sources[0].ssl.cacertfile" in checked.output
    assert "missing.pem" in checked.output
    assert "authentication.url" in checked.output
    assert "did you mean ${username}?" in checked.output
    assert "authentication.headers.x-name" in checked.output
    assert "did you mean ${clientid}?" in checked.output
    assert "authentication.ssl.certfile" in checked.output

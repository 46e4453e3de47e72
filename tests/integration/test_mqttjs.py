"""MQTT.js: 3.1.1 and 5 over tcp, ssl, ws and wss."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).parent / "mqttjs" / "client.js"


@pytest.mark.parametrize("listener", ["tcp", "ssl", "ws", "wss"])
@pytest.mark.parametrize("version", [4, 5])
def test_messages_of_every_qos_come_back(
    broker: Any, run: Any, listener: str, version: int
) -> None:
    assert (CLIENT.parent / "node_modules").exists(), "MQTT.js is missing: run make test-clients"
    scheme = {"tcp": "mqtt", "ssl": "mqtts"}.get(listener, listener)
    path = "/mqtt" if listener in ("ws", "wss") else ""
    url = f"{scheme}://localhost:{broker.ports[f'{listener}:default']}{path}"
    topic = f"mqttjs/{uuid.uuid4().hex}"

    done = run("node", CLIENT, url, version, broker.cafile, topic)

    assert done.status == 0, done.output
    granted, *messages = map(json.loads, done.output.splitlines())
    assert granted == {"granted": [2]}
    assert sorted(messages, key=lambda message: str(message["topic"])) == [
        {
            "topic": f"{topic}/{qos}",
            "payload": f"hello {qos}",
            "qos": qos,
            "contentType": "text/plain" if version == 5 else None,
            "level": str(qos) if version == 5 else None,
        }
        for qos in (0, 1, 2)
    ]

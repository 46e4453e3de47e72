"""Event sinks of a stranger in a real broker: told what they name, over a reload and a stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SINKS = """
from twisted.internet import reactor, task
from zope.interface import implementer

from mqttd.interfaces import IEventSink


@implementer(IEventSink)
class Lines:
    def __init__(self, file):
        self.stream = file.open("a", buffering=1)

    def handle(self, event):
        self.stream.write(f"{event.name} {getattr(event, 'payload', b'').decode()}\\n")

    def start(self):
        self.stream.write("start\\n")

    async def stop(self):
        await task.deferLater(reactor, 0.01)
        self.stream.write("stop\\n")
        self.stream.close()


@implementer(IEventSink)
class Failing:
    def handle(self, event):
        raise ValueError("s3cret")


def lines(options, context):
    if "file" not in options:
        raise ValueError("file is not set")
    return Lines(context.data_dir / options["file"])


def failing(options, context):
    return Failing()
"""
PLUGINS = """
from mqttd.plugins import EventSinkPlugin

lines = EventSinkPlugin("stranger-lines", "Writes lines.", "stranger_sinks.lines")
failing = EventSinkPlugin("stranger-failing", "Fails.", "stranger_sinks.failing")
"""
CONFIG = """
listeners.tcp.default { bind = "127.0.0.1:0" }
data_dir = "."
reload_interval = 0s
event_sinks = [
  { type = stranger-failing }
  { type = stranger-lines, file = lines%s }
]
"""
EVENTS = ", events = [client_connected, message_published, message_delivered]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    installed = tmp_path / "installed"
    (installed / "twisted" / "plugins").mkdir(parents=True)
    (installed / "stranger_sinks.py").write_text(SINKS)
    (installed / "twisted" / "plugins" / "stranger_sinks_plugin.py").write_text(PLUGINS)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    return tmp_path


def test_from_start_to_stop(
    start_broker: Callable[..., Any], folder: Path, run: Callable[..., Any]
) -> None:
    broker = start_broker(CONFIG % EVENTS, folder)
    place = ("-h", "127.0.0.1", "-p", broker.ports["tcp:default"], "-t", "a")
    publish = ("mosquitto_pub", *place, "-q", "1", "-r", "-m")
    assert run(*publish, "one").status == 0
    assert run("mosquitto_sub", *place, "-C", "1").status == 0
    (folder / "mqttd.conf").write_text(CONFIG % "")
    assert run("mqttd", "ctl", "reload", cwd=folder).status == 0
    assert run(*publish, "two").status == 0
    (folder / "mqttd.conf").write_text(CONFIG.replace(", file = lines%s", ""))
    refused = run("mqttd", "ctl", "reload", cwd=folder)
    assert refused.status != 0
    assert "file is not set" in refused.output
    broker.stop()
    seen = (folder / "lines").read_text().split("\n")
    assert seen[:5] == [
        "start",
        "client_connected ",
        "message_published one",
        "client_connected ",
        "message_delivered one",
    ]
    assert seen[-2:] == ["stop", ""]
    later = [line.strip() for line in seen[5:-2]]
    assert "broker_stopped" in later
    assert "client_disconnected" in later
    assert not any(line.startswith("message_") for line in later)
    failures = [line for line in broker.output if "the event sink stranger-failing failed" in line]
    assert len(failures) == 1
    assert "s3cret" not in "\n".join(broker.output)

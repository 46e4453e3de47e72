"""The audit log of a real broker: a record for each decision, whole over restarts and crashes."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "s3cret-of-ann"
CONFIG = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options { keyfile = "etc/certs/key.pem", certfile = "etc/certs/cert.pem" }
}
authentication { backend = "built_in_database", file = "users" }
authorization {
  sources = [{
    type = file
    rules = [{ permission = allow, who = all, action = all, topics = ["ours/#"] }]
  }]
}
audit { enable = true, file = "log/audit.log", key_file = "chain.key" }
"""


@pytest.fixture
def folder(tmp_path: Path, run: Callable[..., Any]) -> Path:
    users = tmp_path / "users"
    done = run("mqttd", "passwd", "set", users, "ann", "--stdin", stdin=PASSWORD.encode())
    assert done.status == 0, done.output
    key = tmp_path / "chain.key"
    key.write_text(secrets.token_hex(16))
    key.chmod(0o600)
    return tmp_path


def records(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "log/audit.log").read_text().splitlines()
    return [json.loads(line) for line in lines]


def verify(run: Callable[..., Any], folder: Path, *more: object) -> Any:
    return run(
        "mqttd", "audit", "verify", folder / "log/audit.log", "--key-file", folder / "chain.key",
        *more,
    )  # fmt: skip


def test_a_record_for_each_decision(
    start_broker: Callable[..., Any], folder: Path, run: Callable[..., Any]
) -> None:
    broker = start_broker(CONFIG, folder)
    place = ("mosquitto_pub", "-h", "localhost", "-p", broker.ports["ssl:default"], "-q", "1")
    trust = (*place, "--cafile", broker.cafile, "-i", "device")
    assert run(*trust, "-u", "ann", "-P", PASSWORD, "-t", "ours/a", "-m", "text").status == 0
    assert run(*trust, "-u", "ann", "-P", PASSWORD, "-t", "theirs", "-m", "text").status == 0
    assert run(*trust, "-u", "ann", "-P", "s3cret-guess", "-t", "ours/a", "-m", "x").status != 0
    assert run(*place, "-t", "ours/a", "-m", "x").status != 0  # no TLS
    assert run("mqttd", "ctl", "log", "set-level", "debug", cwd=folder).status == 0
    assert run("mqttd", "ctl", "reload", cwd=folder).status == 0
    head = broker.wait_for("the audit log goes on at record").rpartition(" ")[2]
    broker.stop()
    found = records(folder)
    events = [record["event"] for record in found]
    assert events[:2] == ["audit_resumed", "broker_started"]
    assert events[-1] == "broker_stopped"
    assert events.count("client_connected") == events.count("client_disconnected") == 2
    by_event = {record["event"]: record for record in found}
    assert by_event["client_connected"]["authenticator"] == "password_based:built_in_database"
    denied = by_event["access_denied"]
    assert (denied["topic"], denied["action"], denied["username"]) == ("theirs", "publish", "ann")
    refused = by_event["client_refused"]
    assert (refused["client_id"], refused["reason_code"]) == ("device", 0x86)
    assert by_event["handshake_refused"]["kind"] == "plain-mqtt"
    asked = [record for record in found if record["event"] == "operator_asked"]
    assert [record["request"] for record in asked] == [
        "PUT /api/v5/log/level",
        "POST /api/v5/reload",
    ]
    assert {record["user"] for record in asked} == {os.geteuid()}
    assert by_event["configuration_reloaded"]["refused"] == []
    assert verify(run, folder, "--expect", head).status == 0
    text = (folder / "log/audit.log").read_text()
    assert "s3cret" not in text
    assert '"text"' not in text  # no payload


def test_restarts_and_a_crash(
    start_broker: Callable[..., Any], folder: Path, run: Callable[..., Any]
) -> None:
    broker = start_broker(CONFIG, folder)
    broker.stop(signal.SIGKILL)
    log = folder / "log/audit.log"
    whole = log.read_bytes()
    log.write_bytes(whole[:-30])  # within the last line, as a crash may leave it
    broker = start_broker(CONFIG, folder)
    assert run("mqttd", "ctl", "status", cwd=folder).status == 0  # the reactor runs
    broker.stop()
    done = verify(run, folder)
    assert done.status == 0, done.output
    assert "1 lines were cut off by a crash" in done.output
    log.write_bytes(log.read_bytes().replace(b"broker_stopped", b"broker_dropped"))
    done = verify(run, folder)
    assert done.status == 1
    assert "is not what was written" in done.output


def test_a_log_that_is_none_is_not_gone_on_with(folder: Path, run: Callable[..., Any]) -> None:
    (folder / "log").mkdir()
    (folder / "log/audit.log").write_text("my diary\n")
    (folder / "mqttd.conf").write_text(CONFIG)
    done = run("mqttd", "check", "--config", "mqttd.conf", cwd=folder)
    assert done.status == 1
    assert "the last record of" in done.output
    assert "audit.file" in done.output

"""The audit log of a real broker when things go wrong: keys taken back, a crash, a lost folder."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mqttd.audit.verify import Verdict, verify

KEY = "00112233445566778899aabbccddeeff"
TCP = 'listeners.tcp.default { bind = "127.0.0.1:0" }\n'
PSK = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "etc/certs/key.pem", certfile = "etc/certs/cert.pem"
    versions = [tlsv1.2], ciphers = [PSK-AES128-GCM-SHA256]
  }
}
psk_authentication { enable = true, init_file = "keys.psk" }
reload_interval = 0s
"""
AUDIT = "audit { enable = true, file = audit.log, %s }\n"


@pytest.fixture
def client() -> Callable[..., bytes]:
    """Connects with MQTT 5 and returns the first bytes of the answer."""

    def call(port: int, name: str, count: int = 5) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            body = b"\x00\x04MQTT\x05\x02\x00\x00\x00" + bytes((0, len(name))) + name.encode()
            connection.sendall(bytes((0x10, len(body))) + body)
            return connection.recv(count)

    return call


def whole(folder: Path) -> Verdict:
    """What verify says of all files, oldest first."""
    numbered = sorted(folder.glob("audit.log.*"), key=lambda file: -int(file.suffix[1:]))
    return verify([*numbered, folder / "audit.log"])


def test_a_session_whose_key_is_taken_back(
    start_broker: Callable[..., Any],
    run: Callable[..., Any],
    spawn: Callable[..., Any],
    tmp_path: Path,
) -> None:
    keys = tmp_path / "keys.psk"
    keys.touch(0o600)
    keys.write_text(f"meter:{KEY}\nother:{KEY[::-1]}\n")
    broker = start_broker(PSK + AUDIT % "", tmp_path)
    place = ("-h", "127.0.0.1", "-p", broker.ports["ssl:default"])
    spawn(
        "mosquitto_sub", *place, "--psk", KEY, "--psk-identity", "meter", "-i", "m", "-t", "a"
    )  # fmt: skip
    broker.wait_for("as m ")
    keys.write_text(f"other:{KEY[::-1]}\n")
    assert run("mqttd", "ctl", "reload", cwd=tmp_path).status == 0
    broker.wait_for("session ended on ssl:default")
    assert run("mqttd", "ctl", "banned", "add", "clientid", "m", cwd=tmp_path).status == 0
    assert run("mqttd", "ctl", "banned", "remove", "clientid", "m", cwd=tmp_path).status == 0
    broker.stop()
    found = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    by_event = {record["event"]: record for record in found}
    cut = by_event["session_cut"]
    assert (cut["client_id"], cut["listener"]) == ("m", "ssl:default")
    assert by_event["client_connected"]["psk_identity"] == "meter"
    assert (by_event["ban_added"]["who"], by_event["ban_removed"]["who"]) == ("m", "m")
    assert by_event["configuration_reloaded"]["refused"] == []
    assert KEY not in (tmp_path / "audit.log").read_text().lower()
    assert whole(tmp_path).problem == ""


def test_killed_under_load_and_gone_on_with(
    start_broker: Callable[..., Any], client: Callable[..., bytes], tmp_path: Path
) -> None:
    config = TCP + AUDIT % "rotation_size = 20KB, rotation_count = 50"
    for _ in range(2):
        broker = start_broker(config, tmp_path)
        port = broker.ports["tcp:default"]
        enough = threading.Event()

        def load(number: int, port: int = port, enough: threading.Event = enough) -> None:
            for count in range(5000):
                try:
                    client(port, f"c{number}-{count}")
                except OSError:
                    return
                if count == 60:
                    enough.set()

        threads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        assert enough.wait(20)
        broker.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
        verdict = whole(tmp_path)
        assert (verdict.problem, verdict.first) == ("", 1)
        assert verdict.records > 100
    assert (tmp_path / "audit.log.2").exists()
    broker = start_broker(config, tmp_path)
    broker.stop()
    assert whole(tmp_path).problem == ""
    assert whole(tmp_path).records > verdict.records
    gone = tmp_path / "audit.log.1"
    gone.unlink()  # a whole file
    assert "missing" in whole(tmp_path).problem


@pytest.mark.parametrize("on_failure", ["refuse", "continue"])
def test_a_log_that_can_no_longer_be_written(
    start_broker: Callable[..., Any],
    client: Callable[..., bytes],
    tmp_path: Path,
    on_failure: str,
) -> None:
    audit = f"audit {{ enable = true, file = logs/audit.log, on_failure = {on_failure} }}\n"
    broker = start_broker(TCP + audit, tmp_path)
    port = broker.ports["tcp:default"]
    assert client(port, "before")[3] == 0
    (tmp_path / "logs").rename(tmp_path / "taken")
    client(port, "meanwhile")
    broker.wait_for("cannot be written: No such file or directory")
    assert client(port, "then")[3] == (0x88 if on_failure == "refuse" else 0)
    (tmp_path / "taken").rename(tmp_path / "logs")
    broker.wait_for("the audit log is written again")
    assert client(port, "after")[3] == 0
    broker.stop()
    log = tmp_path / "logs" / "audit.log"
    assert verify([log]).problem == ""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    events = {record.get("client_id"): record["event"] for record in found}
    assert {"before", "meanwhile", "then", "after"} <= set(events)
    assert events["then"] == (
        "client_refused" if on_failure == "refuse" else "client_disconnected"
    )

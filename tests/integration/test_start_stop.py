"""Starts, starts that fail, and stops of a real process."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
SSL = 'listeners.ssl.default { bind = "127.0.0.1:0" }\n'
FILES = ("key.pem", "cert.pem", "cacert.pem")


@pytest.fixture
def fail_to_start(tmp_path: Path) -> Any:
    """Start ``twistd mqttd``, which must end by itself; returns (status, output)."""

    def start(config: str) -> tuple[int, str]:
        path = tmp_path / "mqttd.conf"
        path.write_text(config)
        done = subprocess.run(
            [BIN / "twistd", "-n", "--pidfile=", "mqttd", "--config", path],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
            check=False,
        )
        assert "Traceback" not in done.stdout
        return done.returncode, done.stdout

    return start


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


# --- starts that fail -----------------------------------------------------------------------


def test_every_busy_port_is_one_line_and_nothing_stays_open(fail_to_start: Any) -> None:
    free = _free_port()
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as two,
    ):
        ports = one.getsockname()[1], two.getsockname()[1]
        status, output = fail_to_start(
            f'listeners.tcp.free.bind = "127.0.0.1:{free}"\n'
            f'listeners.tcp.busy.bind = "127.0.0.1:{ports[0]}"\n'
            f'listeners.ws.busy.bind = "[::1]:{ports[1]}"\n'
        )
    assert status == 1
    for listener, address in (("tcp", f"127.0.0.1:{ports[0]}"), ("ws", f"[::1]:{ports[1]}")):
        line = f"{listener}:busy: cannot listen on {address}: the port is in use"
        assert output.count(line) == 1
    assert "tcp:free" not in output
    assert "mqttd is ready" not in output


def test_all_errors_are_found_in_one_run_before_a_port_is_opened(
    fail_to_start: Any, tmp_path: Path
) -> None:
    (tmp_path / "none.pem").write_text("no PEM")
    status, output = fail_to_start(
        """
        listeners.tcp.default { bind = "127.0.0.1:0", access_rules = ["allow everybody"] }
        listeners.ssl.a {
          bind = "127.0.0.1:0", max_connections = many
          ssl_options { versions = [tlsv1.3, tlsv1.1], keyfile = none.pem, certfile = gone.pem }
        }
        listeners.ws.b { bind = "127.0.0.1:0", websocket.mqtt_pathh = "/" }
        """
    )
    assert status == 78  # EX_CONFIG: no retry helps
    for path in (
        "listeners.tcp.default.access_rules",
        "listeners.ssl.a.max_connections",
        "listeners.ssl.a.ssl_options.versions",
        "listeners.ssl.a.ssl_options.keyfile",
        "listeners.ssl.a.ssl_options.certfile",
        "listeners.ws.b.websocket.mqtt_pathh",
    ):
        assert f"error: {path}" in output
    assert "listening" not in output


def test_all_errors_of_files_are_found_in_one_run(fail_to_start: Any, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("no PEM")
    status, output = fail_to_start(
        """
        listeners.tcp.default.bind = "127.0.0.1:0"
        listeners.ssl.a {
          bind = "127.0.0.1:0"
          ssl_options { keyfile = none.pem, certfile = gone.pem, dhfile = gone-too.pem }
        }
        listeners.wss.b {
          bind = "127.0.0.1:0"
          ssl_options { keyfile = gone.pem, certfile = none.pem, verify = verify_peer }
        }
        """
    )
    assert status == 78
    for path in (
        "ssl.a.ssl_options.keyfile",
        "ssl.a.ssl_options.certfile",
        "ssl.a.ssl_options.dhfile",
        "wss.b.ssl_options.keyfile",
        "wss.b.ssl_options.certfile",
        "wss.b.ssl_options.cacertfile",
    ):
        assert f"error: listeners.{path}" in output
    assert "cure: " in output
    assert "listening" not in output


# --- the first certificates -----------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, start_broker: Any) -> Path:
    """A folder in which the broker was started once."""
    broker = start_broker(SSL, tmp_path)
    broker.wait_for("made a first server certificate")
    assert broker.stop() == -signal.SIGTERM
    return tmp_path


def test_a_second_start_keeps_the_certificate_and_is_quick(
    folder: Path, start_broker: Any
) -> None:
    before = [(folder / "etc/certs" / name).read_bytes() for name in FILES]
    broker = start_broker(SSL, folder)
    # processor time, not wall time: other tests run beside this one
    times = Path(f"/proc/{broker.process.pid}/stat").read_text().rpartition(")")[2].split()
    assert sum(map(int, times[11:13])) / os.sysconf("SC_CLK_TCK") < 2
    assert [(folder / "etc/certs" / name).read_bytes() for name in FILES] == before
    assert broker.stop() == -signal.SIGTERM
    assert not any("first server certificate" in line for line in broker.lines)


def test_the_key_is_for_the_owner_only_and_never_the_same(
    folder: Path, start_broker: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    assert start_broker(SSL, other).stop() == -signal.SIGTERM
    assert (folder / "etc/certs/key.pem").stat().st_mode & 0o777 == 0o600
    for name in FILES:
        assert (folder / "etc/certs" / name).read_bytes() != (
            other / "etc/certs" / name
        ).read_bytes()


@pytest.mark.parametrize("missing", [("cert.pem",), ("key.pem",), ("key.pem", "cert.pem")])
def test_a_part_of_the_files_is_refused_and_kept(
    folder: Path, fail_to_start: Any, missing: tuple[str, ...]
) -> None:
    kept = {name: (folder / "etc/certs" / name).read_bytes() for name in FILES}
    for name in missing:
        (folder / "etc/certs" / name).unlink()
        del kept[name]
    status, output = fail_to_start(SSL)
    assert status != 0
    assert "nothing is overwritten" in output
    assert {path.name: path.read_bytes() for path in (folder / "etc/certs").iterdir()} == kept


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_the_first_certificate_is_good_for_this_machine(broker: Any, dial: Any, host: str) -> None:
    context = ssl.create_default_context(cafile=broker.cafile)
    with (
        socket.create_connection(("127.0.0.1", broker.ports["ssl:default"]), 10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        assert secure.version() == "TLSv1.3"


# --- stops ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_says_goodbye(start_broker: Any, dial: Any, packet: Any, number: int) -> None:
    broker = start_broker()
    clients = {}
    for level in (4, 5):
        for listener in ("tcp:default", "ssl:default"):
            context = None
            if listener == "ssl:default":
                context = ssl.create_default_context(cafile=broker.cafile)
            client = dial(broker.ports[listener], context)
            connack = client.ask(packet(f"{listener[:3]}-{level}", level=level), 2)
            assert connack[0] == 0x20
            client.read(connack[1])
            clients[listener, level] = client
    begun = time.monotonic()
    broker.process.send_signal(number)
    for (_, level), client in clients.items():
        rest = client.read(1000)
        if level == 5:
            assert rest[0] == 0xE0
            assert rest[2] == 0x8B
        else:
            assert rest == b""
        client.socket.close()
    # Twisted stops in order and then dies of the signal, as the shell and systemd expect.
    assert broker.process.wait(5) == -number
    assert time.monotonic() - begun < 5
    broker.stop()
    assert "stopping; 4 connections are closed" in "\n".join(broker.lines)
    assert not any("Traceback" in line for line in broker.lines)


def test_a_stop_waits_for_no_client_that_does_not_go(start_broker: Any, dial: Any) -> None:
    broker = start_broker()
    silent = dial(broker.ports["tcp:default"])
    connected = dial(broker.ports["tcp:default"])
    assert connected.ask() == b"\x20\x02\x00\x00"
    begun = time.monotonic()
    assert broker.stop() == -signal.SIGTERM
    assert time.monotonic() - begun < 5
    assert silent.read(1) == b""


def test_what_was_acknowledged_before_the_stop_reaches_the_subscriber(
    start_broker: Any, dial: Any, packet: Any
) -> None:
    broker = start_broker()
    subscriber, publisher = (dial(broker.ports["tcp:default"]) for _ in range(2))
    subscriber.ask(packet("subscriber"))
    subscriber.subscribe(b"t")
    publisher.ask(packet("publisher"))
    payload = bytes(100_000)
    body = b"\x00\x01t\x00\x07" + payload
    length = bytes((len(body) & 0x7F | 0x80, len(body) >> 7 & 0x7F | 0x80, len(body) >> 14))
    assert publisher.ask(b"\x32" + length + body) == b"\x40\x02\x00\x07"
    broker.process.send_signal(signal.SIGTERM)
    received = subscriber.read(1 + len(length) + len(body))
    assert received.endswith(payload)
    assert broker.stop() == -signal.SIGTERM


def test_twist_serves_too(tmp_path: Path, dial: Any) -> None:
    port = _free_port()
    config = tmp_path / "mqttd.conf"
    config.write_text(f'listeners.tcp.default.bind = "127.0.0.1:{port}"\n')
    process = subprocess.Popen(
        [BIN / "twist", "mqttd", "--config", config],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        assert any("mqttd is ready" in line for line in output)
        assert dial(port).ask() == b"\x20\x02\x00\x00"
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in output.read()
    assert process.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("twistd", "mqttd", "--version"), "mqttd "),
        (("twistd", "mqttd", "--help-plugins"), "psk_authentication.store"),
        (("mqttd", "--version"), "mqttd "),
        (("twistd", "mqttd", "--check-config", "--config", "mqttd.conf"), "mqttd.conf: "),
        (("mqttd", "check", "--json", "--config", "mqttd.conf"), '"ok": true'),
    ],
)
def test_commands_that_only_say_something(
    tmp_path: Path, run: Any, command: tuple[str, ...], words: str
) -> None:
    (tmp_path / "mqttd.conf").write_text(SSL)
    done = run(BIN / command[0], *command[1:], cwd=tmp_path)
    assert done.status == 0
    assert words in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["mqttd.conf"]

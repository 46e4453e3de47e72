"""``mqttd ctl`` with a broker that runs: what it shows, what it changes, how it fails."""

from __future__ import annotations

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.cli import main
from mqttd.config.load import load_text

CONFIG = """
listeners.tcp.default { bind = "127.0.0.1:0" }
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "key.pem", certfile = "cert.pem", cacertfile = "ca.pem"
    verify = verify_peer, fail_if_no_peer_cert = true
  }
}
mqtt.peer_cert_as_username = cn
"""


@attrs.frozen
class Printed:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Ctl = Callable[..., Printed]


@pytest.fixture(scope="module")
def controlled(
    start_broker: Callable[..., Any],
    pki: Any,
    make_cert_pem: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """A broker that demands certificates."""
    folder = tmp_path_factory.mktemp("ctl")
    (folder / "cert.pem").write_text(pki.ec.chain_pem)
    (folder / "key.pem").write_text(pki.ec.key_pem)
    (folder / "key.pem").chmod(0o600)
    (folder / "ca.pem").write_text(make_cert_pem(pki.root.cert))
    return start_broker(CONFIG, folder)


@pytest.fixture
def ctl(
    controlled: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Ctl:
    """Run ``mqttd ctl`` where the broker was started."""
    monkeypatch.chdir(controlled.folder)

    def call(*arguments: str) -> Printed:
        status = main(["ctl", "--config", "mqttd.conf", *arguments])
        captured = capsys.readouterr()
        return Printed(status, captured.out, captured.err)

    return call


@pytest.fixture
def client_context(
    pki: Any, controlled: Any, tmp_path: Path, make_cert_pem: Callable[..., str]
) -> Callable[..., ssl.SSLContext]:
    """TLS of a client with a certificate."""

    def make(issued: Any) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(controlled.folder / "ca.pem"))
        pair = tmp_path / "client.pem"
        pair.write_text(make_cert_pem(issued.cert) + issued.key_pem)
        context.load_cert_chain(pair)
        return context

    return make


@pytest.fixture
def connected(
    controlled: Any,
    dial: Callable[..., Any],
    client_context: Callable[..., ssl.SSLContext],
    packet: Callable[..., bytes],
    pki: Any,
) -> Callable[..., Any]:
    """Connect an MQTT client over TLS."""

    def connect(name: str, *, level: int = 4, issued: Any = None) -> Any:
        context = client_context(issued or pki.client_ec)
        client = dial(controlled.ports["ssl:default"], context)
        answer = client.ask(packet(name, level=level), 2)
        assert answer[:1] == b"\x20"
        client.read(answer[1])
        return client

    return connect


def test_status(ctl: Ctl) -> None:
    shown = ctl("status")
    assert shown.status == 0
    assert shown.out.startswith("mqttd ")
    status = ctl("status", "--json").json
    assert status["listeners"] == {"running": 2, "stopped": 0}
    assert status["uptime"] >= 0


def test_listeners(ctl: Ctl, controlled: Any, connected: Callable[..., Any]) -> None:
    connected("one")
    rows = {row["id"]: row for row in ctl("--json", "listeners").json}
    assert list(rows) == ["tcp:default", "ssl:default"]
    row = rows["ssl:default"]
    assert row["address"] == f"127.0.0.1:{controlled.ports['ssl:default']}"
    assert row["running"] is True
    assert row["current_connections"] == 1
    assert row["max_connections"] == "infinity"
    assert row["certificate"]["subject"] == "CN=localhost"
    assert row["certificate"]["days_left"] == 89
    assert "certificate" not in rows["tcp:default"]
    table = ctl("listeners").out.splitlines()
    assert table[0].split()[:3] == ["ID", "ADDRESS", "RUNNING"]
    assert table[2].split()[0] == "ssl:default"


def test_how_connections_ended_is_counted(
    ctl: Ctl, controlled: Any, dial: Callable[..., Any]
) -> None:
    client = dial(controlled.ports["ssl:default"])
    assert client.ask(b"GET / HTTP/1.1\r\n\r\n", 1) in (b"", b"\x15")
    client.read(100)
    controlled.wait_for("HTTP")
    row = ctl("--json", "listeners").json[1]
    assert sum(row["shutdown_count"].values()) > 0
    refusals = ctl("--json", "status").json["refusals"]
    assert any(each["listener"] == "ssl:default" for each in refusals)
    assert "Refused connections:" in ctl("status").out


@pytest.mark.parametrize("level", [4, 5])
def test_stopping_a_listener_cuts_its_clients(
    ctl: Ctl, controlled: Any, connected: Callable[..., Any], level: int
) -> None:
    client = connected("cut", level=level)
    port = controlled.ports["ssl:default"]
    stopped = ctl("listeners", "stop", "ssl:default")
    assert (stopped.status, stopped.out) == (0, "Stop ssl:default listener successfully.\n")
    said = client.read(100)
    assert said[:1] == (b"\xe0" if level == 5 else b"")  # DISCONNECT, and then the end
    assert level == 4 or said[2] == 0x98  # Administrative action
    with pytest.raises(OSError, match="refused"):
        connected("late")
    assert ctl("--json", "listeners").json[1]["running"] is False
    started = ctl("listeners", "start", "ssl:default")
    assert (started.status, started.out) == (0, "Started ssl:default listener successfully.\n")
    # its port was the kernel's choice
    address = ctl("--json", "listeners").json[1]["address"]
    controlled.ports["ssl:default"] = int(address.rpartition(":")[2])
    assert controlled.ports["ssl:default"] != port or port
    connected("again")


def test_restarting_a_listener(ctl: Ctl, controlled: Any) -> None:
    done = ctl("listeners", "restart", "tcp:default")
    assert (done.status, done.out) == (0, "Restarted tcp:default listener successfully.\n")
    assert ctl("--json", "listeners").json[0]["running"] is True


def test_a_listener_that_is_not_there(ctl: Ctl) -> None:
    done = ctl("listeners", "stop", "ssl:none")
    assert done.status == 1
    assert "Failed to stop ssl:none listener: Listener not found" in done.err


def test_the_log_level(ctl: Ctl, controlled: Any, connected: Callable[..., Any]) -> None:
    assert ctl("log", "level").out == "info\n"
    assert ctl("log", "set-level", "debug") == Printed(0, "debug\n", "")
    connected("loud")
    controlled.wait_for("[MQTT] RECV CONNECT")
    bad = ctl("log", "set-level", "louder")
    assert bad.status == 1
    assert bad.out.startswith("[error] invalid level")
    assert "debug, info, warning, error, critical" in bad.out
    assert ctl("log", "set-level", "info").out == "info\n"


def test_clients(ctl: Ctl, connected: Callable[..., Any], pki: Any) -> None:
    held = [connected("b/2"), connected("a\u202e1", level=5)]
    rows = ctl("--json", "clients", "list").json
    assert [row["clientid"] for row in rows] == ["a\u202e1", "b/2"]
    row = ctl("--json", "clients", "show", "b/2").json
    assert row["username"] == "dev-ec"
    assert row["tls"]["version"] == "TLSv1.3"
    assert row["certificate"]["subject"] == "CN=dev-ec"
    assert row["certificate"]["serial"] == f"{pki.client_ec.cert.serial_number:x}"
    assert "CN=dev-ec" in ctl("clients", "show", "b/2").out
    shown = ctl("clients").out
    assert "a\\u202e1" in shown  # what turns the terminal's text around is not sent to it
    assert ctl("clients", "kick", "b/2") == Printed(0, "ok\n", "")
    assert held[0].read(1) == b""
    assert [row["clientid"] for row in ctl("--json", "clients").json] == ["a\u202e1"]
    for action in ("show", "kick"):
        assert ctl("clients", action, "b/2") == Printed(1, "Not Found.\n", "")


def test_clients_whose_certificate_ends_soon(
    ctl: Ctl, connected: Callable[..., Any], pki: Any
) -> None:
    start = pki.ec.cert.not_valid_before_utc
    left = pki.ec.cert.not_valid_after_utc - start
    soon = pki.root.client("soon", begin=start, end=start + left / 4)
    held = [connected("long"), connected("short", issued=soon)]
    rows = ctl("--json", "clients", "list", "--expiring", "30d").json
    assert [row["clientid"] for row in rows] == ["short"]
    rows = ctl("--json", "clients", "--expiring", "365d").json
    assert [row["clientid"] for row in rows] == ["short", "long"]
    assert ctl("clients", "--expiring", "1h").out == "No clients.\n"
    assert ctl("clients", "--expiring", "soon").status == 1
    assert len(held) == 2


def test_certificates(ctl: Ctl, pki: Any) -> None:
    rows = ctl("--json", "certs").json
    own = next(row for row in rows if row["subject"] == "CN=localhost")
    assert own["listener"] == "ssl:default"
    assert own["file"] == "cert.pem"
    assert own["serial"] == f"{pki.ec.cert.serial_number:x}"
    assert own["days_left"] == 89
    authority = next(row for row in rows if row["subject"] == "CN=Test Root")
    assert authority["file"] == "ca.pem"
    assert "cert.pem" in ctl("certs").out


def test_no_keys(ctl: Ctl) -> None:
    assert ctl("psk", "list").out == "No pre-shared keys.\n"


def test_lists_and_responses(ctl: Ctl) -> None:
    assert ctl("crl").out == "No revocation lists.\n"
    assert ctl("ocsp", "list").out == "No responses are stapled.\n"
    refused = ctl("crl", "refresh")
    assert refused.status == 1
    assert "no listener has enable_crl_check" in refused.err
    assert ctl("ocsp", "refresh").status == 1


CHECKED = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "key.pem", certfile = "cert.pem", cacertfile = "ca.pem"
    verify = verify_peer, enable_crl_check = true
    ocsp {
      enable_ocsp_stapling = true, issuer_pem = "issuer.pem"
      responder_url = "http://127.0.0.1:1/", refresh_http_timeout = 2s
    }
  }
}
crl_cache.files = ["root.crl"]
"""


def test_lists_and_responses_of_a_broker_that_uses_them(
    start_broker: Callable[..., Any],
    pki: Any,
    make_cert_pem: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    dial: Callable[..., Any],
    client_context: Callable[..., ssl.SSLContext],
    packet: Callable[..., bytes],
) -> None:
    folder = tmp_path_factory.mktemp("checked")
    (folder / "cert.pem").write_text(pki.ec.chain_pem)
    (folder / "key.pem").write_text(pki.ec.key_pem)
    (folder / "ca.pem").write_text(make_cert_pem(pki.root.cert))
    (folder / "issuer.pem").write_text(make_cert_pem(pki.intermediate.cert))

    def write_list(*serials: int) -> None:
        now = pki.ec.cert.not_valid_before_utc
        builder = x509.CertificateRevocationListBuilder().issuer_name(pki.root.cert.subject)
        builder = builder.last_update(now).next_update(pki.ec.cert.not_valid_after_utc)
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(revoked.build())
        signed = builder.sign(pki.root.key, hashes.SHA256())
        (folder / "root.crl").write_bytes(signed.public_bytes(Encoding.PEM))

    write_list(1)
    broker = start_broker(CHECKED, folder)
    socket = str(folder / "run" / "mqttd.sock")

    def ctl(*arguments: str) -> Printed:
        status = main(["ctl", "--socket", socket, *arguments])
        captured = capsys.readouterr()
        return Printed(status, captured.out, captured.err)

    # whose list it is is known once a certificate of its issuer was seen
    dial(broker.ports["ssl:default"], client_context(pki.client_ec)).ask(packet("one"))
    (listed,) = ctl("crl", "list", "--json").json
    assert listed["usable"] is True
    assert listed["entries"] == 1
    assert listed["issuer"] == "CN=Test Root"
    assert listed["next_update"].endswith("Z")
    assert "root.crl" in ctl("crl").out
    write_list(1, 2)
    refreshed = ctl("crl", "refresh", "--json")
    assert refreshed.status == 0
    assert refreshed.json[0]["entries"] == 2
    (stapled,) = ctl("ocsp", "--json").json
    assert stapled["status"] == "none"
    assert stapled["url"] == "http://127.0.0.1:1/"
    failed = ctl("ocsp", "refresh")
    assert failed.status == 1
    assert "127.0.0.1:1" in failed.out
    broker.stop()


def test_plugins(ctl: Ctl) -> None:
    rows = ctl("plugins", "--json").json
    assert ("psk_store", "file") in [(row["kind"], row["name"]) for row in rows]


def test_reload(ctl: Ctl, controlled: Any) -> None:
    assert ctl("reload") == Printed(0, "Nothing has changed.\n", "")
    config = controlled.folder / "mqttd.conf"
    before = config.read_text()
    config.write_text(before + "\nlisteners.tcp.default.max_connections = 10\n")
    changed = ctl("reload")
    assert changed.status == 0
    assert "changed: listeners.tcp.default.max_connections\n" in changed.out
    assert ctl("--json", "listeners").json[0]["max_connections"] == 10
    config.write_text(before + "\nlisteners.tcp.default.max_connections = many\n")
    refused = ctl("reload")
    assert refused.status == 1
    assert "Nothing was changed:" in refused.out
    assert "max_connections" in refused.out
    assert ctl("--json", "reload").json["ok"] is False  # with a configuration that is wrong
    assert ctl("--json", "listeners").json[0]["max_connections"] == 10
    config.write_text(before)


def test_identities_without_keys(
    start_broker: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path_factory.mktemp("psk")
    keys = folder / "keys.psk"
    keys.write_text("dev\u00e4:6162636465666768696a6b6c6d6e6f70\n")
    keys.chmod(0o600)
    broker = start_broker(
        'listeners.tcp.default { bind = "127.0.0.1:0" }\n'
        'psk_authentication { enable = true, init_file = "keys.psk" }\n',
        folder,
    )
    socket = str(folder / "run" / "mqttd.sock")
    assert main(["ctl", "--socket", socket, "psk", "list"]) == 0
    assert capsys.readouterr().out == "dev\u00e4\n"
    keys.write_text("other:6162636465666768696a6b6c6d6e6f71\n")
    assert main(["ctl", "--socket", socket, "reload"]) == 0
    assert capsys.readouterr().out == "changed: keys.psk\n"
    assert main(["ctl", "--socket", socket, "psk", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"identity": "other"}]
    broker.stop()


def test_misuse(ctl: Ctl) -> None:
    for arguments in (["listeners", "stop"], ["clients", "kick"], ["log", "set-level"]):
        assert ctl(*arguments).status == 2
    assert ctl().status == 2
    for arguments in (["nonsense"], ["log", "shout"], ["listeners", "eat", "x"]):
        with pytest.raises(SystemExit) as caught:
            ctl(*arguments)
        assert caught.value.code == 2


def test_as_a_command_of_its_own(controlled: Any) -> None:
    mqttd = Path(sys.executable).parent / "mqttd"
    done = subprocess.run(
        [str(mqttd), "ctl", "--socket", "run/mqttd.sock", "status"],
        cwd=controlled.folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mqttd ")


def test_a_reader_that_has_enough(controlled: Any) -> None:
    mqttd = Path(sys.executable).parent / "mqttd"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [str(mqttd), "ctl", "--socket", "run/mqttd.sock", "listeners"],
        cwd=controlled.folder,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=20,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_socket_comes_and_goes_with_the_broker(
    start_broker: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    broker = start_broker('listeners.tcp.default { bind = "127.0.0.1:0" }\n')
    path = broker.folder / "run" / "mqttd.sock"
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert main(["ctl", "--socket", str(path), "status"]) == 0
    broker.stop()
    assert not path.exists()
    assert main(["ctl", "--socket", str(path), "status"]) == 1
    assert "the broker is not running" in capsys.readouterr().err


def test_after_a_broker_that_was_killed(
    start_broker: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config = 'listeners.tcp.default { bind = "127.0.0.1:0" }\n'
    killed = start_broker(config)
    path = killed.folder / "run" / "mqttd.sock"
    killed.stop(signal.SIGKILL)
    assert path.exists()
    assert main(["ctl", "--socket", str(path), "status"]) == 1
    assert "nobody listens on" in capsys.readouterr().err
    again = start_broker(config, killed.folder)
    assert main(["ctl", "--socket", str(path), "status"]) == 0
    # a second one in the same directory leaves the first its socket
    second = start_broker(config, killed.folder)
    second.wait_for("another process listens on")
    second.stop()
    assert main(["ctl", "--socket", str(path), "status"]) == 0
    again.stop()


def test_no_socket_where_none_is_wanted(
    start_broker: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = 'listeners.tcp.default { bind = "127.0.0.1:0" }\ncontrol.enable = false\n'
    assert load_text(config).configuration.control.enable is False
    broker = start_broker(config)
    assert not os.path.lexists(broker.folder / "run")
    monkeypatch.chdir(broker.folder)
    assert main(["ctl", "--config", "mqttd.conf", "status"]) == 1
    assert "control.enable = false" in capsys.readouterr().err
    broker.stop()

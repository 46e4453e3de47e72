"""The example plugins, found by a running broker as anybody's are."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
EXAMPLE = Path(__file__).parents[2] / "examples" / "plugins" / "acme_trust"
CONFIG = """
psk_authentication {
  enable = true
  store = acme
  store_options { secret_file = secret, prefix = "acme-" }
}
listeners.ssl.psk {
  bind = "127.0.0.1:0"
  ssl_options { versions = ["tlsv1.2"], ciphers = "PSK-AES128-GCM-SHA256" }
}
listeners.ssl.two {
  bind = "127.0.0.1:0"
  ssl_options {
    cacertfile = "ca.pem"
    verify = verify_peer
    revocation_checkers = [lost-devices]
  }
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pki: Any, make_cert_pem: Any) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "installed")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    (tmp_path / "secret").write_text("a secret of Acme\n")
    (tmp_path / "ca.pem").write_text(make_cert_pem(pki.root.cert))
    (tmp_path / "client.pem").write_text(pki.client_ec.chain_pem)
    (tmp_path / "client.key").write_text(pki.client_ec.key_pem)
    return tmp_path


def test_keys_and_lost_devices(
    start_broker: Callable[..., Any],
    folder: Path,
    run: Callable[..., Any],
    spawn: Callable[..., Any],
    pki: Any,
) -> None:
    broker = start_broker(CONFIG, folder)
    key = hmac.digest(b"a secret of Acme", b"acme-7", hashlib.sha256).hex()
    address = ("-h", "localhost", "-t", "a", "-m", "x", "-p")
    port = broker.ports["ssl:psk"]
    psk = ("--psk-identity", "acme-7", "--psk", key)
    assert run("mosquitto_pub", *address, port, *psk).status == 0
    other = ("--psk-identity", "other-7", "--psk", key)
    assert run("mosquitto_pub", *address, port, *other).status != 0

    port = broker.ports["ssl:two"]
    certificate = ("--cert", folder / "client.pem", "--key", folder / "client.key")
    client = ("--cafile", broker.cafile, *certificate)
    spawn("mosquitto_sub", "-h", "localhost", "-p", port, *client, "-i", "dev", "-t", "a")
    broker.wait_for(" as dev ")
    (folder / "lost-devices").write_text(f"{pki.client_ec.cert.serial_number:x}\n")
    assert "revoked" in broker.wait_for("Client dev [", 5)
    assert run("mosquitto_pub", *address, port, *client).status != 0
    assert "the device was reported lost" in broker.wait_for("[device-lost]")


def test_help_and_findings(folder: Path, run: Callable[..., Any]) -> None:
    listed = run(BIN / "twistd", "mqttd", "--help-plugins", cwd=folder).output
    assert "acme         Keys derived from one secret." in listed
    assert "lost-devices Devices reported lost." in listed
    config = folder / "mqttd.conf"
    config.write_text(CONFIG.replace("store = acme", "store = acne"))
    checked = run(BIN / "mqttd", "check", "--config", config, cwd=folder)
    assert checked.status == 1
    assert "there is no PSK store plugin 'acne'; installed: acme, file" in checked.output
    config.write_text(CONFIG.replace("secret_file = secret, ", ""))
    started = run(BIN / "twistd", "-n", "--pidfile=", "mqttd", "--config", config, cwd=folder)
    assert started.status == 78
    assert "the plugin acme cannot be used: store_options needs 'secret_file'" in started.output

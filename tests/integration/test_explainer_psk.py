"""Pre-shared keys that fail are explained: identity, key, and clients that prove none."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mqttd.explain.causes import CAUSES
from mqttd.explain.reader import Reader

KEY = "0123456789abcdef0123456789abcdef"
CONFIG = """
listeners.ssl.psk {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = server.key, certfile = server.pem
    versions = [tlsv1.3, tlsv1.2], ciphers = [PSK-AES128-GCM-SHA256]
  }
}
psk_authentication { enable = true, init_file = "keys.psk" }
log.console.level = info
"""


@pytest.fixture(scope="module")
def broker(start_broker: Any, pki: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("psk")
    for name, text in {
        "keys.psk": f"dev1:{KEY}\n",
        "server.key": pki.ec.key_pem,
        "server.pem": pki.ec.chain_pem,
    }.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    return start_broker(CONFIG, folder)


def refusal(broker: Any, run: Any, *command: object) -> tuple[str, str]:
    """The one line the broker writes of a client, and what the client's output is taken for."""
    broker.lines.clear()
    port = broker.ports["ssl:psk"]
    if command[0] == "s_client":
        command = ("openssl", "s_client", "-connect", f"localhost:{port}", "-ign_eof",
                   *command[1:])  # fmt: skip
    else:
        command = (*command, "-h", "localhost", "-p", port, "-t", "t", "-m", "x")
    output = run(*command).output
    line: str = broker.wait_for("TLS handshake refused on ssl:psk from 127.0.0.1:")
    kind = re.search(r"\. Cure: (.+) \[([a-z-]+)\]$", line)
    assert kind is not None
    assert CAUSES[kind[2]].cure == kind[1]
    assert KEY not in line
    reader = Reader()
    reader.read(output.splitlines())
    return line, next(iter(reader.found), "")


def test_an_unknown_identity(broker: Any, run: Any) -> None:
    line, said = refusal(
        broker, run, "s_client", "-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256", "-psk", KEY,
        "-psk_identity", "nobody",
    )  # fmt: skip
    assert line.endswith("[psk-unknown]")
    assert "PSK identity 'nobody'" in line
    assert "sent alert unknown_psk_identity" in line
    assert said == "psk-unknown"


def test_a_wrong_key(broker: Any, run: Any) -> None:
    line, said = refusal(
        broker, run, "s_client", "-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256", "-psk", "ff" * 16,
        "-psk_identity", "dev1",
    )  # fmt: skip
    assert line.endswith("[psk-wrong-key]")
    assert "PSK identity 'dev1'" in line
    assert said == "psk-wrong-key"


def test_mosquitto(broker: Any, run: Any) -> None:
    line, _ = refusal(
        broker, run, "mosquitto_pub", "--psk", KEY, "--psk-identity", "nobody",
        "--tls-version", "tlsv1.2",
    )  # fmt: skip
    assert re.search(r"\[psk-(unknown|required)\]$", line)


def test_a_client_that_proves_no_key(broker: Any, run: Any) -> None:
    """It would slip past the keys by speaking TLS 1.3."""
    line, _ = refusal(broker, run, "s_client", "-tls1_3")
    assert line.endswith("[psk-required]")


def test_a_client_without_psk_suites(broker: Any, run: Any) -> None:
    line, _ = refusal(broker, run, "s_client", "-tls1_2")
    assert line.endswith("[no-shared-cipher]")
    assert "PSK suites psk_authentication" in line

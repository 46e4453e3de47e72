"""The programs in examples/clients, each in each of its ways to use TLS."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "clients"
KEY = "8c701116e9127c57a99d5563709af3deaca75563e2c4dd0865701ae839fb6d79"
CONFIG = """
psk_authentication { enable = true, init_file = "init.psk" }
listeners.ssl.oneway { bind = "127.0.0.1:0" }
listeners.ssl.twoway {
  bind = "127.0.0.1:0"
  ssl_options { cacertfile = "clients-ca.pem", verify = verify_peer }
}
listeners.ssl.psk {
  bind = "127.0.0.1:0"
  ssl_options { versions = ["tlsv1.2"], ciphers = "PSK-AES256-GCM-SHA384,PSK-AES128-GCM-SHA256" }
}
"""


@pytest.fixture(scope="module")
def broker(
    start_broker: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
    pki: Any,
    make_cert_pem: Callable[..., str],
) -> Any:
    """A listener for each way, and what their clients need beside it."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "init.psk").write_text(f"myclient1:{KEY}\n")
    (folder / "init.psk").chmod(0o600)
    (folder / "clients-ca.pem").write_text(make_cert_pem(pki.root.cert))
    (folder / "client.pem").write_text(pki.client_ec.chain_pem)
    (folder / "client.key").write_text(pki.client_ec.key_pem)
    return start_broker(CONFIG, folder)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, run: Callable[..., Any]) -> dict[str, Any]:
    """The command of each language."""
    folder = tmp_path_factory.mktemp("programs")
    built = folder / "client"
    compiled = run("cc", "-Wall", "-Werror", "-o", built, EXAMPLES / "c/client.c", "-lmosquitto")
    assert compiled.status == 0, compiled.output
    script = shutil.copy(EXAMPLES / "javascript/client.mjs", folder)
    modules = Path(__file__).parent / "mqttjs" / "node_modules"
    (folder / "node_modules").symlink_to(modules)
    return {
        "python": [sys.executable, EXAMPLES / "python/client.py"],
        "javascript": ["node", script],
        "c": [built],
        "shell": ["sh", EXAMPLES / "shell/client.sh"],
    }


def arguments(broker: Any, mode: str) -> list[object]:
    if mode == "psk":
        return ["myclient1", KEY]
    if mode == "one-way":
        return [broker.cafile]
    return [broker.cafile, broker.folder / "client.pem", broker.folder / "client.key"]


@pytest.mark.parametrize("mode", ["one-way", "two-way", "psk"])
@pytest.mark.parametrize("language", ["python", "javascript", "c", "shell"])
def test_an_example_gets_its_own_message_back(
    language: str, mode: str, broker: Any, programs: dict[str, Any], run: Callable[..., Any]
) -> None:
    if language == "python" and mode == "psk" and sys.version_info < (3, 13):
        pytest.skip("Python has pre-shared keys from 3.13 on")
    port = broker.ports[f"ssl:{mode.replace('-', '')}"]
    # It connects to the name in the certificate.
    ended = run(*programs[language], "localhost", port, mode, *arguments(broker, mode))
    assert ended.status == 0, ended.output
    assert ended.output.startswith("greetings/world hello from"), ended.output


@pytest.mark.parametrize("language", ["python", "javascript", "c", "shell"])
def test_an_example_that_is_refused_says_so(
    language: str, broker: Any, programs: dict[str, Any], run: Callable[..., Any]
) -> None:
    port = broker.ports["ssl:oneway"]
    wrong = broker.folder / "clients-ca.pem"
    ended = run(*programs[language], "localhost", port, "one-way", wrong)
    assert ended.status != 0
    assert "hello" not in ended.output

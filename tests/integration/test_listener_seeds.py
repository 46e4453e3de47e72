"""Every TLS listener the seed documents show is started, as it stands, with certificates."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import ssl
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = Path(os.environ.get("MQTTD_SEEDS", ROOT.parent / "shared" / "seeds"))
pytestmark = pytest.mark.skipif(
    not SEEDS.is_dir(), reason=f"the seed documents are not here ({SEEDS}; see MQTTD_SEEDS)"
)
ELSEWHERE = ("PSK-", "enable_ocsp_stapling", "enable_crl_check")
"""Snippets of what needs more than certificates have tests of their own."""
REQUEST = """
[req]
distinguished_name = req_distinguished_name
x509_extensions = v3_req
prompt = no
[req_distinguished_name]
countryName = CN
stateOrProvinceName = Zhejiang
localityName = Hangzhou
organizationName = EMQX
commonName = Server certificate
[v3_req]
subjectAltName = @alt_names
[alt_names]
IP.1 = 127.0.0.1
DNS.1 = localhost
"""


def _blocks() -> Iterator[str]:
    """Every fenced block that configures a TLS listener; ``...`` stands for what was left out."""
    for path in sorted(SEEDS.glob("*.txt")):
        for block in re.findall(r"```\w*\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
            text = textwrap.dedent(block)
            if re.search(
                r"^(listeners\.ssl\.default|listener\.ssl\.external)\b", text, re.MULTILINE
            ):
                yield "\n".join(line for line in text.splitlines() if line.strip() != "...")


def _named(text: str) -> dict[str, str]:
    """The files a snippet names, by option."""
    found = re.findall(r"\b(keyfile|certfile|cacertfile)\s*=\s*\"?([^\s\"]+)", text)
    return dict(found)


def _port(text: str) -> str:
    """The snippet on a port of the kernel's choice: 8883 may be somebody else's."""
    assert text.count("8883") == 1
    return text.replace("8883", "0")


BLOCKS = list(_blocks()) if SEEDS.is_dir() else []
NOW = [text for text in BLOCKS if not any(word in text for word in ELSEWHERE)]


def _make(run: Any, folder: Path) -> None:
    """The 2020 document's own commands: an RSA authority and a server certificate."""
    (folder / "openssl.cnf").write_text(REQUEST)
    for command in (
        "openssl genrsa -out ca.key 2048",
        "openssl req -x509 -new -nodes -key ca.key -sha256 -days 3650 -out ca.pem -subj /CN=ca",
        "openssl genrsa -out emqx.key 2048",
        "openssl req -new -key ./emqx.key -config openssl.cnf -out emqx.csr",
        "openssl x509 -req -in ./emqx.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out emqx.pem "
        "-days 3650 -sha256 -extensions v3_req -extfile openssl.cnf",
    ):
        done = run(*shlex.split(command), cwd=folder)
        assert done.status == 0, done.output
    assert run("openssl", "verify", "-CAfile", "ca.pem", "emqx.pem", cwd=folder).output == (
        "emqx.pem: OK\n"
    )


@pytest.fixture(scope="module")
def certificates(run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seed-certificates")
    _make(run, folder)
    return folder


@pytest.fixture
def installed(certificates: Path, tmp_path: Path) -> Any:
    """Put the certificates where a snippet names them, below a folder of this test."""

    def install(text: str) -> Path:
        own = {"keyfile": "emqx.key", "certfile": "emqx.pem", "cacertfile": "ca.pem"}
        for option, name in _named(text).items():
            assert not name.startswith("/")
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch(0o600)
            target.write_bytes((certificates / own[option]).read_bytes())
        return tmp_path

    return install


def test_there_are_snippets() -> None:
    assert len(NOW) >= 3
    assert all(any(word in text for text in BLOCKS) for word in ELSEWHERE)


@pytest.mark.parametrize("text", NOW, ids=range(len(NOW)))
def test_a_snippet_starts_and_serves_a_client(
    start_broker: Any,
    certificates: Path,
    installed: Any,
    dial: Any,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    monkeypatch.setenv("MQTTD_LOG__CONSOLE__LEVEL", "debug")
    broker = start_broker(_port(text), installed(text))
    ((listener, port),) = broker.ports.items()
    assert listener in ("ssl:default", "ssl:external")
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if "verify_peer" in text:
        with contextlib.suppress(ssl.SSLError):
            assert dial(port, context).ask() == b""
        context.load_cert_chain(certificates / "emqx.pem", certificates / "emqx.key")
    assert dial(port, context).ask() == b"\x20\x02\x00\x00"
    if listener == "ssl:external":
        notice = broker.wait_for("written in the form of EMQ X 4")
        assert "write listeners.ssl.external { bind = ..., ssl_options.keyfile = " in notice
    assert broker.stop() == -signal.SIGTERM


def test_the_test_command_of_the_2020_document(
    start_broker: Any, certificates: Path, installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is written there, with bash; only the port differs."""
    (text,) = [text for text in NOW if "etc/certs/ca.pem" in text]
    (command,) = {
        match
        for path in SEEDS.glob("*.txt")
        for match in re.findall(r"\$ (echo -en .*s_client .*)", path.read_text("utf-8"))
    }
    monkeypatch.setenv("MQTTD_LOG__CONSOLE__LEVEL", "debug")
    broker = start_broker(_port(text), installed(text))
    port = str(broker.ports["ssl:external"])
    done = subprocess.run(
        ["/bin/bash", "-c", command.replace("8883", port)],
        cwd=certificates,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "Verify return code: 0 (ok)" in done.stdout
    line = broker.wait_for(
        "RECV CONNECT(Q0, R0, D0, ClientId=a, ProtoName=MQTT, ProtoVsn=4, CleanStart=false, "
        "KeepAlive=0, Username=undefined, Password=undefined)"
    )
    assert "127.0.0.1" in line or "::1" in line
    broker.wait_for("SEND CONNACK(")
    broker.wait_for(" as a (p2, c0, k0)")
    assert broker.stop() == -signal.SIGTERM

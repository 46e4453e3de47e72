"""The OpenSSL recipes of the seed documents, run as they stand; their files are accepted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mqttd.cli import main

ROOT = Path(__file__).parents[2]
SEEDS = Path(os.environ.get("MQTTD_SEEDS", ROOT.parent / "shared" / "seeds"))
pytestmark = pytest.mark.skipif(
    not SEEDS.is_dir(), reason=f"the seed documents are not here ({SEEDS}; see MQTTD_SEEDS)"
)
CONNECT = rb"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01a"
CONFIG = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options { keyfile = "KEY", certfile = "CERT", CA }
}
log.console.level = debug
"""


def blocks(number: str, begin: str, end: str) -> Iterator[str]:
    """The fenced blocks of a document between two headings."""
    (path,) = SEEDS.glob(f"{number}_*.txt")
    part = path.read_text("utf-8").split(begin, 1)[1].split(end, 1)[0]
    yield from re.findall(r"```\w*\n(.*?)```", part, re.DOTALL)


def bash(script: str, folder: Path) -> str:
    """Run a block; empty answers to what ``openssl req`` asks for take its defaults."""
    program = shutil.which("bash")
    assert program is not None
    done = subprocess.run(
        [program, "-e", "-c", script],
        cwd=folder,
        input="\n" * 9,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def purchased(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the recipe for one-way authentication."""
    folder = tmp_path_factory.mktemp("one-way")
    outputs = []
    for block in blocks("003", "### The self-signed certificate", "## Enable and verify"):
        if block.startswith("[req]"):
            text = block.replace("IP.1 = BROKER_ADDRESS", "IP.1 = 127.0.0.1")
            text = text.replace("DNS.1 = BROKER_ADDRESS", "DNS.1 = localhost")
            (folder / "openssl.cnf").write_text(text)
        else:
            lines = [line for line in block.splitlines() if line != "emqx.pem: OK"]
            outputs.append(bash("\n".join(line.removeprefix("$ ") for line in lines), folder))
    assert "emqx.pem: OK" in outputs[-1]
    return folder


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the recipe for the cloud, for both sides."""
    folder = tmp_path_factory.mktemp("cloud")
    said = ""
    for block in blocks("004", "## Creating Self-Signed", "## FAQ"):
        said += bash(block.replace("<Domain Connect Address>", "localhost"), folder)
    assert "server.crt: OK" in said
    assert "client.crt: OK" in said
    return folder


def test_one_way(purchased: Path, capsys: pytest.CaptureFixture[str], start_broker: Any) -> None:
    files = [str(purchased / name) for name in ("emqx.pem", "emqx.key", "ca.pem")]
    for profile in ([], ["--profile", "cloud"]):
        assert main(["certs", "check", files[0], "--key", files[1], "--chain", files[2],
                     *profile]) == 0  # fmt: skip
        said = capsys.readouterr().out
        assert "warning" not in said
        assert "error" not in said
    assert main(["certs", "verify", files[0], "--ca", files[2], "--purpose", "server",
                 "--host", "127.0.0.1"]) == 0  # fmt: skip
    config = CONFIG.replace("KEY", files[1]).replace("CERT", files[0])
    broker = start_broker(config.replace("CA }", f'cacertfile = "{files[2]}" }}'))
    (command,) = (
        block.strip()
        for block in blocks("003", "- Using OpenSSL as Client and EMQ X as", "#### MQTT")
        if "s_client" in block
    )
    first = command.splitlines()[0].strip().removeprefix("$ ")
    assert first.startswith("echo -en")
    first = first.replace("localhost:8883", f"localhost:{broker.ports['ssl:default']}")
    assert "Verify return code: 0 (ok)" in bash(first, purchased)
    broker.wait_for(
        "[MQTT] RECV CONNECT(Q0, R0, D0, ClientId=a, ProtoName=MQTT, ProtoVsn=4, "
        "CleanStart=false, KeepAlive=0, Username=undefined, Password=undefined)"
    )


def test_two_way(cloud: Path, capsys: pytest.CaptureFixture[str], start_broker: Any) -> None:
    key, cert, chain, client_ca = (
        str(cloud / name)
        for name in ("server.key", "server.crt", "server-ca.crt", "client-ca.crt")
    )
    assert main(["certs", "check", cert, "--key", key, "--chain", chain, "--client-ca", client_ca,
                 "--profile", "cloud"]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert said.count("\nok: ") == 12
    config = CONFIG.replace("KEY", key).replace("CERT", cert)
    trust = f'cacertfile = "{client_ca}", verify = verify_peer }}'
    broker = start_broker(config.replace("CA }", trust))
    port = broker.ports["ssl:default"]
    connect = CONNECT.decode("ascii")
    client = f"openssl s_client -connect localhost:{port} -CAfile server-ca.crt"
    # Read without an end, the answer comes for sure; the Client Identifier stands for it.
    said = bash(f"echo -en '{connect}' | {client} -cert client.crt -key client.key", cloud)
    assert "Verify return code: 0 (ok)" in said
    broker.wait_for("as a (p2, c0, k0)")
    # Both CAs have one name here, and different keys: the wrong one proves nothing.
    said = bash(f"{client} -cert server.crt -key server.key -ign_eof < /dev/null || true", cloud)
    broker.wait_for("TLS handshake refused on ssl:default")


def test_a_purchased_bundle_is_split_in_the_order_of_the_faq(
    tmp_path: Path, pki: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """User Certificate, Intermediate Certificate, Root Certificate."""
    (block,) = (block for block in blocks("004", "## FAQ", "2. Lack") if "User" in block)
    order = {
        "User Certificate": pki.ec,
        "Intermediate Certificate": pki.intermediate,
        "Root Certificate": pki.root,
    }
    text = block
    for words, issued in order.items():
        body = issued.chain_pem.partition("-----END")[0].partition("CERTIFICATE-----")[2]
        text = text.replace(words, body.strip())
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("\n".join(line.strip() for line in text.splitlines() if line.strip()))
    assert main(["certs", "split", str(bundle), "--out-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count(": 1 certificate") == 3
    key = tmp_path / "server.key"
    key.write_text(pki.ec.key_pem)
    assert main(["certs", "check", str(tmp_path / "user.pem"), "--key", str(key), "--chain",
                 str(tmp_path / "chain.pem"), "--profile", "cloud"]) == 0  # fmt: skip

"""Pre-shared keys on a running broker, with clients of others: OpenSSL, mosquitto, GnuTLS."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SEEDS = Path(os.environ.get("MQTTD_SEEDS", Path(__file__).parents[3] / "shared" / "seeds"))
needs_seeds = pytest.mark.skipif(
    not SEEDS.is_dir(), reason=f"the seed documents are not here ({SEEDS}; see MQTTD_SEEDS)"
)
KEY = "8c701116e9127c57a99d5563709af3deaca75563e2c4dd0865701ae839fb6d79"
OTHER = "d1e617d3b963757bfc21dad3fea169716c3a2f053f23decaea5cdfaabd04bfc4"
PLAIN = [
    "PSK-AES256-GCM-SHA384",
    "PSK-AES128-GCM-SHA256",
    "PSK-AES256-CBC-SHA384",
    "PSK-AES256-CBC-SHA",
    "PSK-AES128-CBC-SHA256",
    "PSK-AES128-CBC-SHA",
]
SUITES = PLAIN + [f"RSA-{name}" for name in PLAIN]
EPHEMERAL = ["ECDHE-PSK-AES256-CBC-SHA384", "DHE-PSK-AES128-GCM-SHA256"]
CONFIG = f"""
psk_authentication {{ enable = true, init_file = "init.psk", tls13 = true }}
mqtt.psk_identity_as_username = true
listeners.ssl.psk {{
  bind = "127.0.0.1:0"
  ssl_options {{ versions = ["tlsv1.2"], ciphers = "{",".join(SUITES + EPHEMERAL)}"
                 keyfile = "rsa.key", certfile = "rsa.pem" }}
}}
listeners.ssl.both {{
  bind = "127.0.0.1:0"
  ssl_options {{ ciphers = "{",".join(PLAIN)}", keyfile = "rsa.key", certfile = "rsa.pem" }}
}}
listeners.wss.psk {{
  bind = "127.0.0.1:0"
  ssl_options {{ versions = ["tlsv1.2"], ciphers = "{",".join(PLAIN)}"
                 keyfile = "rsa.key", certfile = "rsa.pem" }}
}}
"""
CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02it"

Run = Callable[..., Any]


def block(*words: str) -> str:
    """The fenced block of the seeds that holds every word."""
    (text,) = {
        textwrap.dedent(each)
        for path in SEEDS.glob("*.txt")
        for each in re.findall(r"```\w*\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
        if all(word in each for word in words)
    }
    return "\n".join(line for line in text.splitlines() if line.strip() != "...")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pki: Any, make_cert_pem: Any) -> Path:
    """An RSA certificate, and the file of keys."""
    folder = tmp_path_factory.mktemp("psk")
    (folder / "init.psk").write_text(f"# keys\nmyclient1:{KEY}\nmyclient2:{OTHER}\n")
    (folder / "rsa.key").write_text(pki.rsa.key_pem)
    (folder / "rsa.pem").write_text(pki.rsa.chain_pem)
    (folder / "ca.pem").write_text(make_cert_pem(pki.root.cert))
    for name in ("init.psk", "rsa.key"):
        (folder / name).chmod(0o600)
    return folder


@pytest.fixture(scope="module")
def broker(start_broker: Callable[..., Any], folder: Path) -> Any:
    return start_broker(CONFIG, folder)


@pytest.fixture(scope="module")
def s_client(run: Run) -> Callable[..., Any]:
    def call(port: int, *more: object, identity: str = "myclient1", key: str = KEY) -> Any:
        psk = ("-psk", key, "-psk_identity", identity) if key else ()
        command = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", *psk)
        return run(*command, *more, stdin=CONNECT + b"\xe0\x00")

    return call


@pytest.mark.parametrize("suite", SUITES + EPHEMERAL)
def test_every_suite_with_openssl(broker: Any, s_client: Callable[..., Any], suite: str) -> None:
    ended = s_client(broker.ports["ssl:psk"], "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
    assert f"Cipher is {suite}" in ended.output
    assert "PSK identity: myclient1" in ended.output
    assert "\x20\x02\x00\x00" in ended.output


def test_unknown_and_wrong(broker: Any, s_client: Callable[..., Any]) -> None:
    port = broker.ports["ssl:psk"]
    ended = s_client(port, "-tls1_2", "-cipher", "PSK", identity="nobody")
    assert "alert unknown psk identity" in ended.output
    line = broker.wait_for("[psk-unknown]")
    assert "refused on ssl:psk from 127.0.0.1:" in line
    assert "nobody" in line
    ended = s_client(port, "-tls1_2", "-cipher", "PSK", key=OTHER)
    assert "alert bad record mac" in ended.output
    line = broker.wait_for("[psk-wrong-key]")
    assert "refused on ssl:psk from 127.0.0.1:" in line
    assert "myclient1" in line
    log = "\n".join(broker.lines)
    assert KEY not in log
    assert OTHER not in log


def test_hidden_identities(
    start_broker: Callable[..., Any], folder: Path, tmp_path: Path, s_client: Callable[..., Any]
) -> None:
    """Whoever tries names sees the same of a name that is known and one that is not."""
    hidden = f"{CONFIG}psk_authentication.hide_identities = true\n"
    for name in ("init.psk", "rsa.key", "rsa.pem"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    broker = start_broker(hidden, tmp_path)
    port = broker.ports["ssl:psk"]
    for identity in ("nobody", "myclient1"):
        for suite in ("PSK-AES128-GCM-SHA256", "RSA-PSK-AES128-CBC-SHA:@SECLEVEL=0"):
            ended = s_client(port, "-tls1_2", "-cipher", suite, identity=identity, key="ab" * 32)
            assert "alert bad record mac" in ended.output
            assert "unknown psk identity" not in ended.output
    # the operator is told them apart
    assert "nobody" in broker.wait_for("[psk-unknown]")
    assert "myclient1" in broker.wait_for("[psk-wrong-key]")
    ended = s_client(port, "-tls1_2", "-cipher", "PSK")
    assert "\x20\x02\x00\x00" in ended.output


def test_mosquitto(broker: Any, run: Run, spawn: Callable[..., Any]) -> None:
    port = broker.ports["ssl:psk"]
    # mosquitto's clients want the name of one suite to leave TLS 1.3 alone
    psk = ("-h", "127.0.0.1", "-p", port, "--psk-identity", "myclient1", "--psk", KEY)
    subscriber = spawn("mosquitto_sub", *psk, "-i", "psksub", "-t", "psk/#", "-C", "1", "-v")
    line = broker.wait_for("as psksub")
    assert "u'myclient1'" in line  # psk_identity_as_username
    assert run("mosquitto_pub", *psk, "-q", "1", "-t", "psk/a", "-m", "hello").status == 0
    assert subscriber.communicate(timeout=10)[0] == "psk/a hello\n"
    wrong = ("-h", "127.0.0.1", "-p", port, "--psk-identity", "nobody", "--psk", KEY)
    assert run("mosquitto_pub", *wrong, "-t", "psk/a", "-m", "x").status != 0


def test_gnutls(broker: Any, run: Run) -> None:
    ended = run(
        *("gnutls-cli", "--insecure", "-p", broker.ports["ssl:psk"], "127.0.0.1"),
        *("--pskusername", "myclient2", "--pskkey", OTHER),
        *("--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK:+ECDHE-PSK:+DHE-PSK"),
        stdin=CONNECT + b"\xe0\x00",
    )
    assert "Handshake was completed" in ended.output
    assert "u'myclient2', psk'myclient2'" in broker.wait_for("u'myclient2'")


def test_wss_with_openssl(broker: Any, run: Run) -> None:
    request = (
        b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
    mask = b"\x01\x02\x03\x04"
    frame = b"\x82" + bytes([0x80 | len(CONNECT)]) + mask
    frame += bytes(byte ^ mask[at % 4] for at, byte in enumerate(CONNECT))
    process = subprocess.Popen(
        [
            *("openssl", "s_client", "-connect", f"127.0.0.1:{broker.ports['wss:psk']}"),
            *("-quiet", "-tls1_2", "-psk", KEY, "-psk_identity", "myclient1"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(request + frame)
        process.stdin.flush()
        said = b""
        while not said.endswith(b"\x82\x04\x20\x02\x00\x00"):
            more = os.read(process.stdout.fileno(), 4096)
            assert more, said
            said += more
        assert said.startswith(b"HTTP/1.1 101 ")
    finally:
        process.kill()
        process.communicate()


def test_tls13(broker: Any, s_client: Callable[..., Any], run: Run) -> None:
    port = broker.ports["ssl:both"]
    ended = s_client(port, "-tls1_3")
    assert "\x20\x02\x00\x00" in ended.output
    assert "New, TLSv1.3" in ended.output or "Reused, TLSv1.3" in ended.output
    psk = ("-h", "127.0.0.1", "-p", port, "--psk-identity", "myclient1", "--psk", KEY)
    assert run("mosquitto_pub", *psk, "-i", "m13", "-t", "psk/a", "-m", "hello").status == 0
    line = broker.wait_for("as m13")
    assert "u'myclient1'" in line


@pytest.mark.parametrize(
    ("more", "identity", "key"),
    [
        (("-ciphersuites", "TLS_AES_256_GCM_SHA384"), "myclient1", OTHER),
        (("-ciphersuites", "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"), "nobody", KEY),
        ((), "myclient1", OTHER),
        ((), "", ""),
    ],
    ids=["wrong-key-other-suite", "unknown", "wrong-key", "no-key"],
)
def test_nobody_slips_past_by_tls13(
    broker: Any, s_client: Callable[..., Any], more: tuple[str, ...], identity: str, key: str
) -> None:
    ended = s_client(broker.ports["ssl:both"], "-tls1_3", *more, identity=identity, key=key)
    assert "\x20\x02\x00" not in ended.output


def test_a_removed_key_ends_the_session(
    start_broker: Callable[..., Any], folder: Path, tmp_path: Path, run: Run, spawn: Any
) -> None:
    for name in ("init.psk", "rsa.key", "rsa.pem"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    broker = start_broker(CONFIG, tmp_path)
    address = ("-h", "127.0.0.1", "-p", broker.ports["ssl:psk"], "-V", "5", "-d")
    one = ("--psk-identity", "myclient1", "--psk", KEY)
    two = ("--psk-identity", "myclient2", "--psk", OTHER)
    spawn("mosquitto_sub", *address, *one, "-i", "goes", "-t", "a")
    spawn("mosquitto_sub", *address, *two, "-i", "stays", "-t", "a")
    broker.wait_for("as goes")
    broker.wait_for("as stays")
    (tmp_path / "init.psk").write_text(f"myclient2:{OTHER}\nbad line\n")
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for('line 2: has no separator ":"')
    broker.wait_for("changed nothing")
    # an odd digit would make text of every key
    mistyped = f"myclient1:{KEY}\nmyclient2:{OTHER}\nmyclient3:{KEY[::-1][1:]}\n"
    (tmp_path / "init.psk").write_text(mistyped)
    broker.lines.clear()
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("keys would be text from now on, they were hex, because of line 3")
    broker.wait_for("changed nothing")
    (tmp_path / "init.psk").write_text(f"myclient2:{OTHER}\n")
    broker.process.send_signal(signal.SIGHUP)
    line = broker.wait_for("Client goes [", 5)
    assert "pre-shared key withdrawn" in line
    refused = run("mosquitto_pub", *address, *one, "-t", "a", "-m", "x")
    assert refused.status != 0
    assert run("mosquitto_pub", *address, *two, "-t", "a", "-m", "x").status == 0
    assert not any("Client stays [" in line for line in broker.lines)


@needs_seeds
def test_the_snippets_of_the_seeds(
    start_broker: Callable[..., Any],
    folder: Path,
    tmp_path: Path,
    s_client: Callable[..., Any],
) -> None:
    keys = block("myclient1:")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/init.psk").write_text(keys)
    (tmp_path / "data/init.psk").chmod(0o600)
    certs = tmp_path / "etc/certs"
    certs.mkdir(parents=True)
    for target, source in (("key.pem", "rsa.key"), ("cert.pem", "rsa.pem")):
        (certs / target).write_bytes((folder / source).read_bytes())
        (certs / target).chmod(0o600)
    (certs / "cacert.pem").write_bytes((folder / "ca.pem").read_bytes())
    ciphers = block("RSA-PSK-RC4-SHA", "listeners.ssl.default")
    config = f"{block('psk_authentication {')}\n{ciphers}\n"
    broker = start_broker(f'{config}listeners.ssl.default.bind = "127.0.0.1:0"\n', tmp_path)
    warning = broker.wait_for("RSA-PSK-RC4-SHA")
    assert "unknown or unavailable cipher suites are left out: RSA-PSK-RC4-SHA" in warning
    broker.wait_for("2 identities of data/init.psk, keys written as hex")
    identity, _, key = keys.splitlines()[0].partition(":")
    for suite in SUITES:
        ended = s_client(
            *(broker.ports["ssl:default"], "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0"),
            identity=identity,
            key=key,
        )
        assert f"Cipher is {suite}" in ended.output
        assert "\x20\x02\x00\x00" in ended.output

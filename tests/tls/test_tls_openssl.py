"""A channel behind a real socket against the openssl command line client."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mqttd.tls.channel import TLSChannel
from mqttd.tls.context import ServerContext
from mqttd.tls.failure import TLSFailure

if TYPE_CHECKING:
    from tests.conftest import Pki

OPENSSL = shutil.which("openssl") or "openssl"


class Pump(threading.Thread):
    """Accepts one connection, answers what it hears in capitals, then closes."""

    def __init__(self, context: ServerContext) -> None:
        super().__init__(daemon=True)
        self.context = context
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(20)
        self.port = self.listening.getsockname()[1]
        self.failure: TLSFailure | None = None
        self.channel: TLSChannel | None = None
        self.heard = b""

    def run(self) -> None:
        with self.listening, self.listening.accept()[0] as connected:
            connected.settimeout(20)
            self.channel = channel = TLSChannel(self.context)
            try:
                while data := connected.recv(65536):
                    said = channel.receive(data)
                    if said:
                        self.heard += said
                        channel.send(said.upper())
                        channel.close()
                    connected.sendall(channel.outgoing())
                    if channel.peer_closed:
                        break
                else:
                    channel.eof()
            except TLSFailure as failure:
                self.failure = failure
                connected.sendall(channel.outgoing())
            except OSError:
                pass  # the client was quicker to leave


@pytest.fixture
def files(tmp_path: Path, pki: Pki, make_cert_pem: Any) -> Path:
    (tmp_path / "ca.pem").write_text(make_cert_pem(pki.root.cert))
    for name in ("client_ec", "client_rsa", "stranger"):
        issued = getattr(pki, name)
        (tmp_path / f"{name}.pem").write_text(issued.chain_pem + issued.key_pem)
    return tmp_path


def talk(context: ServerContext, folder: Path, *arguments: str) -> tuple[Pump, str]:
    """Connect, say hello; the pump and what s_client wrote."""
    pump = Pump(context)
    pump.start()
    command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{pump.port}", "-ign_eof"]
    done = subprocess.run(
        [*command, "-CAfile", "ca.pem", *arguments],
        cwd=folder,
        input=b"hello",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    pump.join(20)
    assert not pump.is_alive()
    return pump, done.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("server", ["ec", "rsa"])
@pytest.mark.parametrize("client", [None, "client_ec", "client_rsa"])
def test_conversation(
    pki: Pki, files: Path, version: str, server: str, client: str | None
) -> None:
    make = pki.mutual if client else pki.server_context
    certificate = ["-cert", f"{client}.pem", "-key", f"{client}.pem"] if client else []
    pump, output = talk(
        make(getattr(pki, server)), files, version, "-verify_hostname", "localhost", *certificate
    )
    assert pump.failure is None
    assert pump.heard == b"hello"
    assert "HELLO" in output
    assert "Verify return code: 0 (ok)" in output
    assert "Verified peername: localhost" in output
    assert pump.channel is not None
    peer = pump.channel.peer_certificate()
    assert (peer and peer.common_name) == (client and client.replace("client_", "dev-"))
    assert pump.channel.info().version == f"TLSv1.{version[-1]}"
    assert "CN = Test Root" in output or "CN=Test Root" in output


def test_alpn_and_sni(pki: Pki, files: Path) -> None:
    pump, output = talk(
        pki.server_context(), files, "-alpn", "x,mqtt", "-servername", "broker.example"
    )
    assert "ALPN protocol: mqtt" in output
    assert pump.channel is not None
    assert pump.channel.info().sni == "broker.example"


@pytest.mark.parametrize(
    ("arguments", "mutual", "words", "kind"),
    [
        (["-tls1_2"], True, "alert handshake failure", "no-certificate"),
        (["-tls1_3"], True, "alert certificate required", "no-certificate"),
        (["-cert", "stranger.pem", "-tls1_2"], True, "alert unknown ca", "bad-certificate"),
        (["-cert", "stranger.pem", "-tls1_3"], True, "alert unknown ca", "bad-certificate"),
        (["-alpn", "h2"], False, "alert no application protocol", "alpn"),
        (
            ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            False,
            "alert protocol version",
            "version",
        ),
        (
            ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
            False,
            "alert handshake failure",
            "no-shared-cipher",
        ),
    ],
)
def test_refusals(
    pki: Pki, files: Path, arguments: list[str], mutual: bool, words: str, kind: str
) -> None:
    context = pki.mutual() if mutual else pki.server_context()
    pump, output = talk(context, files, *arguments)
    assert words in output
    assert pump.failure is not None
    assert pump.failure.kind == kind
    assert pump.failure.alert_sent
    assert pump.heard == b""


def test_client_that_refuses_the_server(pki: Pki, files: Path, make_cert_pem: Any) -> None:
    (files / "ca.pem").write_text(make_cert_pem(pki.other_root.cert))
    pump, output = talk(pki.server_context(), files, "-verify_return_error")
    assert "unable to get local issuer certificate" in output
    assert pump.failure is not None
    assert (pump.failure.alert, pump.failure.alert_sent) == ("unknown_ca", False)


def test_renegotiation_asked_for_by_a_client(pki: Pki, files: Path) -> None:
    pump = Pump(pki.server_context())
    pump.start()
    done = subprocess.run(
        [OPENSSL, "s_client", "-connect", f"127.0.0.1:{pump.port}", "-tls1_2"],
        input=b"R\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    pump.join(20)
    assert b"RENEGOTIATING" in done.stdout
    assert b"no renegotiation" in done.stdout
    assert pump.failure is None or pump.failure.kind == "alert"

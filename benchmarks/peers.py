"""Start a broker to measure: mqttd as ``twistd``, or mosquitto where it is installed."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@attrs.frozen
class Peer:
    """A running broker."""

    name: str
    pid: int
    tcp_port: int
    tls_port: int
    ws_port: int = 0


def free_port() -> int:
    """A port the kernel says is free."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def make_certificate(folder: Path) -> None:
    """A self-signed EC certificate for localhost: cert.pem and key.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "key.pem").chmod(0o644)  # mosquitto reads it after it gave up root


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the broker ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the broker does not listen")


@contextlib.contextmanager
def mqttd(folder: Path, extra: str = "") -> Iterator[Peer]:
    """``twistd mqttd`` with a plain, a TLS and a WebSocket listener; ``extra`` configures more."""
    tcp, tls, ws = free_port(), free_port(), free_port()
    config = folder / "mqttd.conf"
    config.write_text(
        f"""
        listeners.tcp.bench {{ bind = "127.0.0.1:{tcp}" }}
        listeners.ws.bench {{ bind = "127.0.0.1:{ws}" }}
        listeners.ssl.bench {{
          bind = "127.0.0.1:{tls}"
          ssl_options {{ certfile = "{folder}/cert.pem", keyfile = "{folder}/key.pem" }}
        }}
        mqtt.max_inflight = 1000
        log.console.level = error
        {extra}
        """
    )
    twistd = str(Path(sys.executable).parent / "twistd")
    command = [twistd, "-n", "--pidfile=", "mqttd", "--config", str(config)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        _wait(tls, process)
        yield Peer("mqttd", process.pid, tcp, tls, ws)
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[Peer | None]:
    """mosquitto, set up for the same work; None where it is not installed."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        yield None
        return
    tcp, tls = free_port(), free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"""allow_anonymous true
log_type none
set_tcp_nodelay true
max_inflight_messages 1000
listener {tcp} 127.0.0.1
listener {tls} 127.0.0.1
certfile {folder}/cert.pem
keyfile {folder}/key.pem
"""
    )
    folder.chmod(0o755)
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        _wait(tls, process)
        yield Peer("mosquitto", process.pid, tcp, tls)
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder with a certificate in it."""
    with tempfile.TemporaryDirectory(prefix="mqttd-bench-") as name:
        folder = Path(name)
        make_certificate(folder)
        yield folder

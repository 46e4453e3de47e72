"""The documents' ``authentication`` section in a real broker, with a real HTTPS server."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import re
import socket
import ssl
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

SEEDS = Path(os.environ.get("MQTTD_SEEDS", Path(__file__).parents[3] / "shared" / "seeds"))
SECRET = "s3cret-of-alice"


def _sections() -> list[str]:
    """Each block with an ``authentication`` that has an ``ssl`` section, less its ``...``."""
    return [
        "\n".join(line for line in textwrap.dedent(block).splitlines() if line.strip() != "...")
        for path in sorted(SEEDS.glob("*.txt"))
        for block in re.findall(r"```\w*\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
        if "authentication {" in block and "ssl {" in block
    ]


SECTIONS = _sections() if SEEDS.is_dir() else []
needs_seeds = pytest.mark.skipif(
    not SEEDS.is_dir(), reason=f"the seed documents are not here ({SEEDS}; see MQTTD_SEEDS)"
)
LISTENER = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "etc/certs/server-key.pem"
    certfile = "etc/certs/server.pem"
    cacertfile = "etc/certs/cacert.pem"
    verify = verify_peer
    fail_if_no_peer_cert = false
  }
}
listeners.tcp.default { bind = "127.0.0.1:0" }
"""


class Backend:
    """An HTTPS server in a thread that wants a client certificate, and knows one user."""

    def __init__(self, folder: Path, *, clients: bool) -> None:
        self.asked: list[dict[str, Any]] = []
        self.subjects: list[str] = []
        self.headers: list[Any] = []
        self.connections: list[Any] = []
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                backend.connections.append(self.connection)

            def do_POST(self) -> None:
                fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                backend.asked.append({"path": self.path} | fields)
                backend.headers.append(self.headers)
                connection: Any = self.connection
                peer = connection.getpeercert() or {}
                backend.subjects.append(str(peer.get("subject", "")))
                result = "allow" if fields["password"] == SECRET else "deny"
                body = json.dumps({"result": result}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Nothing."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: object) -> None:
                """A refused handshake is what some tests want."""

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
        if clients:
            context.load_verify_locations(folder / "cacert.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """End it with the connections it has; more than once does no harm."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def folder(tmp_path: Path, pki: Any, make_cert_pem: Callable[..., str]) -> Path:
    """The files the documents name, and those of the listener, in a folder to start from."""
    certs = tmp_path / "etc/certs"
    certs.mkdir(parents=True)
    for name, text in (
        ("cacert.pem", make_cert_pem(pki.root.cert)),
        ("cert.pem", pki.client_ec.chain_pem),
        ("key.pem", pki.client_ec.key_pem),
        ("server.pem", pki.ec.chain_pem),
        ("server-key.pem", pki.ec.key_pem),
        ("device.pem", pki.client_rsa.chain_pem),
        ("device-key.pem", pki.client_rsa.key_pem),
    ):
        (certs / name).write_text(text)
        (certs / name).chmod(0o600)
    return tmp_path


@pytest.fixture
def backend(folder: Path) -> Iterator[Callable[..., Backend]]:
    started: list[Backend] = []

    def start(*, clients: bool = True) -> Backend:
        started.append(Backend(folder / "etc/certs", clients=clients))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def connect(broker: Any, folder: Path, password: str, *, certificate: bool = False) -> ReasonCode:
    """The reason code paho got for MQTT 5 over TLS."""
    answered = threading.Event()
    codes: list[Any] = []
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id="paho5", protocol=MQTTProtocolVersion.MQTTv5
    )
    certs = folder / "etc/certs"
    ours = (certs / "device.pem", certs / "device-key.pem") if certificate else (None, None)
    client.tls_set(certs / "cacert.pem", *ours)  # type: ignore[arg-type]
    client.username_pw_set("alice", password)

    def connected(*args: Any) -> None:
        codes.append(args[3])
        answered.set()

    client.on_connect = connected
    client.connect("localhost", broker.ports["ssl:default"])
    client.loop_start()
    try:
        assert answered.wait(10)
    finally:
        client.disconnect()
        client.loop_stop()
    code: ReasonCode = codes[0]
    return code


def code(name: str) -> ReasonCode:
    return ReasonCode(PacketTypes.CONNACK, name)


@needs_seeds
def test_there_are_sections() -> None:
    assert len(SECTIONS) == 2


@pytest.mark.parametrize("clients", [True, False], ids=["wants-certificates", "wants-none"])
@pytest.mark.parametrize("text", SECTIONS, ids=range(len(SECTIONS)))
def test_the_section_works_as_it_stands(
    text: str,
    clients: bool,
    folder: Path,
    start_broker: Callable[..., Any],
    backend: Callable[..., Backend],
    run: Callable[..., Any],
) -> None:
    server = backend(clients=clients)
    section = text.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
    assert section != text
    broker = start_broker(LISTENER + section, folder)
    place = ("-p", broker.ports["ssl:default"], "-h", "localhost", "-t", "t", "-m", "x")
    common = ("mosquitto_pub", *place, "--cafile", folder / "etc/certs/cacert.pem", "-u", "alice")
    assert run(*common, "-i", "mosq", "-P", SECRET).status == 0
    assert server.asked == [
        {"path": "/", "username": "alice", "password": SECRET, "clientid": "mosq"}
    ]
    if clients:
        assert "dev-ec" in server.subjects[0]  # the broker showed its own certificate
    refused = run(*common, "-i", "mosq", "-P", "wrong")
    assert refused.status != 0
    assert "not authori" in refused.output.lower()
    assert connect(broker, folder, SECRET) == code("Success")
    assert connect(broker, folder, "wrong") == code("Not authorized")
    server.stop()
    assert connect(broker, folder, SECRET) == code("Server unavailable")
    broker.wait_for("authentication by HTTP:")
    broker.stop()
    assert not [line for line in broker.lines if SECRET in line or "wrong" in line]


@needs_seeds
def test_without_our_certificate_nobody_comes_in(
    folder: Path, start_broker: Callable[..., Any], backend: Callable[..., Backend]
) -> None:
    server = backend()
    section = SECTIONS[0].replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
    without = "\n".join(
        line for line in section.splitlines() if "certfile =" not in line or "cacert" in line
    ).replace('keyfile = "etc/certs/key.pem"', "")
    broker = start_broker(LISTENER + without, folder)
    assert connect(broker, folder, SECRET) == code("Server unavailable")
    broker.wait_for("it wants a client certificate")
    assert server.asked == []


def test_the_certificate_of_the_client_is_told(
    folder: Path, start_broker: Callable[..., Any], backend: Callable[..., Backend], pki: Any
) -> None:
    server = backend(clients=False)
    broker = start_broker(
        LISTENER
        + f"""
authentication {{
  backend = "http"
  url = "https://localhost:{server.port}/cn/${{cert_common_name}}?l=${{listener}}"
  body {{
    username = "${{username}}"
    password = "${{password}}"
    subject = "${{cert_subject}}"
    fingerprint = "${{cert_fingerprint}}"
    version = "${{tls_version}}"
    sni = "${{sni}}"
  }}
  ssl {{ enable = true, cacertfile = "etc/certs/cacert.pem" }}
}}
""",
        folder,
    )
    assert connect(broker, folder, SECRET, certificate=True) == code("Success")
    assert connect(broker, folder, SECRET) == code("Success")
    told = {
        "username": "alice",
        "password": SECRET,
        "version": "TLSv1.3",
        "sni": "localhost",
    }
    assert server.asked == [
        told
        | {
            "path": "/cn/dev-rsa?l=ssl%3Adefault",
            "subject": "CN=dev-rsa",
            "fingerprint": pki.client_rsa.cert.fingerprint(hashes.SHA256()).hex(),
        },
        told | {"path": "/cn/?l=ssl%3Adefault", "subject": "", "fingerprint": ""},
    ]


EVERY = """
listeners.ssl.psk {
  bind = "127.0.0.1:0"
  ssl_options {
    versions = ["tlsv1.2"], ciphers = "PSK-AES128-GCM-SHA256"
    keyfile = "etc/certs/server-key.pem", certfile = "etc/certs/server.pem"
  }
}
psk_authentication { enable = true, init_file = "keys.psk" }
authentication {
  backend = "http"
  url = "https://localhost:PORT/${cert_serial}?dns=${cert_san_dns}&psk=${psk_identity}"
  headers {
    x-mail = "${cert_san_email}"
    x-pem = "${cert_pem}"
    x-uri = "<${cert_san_uri}>"
  }
  body {
    username = "${username}"
    password = "${password}"
    listener = "${listener}"
    issuer = "${cert_issuer}"
    host = "${peerhost}"
    sites { site = ["${client_attrs.site}", "${$}{site}"] }
  }
  ssl { enable = true, cacertfile = "etc/certs/cacert.pem" }
}
"""


def test_names_of_certificates_and_keys_are_told_in_every_place(
    folder: Path,
    start_broker: Callable[..., Any],
    backend: Callable[..., Backend],
    run: Callable[..., Any],
    pki: Any,
) -> None:
    device = pki.root.client(
        "dev-san",
        san=[
            x509.DNSName("a.test"),
            x509.DNSName("*.b.test"),
            x509.UniformResourceIdentifier("urn:x&y=1"),
            x509.RFC822Name("a@b.test"),
        ],
    )
    for name, text in (("device.pem", device.chain_pem), ("device-key.pem", device.key_pem)):
        (folder / "etc/certs" / name).write_text(text)
    (folder / "keys.psk").write_text("dev/1:0123456789abcdef0123456789abcdef\n")
    (folder / "keys.psk").chmod(0o600)
    server = backend(clients=False)
    broker = start_broker(LISTENER + EVERY.replace("PORT", str(server.port)), folder)
    assert connect(broker, folder, SECRET, certificate=True) == code("Success")
    told = {
        "username": "alice",
        "password": SECRET,
        "host": "127.0.0.1",
        "sites": {"site": ["", "${site}"]},
    }
    serial = f"{device.cert.serial_number:x}"
    assert server.asked == [
        told
        | {
            "path": f"/{serial}?dns=a.test%2C%2A.b.test&psk=",
            "listener": "ssl:default",
            "issuer": "CN=Test Root",
        }
    ]
    der = device.cert.public_bytes(Encoding.DER)
    assert server.headers[0]["x-mail"] == "a@b.test"
    assert server.headers[0]["x-uri"] == "<urn:x&y=1>"
    assert base64.b64decode(server.headers[0]["x-pem"]) == der
    place = ("-p", broker.ports["ssl:psk"], "-h", "127.0.0.1", "-t", "t", "-m", "x")
    psk = ("--psk-identity", "dev/1", "--psk", "0123456789abcdef0123456789abcdef")
    who = ("-i", "mosq", "-u", "alice", "-P", SECRET)
    assert run("mosquitto_pub", *place, *psk, *who).status == 0
    assert server.asked[1:] == [
        told | {"path": "/?dns=&psk=dev%2F1", "listener": "ssl:psk", "issuer": ""}
    ]
    assert server.headers[1]["x-uri"] == "<>"

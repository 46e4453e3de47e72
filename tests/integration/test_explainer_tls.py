"""One line with cause and cure for each way a TLS handshake fails, with real clients."""

from __future__ import annotations

import datetime
import http.client
import re
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mqttd.explain.causes import CAUSES
from mqttd.explain.reader import Reader
from mqttd.tls.failure import ALERTS
from mqttd.tls.issue import SERVER

DAY = datetime.timedelta(days=1)
CONFIG = """
listeners.tcp.default { bind = "127.0.0.1:0" }
listeners.ws.default { bind = "127.0.0.1:0" }
listeners.ssl.one { bind = "127.0.0.1:0", ssl_options { @ec@ } }
listeners.wss.one { bind = "127.0.0.1:0", ssl_options { @ec@ } }
listeners.ssl.two { bind = "127.0.0.1:0", ssl_options { @ec@, @peer@ } }
listeners.ssl.shallow { bind = "127.0.0.1:0", ssl_options { @ec@, @peer@, depth = 0 } }
listeners.ssl.hurry { bind = "127.0.0.1:0", ssl_options { @ec@, handshake_timeout = 1s } }
log.console.level = info
"""


class Explained:
    """A broker, the folder with its clients' files, and what it says of the next failure."""

    def __init__(self, broker: Any, run: Any) -> None:
        self.broker = broker
        self.folder: Path = broker.folder
        self.run = run
        self.said: dict[str, str] = {}
        """What clients printed, by kind."""

    def port(self, listener: str) -> int:
        port: int = self.broker.ports[listener]
        return port

    def s_client(self, listener: str, *options: object, stdin: bytes = b"") -> str:
        """openssl s_client that trusts our root, to the end of what the broker has to say."""
        if "-CAfile" not in options:
            options = (*options, "-CAfile", "root.pem")
        output: str = self.run(
            "openssl", "s_client", "-connect", f"localhost:{self.port(listener)}", "-ign_eof",
            "-servername", "broker.example", *options, stdin=stdin, cwd=self.folder,
        ).output  # fmt: skip
        return output

    def publish(self, listener: str, *options: object) -> str:
        """mosquitto_pub."""
        output: str = self.run(
            "mosquitto_pub", "-h", "localhost", "-p", self.port(listener), "-t", "t", "-m", "x",
            *options, cwd=self.folder,
        ).output  # fmt: skip
        return output

    def raw(self, listener: str, *parts: bytes, reset: bool = False) -> None:
        """Send bytes, read what comes back, and close."""
        with socket.create_connection(("127.0.0.1", self.port(listener)), 10) as connection:
            for number, part in enumerate(parts, 1):
                connection.sendall(part)
                if number < len(parts):
                    connection.recv(65536)
            if reset:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def python(self, listener: str, host: str, ca: str, alpn: list[str] | None = None) -> str:
        """Python's ssl, as paho uses it: the error it raises."""
        context = ssl.create_default_context(cafile=str(self.folder / ca))
        if alpn:
            context.set_alpn_protocols(alpn)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port(listener)), 10) as connection,
                context.wrap_socket(connection, server_hostname=host),
            ):
                return ""
        except ssl.SSLError as error:
            return f"{type(error).__name__}: {error}"

    def line(self, listener: str, client: Callable[[], object]) -> str:
        """Run a client that fails; the one line the broker writes of it."""
        self.broker.lines.clear()
        said = client()
        line: str = self.broker.wait_for(f" refused on {listener} from 127.0.0.1:")
        # What the broker says of one connection it says at once: none comes after this one's.
        self.raw("tcp:default", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x")
        self.broker.wait_for(" as x (p2, c1, k0).")
        assert [each for each in self.broker.lines if " refused " in each] == [line]
        kind = re.fullmatch(r".*\. Cure: (.+) \[([a-z0-9-]+)\]", line)
        assert kind is not None, line
        assert kind[1] == CAUSES[kind[2]].cure
        assert CAUSES[kind[2]].words in line
        if isinstance(said, str):
            self.said[kind[2]] = self.said.get(kind[2], "") + said + "\n"
        return line


@pytest.fixture(scope="module")
def explained(
    start_broker: Any,
    pki: Any,
    make_cert_pem: Any,
    make_root: Any,
    tmp_path_factory: pytest.TempPathFactory,
    run: Any,
) -> Explained:
    folder = tmp_path_factory.mktemp("explained")
    now = datetime.datetime.now(datetime.UTC)
    weak = pki.root.client("weak", kind="rsa1024")
    files = {
        "server": pki.intermediate.issue(usage=SERVER),
        "stranger": pki.stranger,
        "expired": pki.root.client("late", begin=now - 9 * DAY, end=now - DAY),
        "early": pki.root.client("early", begin=now + DAY, end=now + 9 * DAY),
        "usage": pki.root.issue("web", usage=SERVER),
        "good": pki.client_ec,
        "deep": pki.intermediate.client("deep"),
        "forged": make_root("Test Root").client("forged"),  # another key, the same name
        "weak": weak,
    }
    for name, issued in files.items():
        (folder / f"{name}.pem").write_text(issued.chain_pem)
        (folder / f"{name}.key").touch(0o600)
        (folder / f"{name}.key").write_text(issued.key_pem)
    (folder / "root.pem").write_text(make_cert_pem(pki.root.cert))
    (folder / "other.pem").write_text(make_cert_pem(pki.other_root.cert))
    config = CONFIG.replace("@ec@", "keyfile = server.key, certfile = server.pem")
    config = config.replace("@peer@", "cacertfile = root.pem, verify = verify_peer")
    return Explained(start_broker(config, folder), run)


def hello(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, host: str = "localhost") -> bytes:
    """A ClientHello of Python's ssl."""
    context = ssl.create_default_context()
    context.maximum_version = version
    output = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), output, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return output.read()


# --- first bytes ----------------------------------------------------------------------------


def test_plain_mqtt(explained: Explained) -> None:
    line = explained.line("ssl:one", lambda: explained.publish("ssl:one"))
    assert line.endswith("[plain-mqtt]")


def test_plain_http(explained: Explained) -> None:
    def browse() -> None:
        client = http.client.HTTPConnection("127.0.0.1", explained.port("wss:one"), timeout=10)
        client.request("GET", "/mqtt")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            client.getresponse()
        client.close()

    assert explained.line("wss:one", browse).endswith("[plain-http]")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "proxy-header"),
        (b"hello, is anybody there?", "not-tls"),
    ],
)
def test_other_first_bytes(explained: Explained, data: bytes, kind: str) -> None:
    assert explained.line("ssl:one", lambda: explained.raw("ssl:one", data, b"")).endswith(
        f"[{kind}]"
    )


# --- versions, suites, protocols ------------------------------------------------------------


def test_version(explained: Explained) -> None:
    line = explained.line(
        "ssl:one",
        lambda: explained.s_client("ssl:one", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"),
    )
    assert line.endswith("[version]")
    assert "SNI broker.example; offered TLS 1.1 and " in line
    assert "sent alert protocol_version" in line


def test_no_shared_suite_names_what_is_offered(explained: Explained) -> None:
    line = explained.line(
        "ssl:one", lambda: explained.s_client("ssl:one", "-tls1_2", "-cipher", "AES128-SHA")
    )
    assert line.endswith("[no-shared-cipher]")
    assert "offered TLS 1.2 and 1 suite (AES128-SHA)" in line


def test_alpn(explained: Explained) -> None:
    line = explained.line(
        "ssl:one", lambda: explained.python("ssl:one", "localhost", "root.pem", ["h2", "smtp"])
    )
    assert line.endswith("[alpn]")
    assert "offered h2, smtp" in line


# --- the client's certificate ---------------------------------------------------------------


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize(
    ("listener", "certificate", "kind", "words"),
    [
        ("ssl:two", None, "no-certificate", "SNI broker.example"),
        ("ssl:two", "stranger", "unknown-ca", "certificate CN=stranger, serial "),
        ("ssl:two", "expired", "certificate-expired", "certificate CN=late, serial "),
        ("ssl:two", "early", "certificate-not-yet-valid", "certificate CN=early, serial "),
        ("ssl:two", "usage", "certificate-usage", "certificate CN=web, serial "),
        ("ssl:shallow", "deep", "certificate-chain", "too long"),
        ("ssl:two", "forged", "certificate-signature", "certificate CN=forged, serial "),
    ],
)
def test_the_clients_certificate(
    explained: Explained,
    version: str,
    listener: str,
    certificate: str | None,
    kind: str,
    words: str,
) -> None:
    options: tuple[object, ...] = (version,)
    if certificate is not None:
        options += ("-cert", f"{certificate}.pem", "-key", f"{certificate}.key")
        if certificate == "deep":
            options += ("-cert_chain", "deep.pem")
    line = explained.line(listener, lambda: explained.s_client(listener, *options))
    assert line.endswith(f"[{kind}]")
    assert words in line


def test_an_unknown_ca_is_named_and_dates_are_shown(explained: Explained, pki: Any) -> None:
    options = ("--cafile", "root.pem", "--cert", "stranger.pem", "--key", "stranger.key")
    line = explained.line("ssl:two", lambda: explained.publish("ssl:two", *options))
    serial = f"{pki.stranger.cert.serial_number:x}"
    assert f"certificate CN=stranger, serial {serial}, issuer CN=Other Root" in line
    options = ("--cafile", "root.pem", "--cert", "expired.pem", "--key", "expired.key")
    line = explained.line("ssl:two", lambda: explained.publish("ssl:two", *options))
    assert re.search(r"valid \d{4}-\d\d-\d\d \d\d:\d\d to \d{4}-\d\d-\d\d \d\d:\d\d UTC", line)


def test_a_weak_key(explained: Explained) -> None:
    line = explained.line(
        "ssl:two",
        lambda: explained.s_client(
            "ssl:two", "-tls1_2", "-cipher", "DEFAULT@SECLEVEL=0", "-cert", "weak.pem",
            "-key", "weak.key",
        ),
    )  # fmt: skip
    assert line.endswith("[certificate-weak]")


# --- our certificate, judged by the client --------------------------------------------------


def test_the_client_does_not_have_our_ca(explained: Explained) -> None:
    for client in (
        lambda: explained.publish("ssl:one", "--cafile", "other.pem"),
        lambda: explained.python("ssl:one", "localhost", "other.pem"),
        lambda: explained.s_client("ssl:one", "-CAfile", "other.pem", "-verify_return_error"),
    ):
        line = explained.line("ssl:one", client)
        assert line.endswith("[alert-unknown-ca]")
        assert "give it etc/certs/cacert.pem" in line
        assert "received alert unknown_ca" in line


def test_the_client_connects_to_another_name(explained: Explained) -> None:
    line = explained.line(
        "ssl:one", lambda: explained.python("ssl:one", "elsewhere.example", "root.pem")
    )
    assert line.endswith("[alert-bad-certificate]")
    assert "subjectAltName" in line
    assert "host-mismatch" in client_kinds(explained.said["alert-bad-certificate"])


def test_gnutls_refuses_our_certificate(explained: Explained) -> None:
    line = explained.line(
        "ssl:one",
        lambda: explained.run(
            "gnutls-cli", "--x509cafile", "other.pem", "--port", explained.port("ssl:one"),
            "localhost", cwd=explained.folder,
        ).output,
    )  # fmt: skip
    assert line.endswith("[alert-bad-certificate]")
    assert "also make sure that the client has our CA" in line
    assert "alert-unknown-ca" in client_kinds(explained.said["alert-bad-certificate"])


def test_the_client_finds_our_certificate_expired(explained: Explained) -> None:
    late = int((datetime.datetime.now(datetime.UTC) + 4000 * DAY).timestamp())
    line = explained.line(
        "ssl:one",
        lambda: explained.s_client("ssl:one", "-attime", late, "-verify_return_error"),
    )
    assert line.endswith("[alert-certificate-expired]")


def test_the_client_wants_another_kind_of_certificate(explained: Explained) -> None:
    line = explained.line(
        "ssl:one",
        lambda: explained.s_client("ssl:one", "-purpose", "sslclient", "-verify_return_error"),
    )
    assert line.endswith("[alert-unsupported-certificate]")


@pytest.mark.parametrize("number", sorted(set(ALERTS) - {0, 41, 90, 100}))
def test_every_alert_a_client_can_send(explained: Explained, number: int) -> None:
    alert = bytes((21, 3, 3, 0, 2, 2, number))
    line = explained.line("ssl:one", lambda: explained.raw("ssl:one", hello(), alert, b""))
    assert re.search(r" \[alert(-[a-z-]+)?\]$", line)
    assert f"received alert {ALERTS[number]}" in line


# --- ends -----------------------------------------------------------------------------------


def test_the_client_closes_after_our_certificate(explained: Explained) -> None:
    line = explained.line("ssl:one", lambda: explained.raw("ssl:one", hello(), b""))
    assert line.endswith("[closed-after-certificate]")
    assert "SNI localhost" in line


def test_the_client_closes_in_the_middle(explained: Explained) -> None:
    line = explained.line("ssl:one", lambda: explained.raw("ssl:one", hello()[:50]))
    assert line.endswith("[truncated]")


def test_the_client_resets(explained: Explained) -> None:
    line = explained.line("ssl:one", lambda: explained.raw("ssl:one", hello()[:50], reset=True))
    assert line.endswith("[reset]")


def test_the_client_says_nothing(explained: Explained) -> None:
    line = explained.line("ssl:hurry", lambda: explained.raw("ssl:hurry", b"", b""))
    assert line.endswith("[timeout-tls]")


def records(flight: bytes) -> list[bytes]:
    """The records of a flight."""
    found = []
    while flight:
        size = 5 + int.from_bytes(flight[3:5])
        found.append(flight[:size])
        flight = flight[size:]
    return found


CERTIFICATE_VERIFY = b"\x0f"


@pytest.mark.parametrize(
    ("listener", "forged", "kind"),
    [("ssl:one", -1, "record"), ("ssl:two", CERTIFICATE_VERIFY, "bad-proof")],
)
def test_a_bit_is_changed_on_the_way(
    explained: Explained, listener: str, forged: int | bytes, kind: str
) -> None:
    """In the last record of the client's last flight, or in what proves that it has its key."""

    def forge() -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(explained.folder / "root.pem"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(explained.folder / "good.pem", explained.folder / "good.key")
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", explained.port(listener)), 10) as connection:
            flight = b""
            while b"\x14\x03\x03\x00\x01\x01" not in flight:  # until ChangeCipherSpec
                connection.sendall(flight)
                if flight:
                    incoming.write(connection.recv(65536))
                with pytest.raises(ssl.SSLWantReadError):
                    client.do_handshake()
                flight = outgoing.read()
            parts = records(flight)
            at = forged
            if isinstance(at, bytes):
                (at,) = (n for n, part in enumerate(parts) if part[:1] + part[5:6] == b"\x16" + at)
            parts[at] = parts[at][:-1] + bytes((parts[at][-1] ^ 1,))
            connection.sendall(b"".join(parts))
            connection.recv(100)

    assert explained.line(listener, forge).endswith(f"[{kind}]")


# --- what clients print ---------------------------------------------------------------------


def client_kinds(transcript: str) -> set[str]:
    """What ``mqttd explain`` finds in a client's output."""
    reader = Reader()
    reader.read(transcript.splitlines())
    return set(reader.found)


def test_what_the_clients_printed_is_explained_too(explained: Explained) -> None:
    """The last test: every transcript of the ones before."""
    expected = {
        "version": "version",
        "no-shared-cipher": "handshake-failure",
        "alpn": "alpn",
        "certificate-expired": "certificate-expired",
        "alert-unknown-ca": "alert-unknown-ca",
        "alert-certificate-expired": "alert-certificate-expired",
        "alert-unsupported-certificate": "alert-unsupported-certificate",
        "certificate-not-yet-valid": "certificate-refused",
        "unknown-ca": "unknown-ca",
        "certificate-usage": "certificate-usage",
        "no-certificate": "no-certificate",
    }
    found = {kind: client_kinds(explained.said.get(kind, "")) for kind in expected}
    wrong = {kind: found[kind] for kind, said in expected.items()
             if kind in explained.said and said not in found[kind]}  # fmt: skip
    assert wrong == {}

"""A real ``twistd mqttd`` process on ports the kernel chose; certificates of one test run."""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL, crypto
from twisted.logger import formatEvent, globalLogPublisher

from mqttd.config.schema.tls import SslOptions
from mqttd.tls.context import ServerContext, build_server_context

_LISTENING = re.compile(r"((?:tcp|ssl|ws|wss):\w+) listening on \S*:(\d+)")
_READY = "mqttd is ready"

CONFIG = """
listeners.tcp.default { bind = "127.0.0.1:0" }
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "etc/certs/key.pem"
    certfile = "etc/certs/cert.pem"
    cacertfile = "etc/certs/cacert.pem"
  }
}
listeners.ws.default { bind = "127.0.0.1:0" }
listeners.wss.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "etc/certs/key.pem"
    certfile = "etc/certs/cert.pem"
    cacertfile = "etc/certs/cacert.pem"
  }
}
log.console.level = debug
"""


SECRET_MARKER = "s3cret"
"""Part of every password that tests make up, so that it can be looked for in logs."""
_SHORTEST_SECRET = 8
_AFTER_A_COLON = re.compile(r"^[^:#\s][^:\n]*:(.+)$", re.MULTILINE)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", re.DOTALL)
_GIVEN = re.compile(r'\b(?:password|secret)\s*=\s*"([^"$]+)"')
_FILE_GIVEN = re.compile(r'\b(?:password|secret)\s*=\s*"?file://([^"\s,}]+)')
_FILE_OF_SECRETS = re.compile(r'\b(?:init_file|file)\s*=\s*"?([^"\s,}]+)')
_SECRET_FOLLOWS = frozenset(
    {"-P", "--pw", "--password", "--psk", "-psk", "--pskkey", "-pass", "-passin"}
)


class SecretWatch:
    """Texts that no log may hold, and the search for them.

    They are the marker, what is given to :meth:`add`, what commands get as a password or key, and
    what the files of a broker hold: private keys, pre-shared keys, hashes of passwords.
    """

    def __init__(self) -> None:
        self.texts = {SECRET_MARKER}
        self.heard: list[str] = []

    def add(self, *texts: str | bytes) -> None:
        """Look for these too, unless they are too short to mean anything."""
        for text in texts:
            plain = text.decode("latin-1") if isinstance(text, bytes) else text
            if len(plain) >= _SHORTEST_SECRET:
                self.texts.add(plain)

    def command(self, event: str, arguments: Any) -> None:
        """A hook for :func:`sys.addaudithook`: sees the passwords that commands are given."""
        if event == "subprocess.Popen" and not isinstance(arguments[1], str | bytes):
            words = [os.fsdecode(word) for word in arguments[1]]
            for option, word in itertools.pairwise(words):
                if option in _SECRET_FOLLOWS:
                    self.add(word.removeprefix("pass:"))

    def listen(self, event: Any) -> None:
        """An observer of Twisted's log: what the parts say that run in this process."""
        said = formatEvent(event)
        if SECRET_MARKER in said:
            self.heard.append(said)

    def read(self, broker: Running) -> None:
        """Take the secrets out of the files of a broker."""
        config = broker.config + _text_of(broker.folder / "mqttd.conf")
        self.add(*_GIVEN.findall(config))
        for path in broker.folder.rglob("*"):
            for block in _PRIVATE_KEY.findall(_text_of(path)):
                self.add(*(line for line in block.split() if len(line) > 40))
        for name in _FILE_GIVEN.findall(config):
            self.add(_text_of(broker.folder / name).strip())
        for name in _FILE_OF_SECRETS.findall(config):
            if not name.endswith((".pem", ".log")):
                found = _AFTER_A_COLON.findall(_text_of(broker.folder / name))
                self.add(*(each.strip() for each in found))

    def leaks(self, broker: Running) -> list[str]:
        """The lines of a broker's output and log files with a secret, plain or in hexadecimal."""
        lines = list(broker.output)
        for path in broker.folder.rglob("*"):
            if ".log" in path.name or "audit" in path.name:
                lines += _text_of(path).splitlines()
        whole = "\n".join(lines)
        forms = {form for text in self.texts for form in (text, text.encode().hex())}
        found = [form for form in forms if form in whole]
        return [line for line in lines if any(form in line for form in found)]


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return ""


class Running:
    """A broker process: its ports by listener id, its log, and a way to stop it.

    ``output`` is everything it has written so far. ``searched`` False takes it out of the search
    for secrets in logs, for a test that plants one.
    """

    every: ClassVar[list[Running]] = []

    def __init__(self, folder: Path, config: str, twistd: Sequence[str] = ()) -> None:
        self.every.append(self)
        self.folder = folder
        self.config = config
        self.output: list[str] = []
        self.searched = True
        self.ports: dict[str, int] = {}
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        path = folder / "mqttd.conf"
        path.write_text(config)
        command = twistd or [str(Path(sys.executable).parent / "twistd")]
        self.process = subprocess.Popen(
            [*command, "-n", "--pidfile=", "mqttd", "--config", str(path)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def cafile(self) -> str:
        """The CA that signed the server certificate."""
        return str(self.folder / "etc/certs/cacert.pem")

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                self.output.append(line.rstrip("\n"))
                self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def wait_for(self, text: str, seconds: float = 20.0) -> str:
        """The first log line, past or to come, that holds ``text``."""
        for line in self.lines:
            if text in line:
                return line
        until = time.monotonic() + seconds
        while True:
            try:
                line_or_end = self._new.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                break
            if line_or_end is None:
                break
            self.lines.append(line_or_end)
            match = _LISTENING.search(line_or_end)
            if match:
                self.ports[match[1]] = int(match[2])
            if text in line_or_end:
                return line_or_end
        log = "\n".join(self.lines)
        pytest.fail(f"the log has no {text!r}; it says:\n{log}")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10.0) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(seconds)
        while (line := self._new.get(timeout=5)) is not None:
            self.lines.append(line)
        self._new.put(None)
        return status


@pytest.fixture(scope="session")
def start_broker(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Running]]:
    """Start a broker with a configuration; it is ready when this returns. ``twistd`` is the
    command of another installation."""
    running: list[Running] = []

    def start(
        config: str = CONFIG, folder: Path | None = None, twistd: Sequence[str] = ()
    ) -> Running:
        broker = Running(folder or tmp_path_factory.mktemp("broker"), config, twistd)
        running.append(broker)
        broker.wait_for(_READY)
        return broker

    yield start
    for each in running:
        each.stop()


@pytest.fixture(scope="session", autouse=True)
def secret_watch() -> Iterator[SecretWatch]:
    """No log of the whole run holds a secret; with several workers each searches its own."""
    watch = SecretWatch()
    sys.addaudithook(watch.command)
    publisher: Any = globalLogPublisher
    publisher.addObserver(watch.listen)
    yield watch
    publisher.removeObserver(watch.listen)
    brokers = [broker for broker in Running.every if broker.searched]
    for broker in brokers:
        watch.read(broker)
    leaks = [line for broker in brokers for line in watch.leaks(broker)]
    assert leaks + watch.heard == []


DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def new_key(kind: str) -> Any:
    """A private key: ``ec``, ``rsa`` or ``rsa1024``."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 1024 if kind == "rsa1024" else 2048)


def key_pem(key: Any, password: str | None = None) -> str:
    """PKCS#8 PEM text."""
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return text.decode()


def cert_pem(*certificates: x509.Certificate) -> str:
    return "".join(c.public_bytes(Encoding.PEM).decode() for c in certificates)


class Issued:
    """A certificate, its key and its issuers."""

    def __init__(self, cert: x509.Certificate, key: Any, issuers: list[x509.Certificate]) -> None:
        self.cert = cert
        self.key = key
        self.issuers = issuers

    @property
    def chain_pem(self) -> str:
        """The certificate and its intermediates; not the root."""
        return cert_pem(self.cert, *self.issuers[:-1])

    @property
    def key_pem(self) -> str:
        return key_pem(self.key)


class Authority(Issued):
    """A certificate authority that issues."""

    def issue(
        self,
        common_name: str = "localhost",
        *,
        key: Any = None,
        kind: str = "ec",
        san: list[x509.GeneralName] | None = None,
        subject: x509.Name | None = None,
        usage: x509.ObjectIdentifier | None = None,
        ca: bool = False,
        begin: datetime.datetime = NOW - DAY,
        end: datetime.datetime = NOW + 90 * DAY,
        extra: list[x509.ExtensionType] | None = None,
    ) -> Authority:
        """Issue a certificate; with ``san`` None it is good for localhost, [] leaves it out."""
        key = key or new_key(kind)
        if san is None:
            san = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name if subject is None else subject)
            .issuer_name(self.cert.subject if self.cert else name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if san and not ca:
            builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        for extension in extra or []:
            builder = builder.add_extension(extension, critical=False)
        cert = builder.sign(self.key if self.cert else key, hashes.SHA256())
        return Authority(cert, key, [self.cert, *self.issuers] if self.cert else [])

    def client(self, common_name: str = "dev1", **options: Any) -> Authority:
        """Issue a client certificate."""
        options.setdefault("san", [])
        return self.issue(common_name, usage=ExtendedKeyUsageOID.CLIENT_AUTH, **options)


def new_root(common_name: str, kind: str = "ec", **options: Any) -> Authority:
    """A self-signed authority."""
    nothing: Any = None
    return Authority(nothing, nothing, []).issue(common_name, kind=kind, ca=True, **options)


class Pki:
    """One authority with an intermediate, and server and client certificates of both kinds."""

    def __init__(self) -> None:
        self.root = new_root("Test Root")
        self.intermediate = self.root.issue("Test Intermediate", ca=True)
        self.other_root = new_root("Other Root")
        self.rsa_key = new_key("rsa")
        self.ec = self.intermediate.issue()
        self.rsa = self.intermediate.issue(key=self.rsa_key)
        self.client_ec = self.root.client("dev-ec")
        self.client_rsa = self.root.client("dev-rsa", key=self.rsa_key)
        self.stranger = self.other_root.client("stranger")

    def options(self, server: Issued | None = None, **options: Any) -> SslOptions:
        """``ssl_options`` with PEM texts."""
        server = server or self.ec
        options.setdefault("keyfile", server.key_pem)
        options.setdefault("certfile", server.chain_pem)
        return SslOptions(**options)

    def server_context(self, server: Issued | None = None, **options: Any) -> ServerContext:
        return build_server_context(self.options(server, **options))

    def mutual(self, server: Issued | None = None, **options: Any) -> ServerContext:
        """A server that demands client certificates of our root."""
        options.setdefault("cacertfile", cert_pem(self.root.cert))
        return self.server_context(server, verify="verify_peer", **options)

    def client_context(
        self,
        certificate: Issued | None = None,
        *,
        version: int | None = None,
        ciphers: bytes = b"",
        trust: x509.Certificate | None = None,
        alpn: list[bytes] | None = None,
    ) -> SSL.Context:
        """A client that trusts our root and checks the server."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if version is not None:
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
        if ciphers:
            context.set_cipher_list(ciphers)
        if alpn:
            context.set_alpn_protos(alpn)
        context.set_verify(SSL.VERIFY_PEER)
        store = context.get_cert_store()
        assert store is not None
        store.add_cert(crypto.X509.from_cryptography(trust or self.root.cert))
        if certificate is not None:
            context.use_certificate(certificate.cert)
            for issuer in certificate.issuers[:-1]:
                context.add_extra_chain_cert(issuer)
            context.use_privatekey(certificate.key)
        return context


@pytest.fixture(scope="session")
def pki() -> Pki:
    """Keys and certificates of this test run."""
    return Pki()


@pytest.fixture(scope="session")
def make_root() -> Callable[..., Authority]:
    """Make a self-signed authority."""
    return new_root


@pytest.fixture(scope="session")
def make_key_pem() -> Callable[..., str]:
    return key_pem


@pytest.fixture(scope="session")
def make_cert_pem() -> Callable[..., str]:
    return cert_pem


@pytest.fixture(scope="session")
def live_reactor() -> Iterator[Any]:
    """Twisted's own reactor, run by ``settle`` only: it stands still between the calls."""
    from twisted.internet import reactor

    running: Any = reactor
    running.startRunning(installSignalHandlers=False)
    yield running
    running.stop()
    for _ in range(3):  # ends its threads
        running.iterate(0)


@pytest.fixture
def settle(live_reactor: Any) -> Callable[..., Any]:
    """Run the reactor until a Deferred or coroutine is done; its result, or its exception."""
    from twisted.internet.defer import Deferred, ensureDeferred

    def run(waited: Any, seconds: float = 10.0) -> Any:
        results: list[Any] = []
        deferred = waited if isinstance(waited, Deferred) else ensureDeferred(waited)
        deferred.addBoth(results.append)
        until = time.monotonic() + seconds
        while not results:
            assert time.monotonic() < until, "the Deferred did not fire in time"
            live_reactor.iterate(0.05)
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    return run

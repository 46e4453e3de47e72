"""A running broker with ``enable_crl_check``, and clients that are revoked, or may be."""

from __future__ import annotations

import datetime
import importlib.util
import os
import re
import signal
import ssl
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from cryptography import x509

HERE = Path(__file__).parent
SEEDS = Path(os.environ.get("MQTTD_SEEDS", HERE.parents[2] / "shared" / "seeds"))
HOUR = datetime.timedelta(hours=1)
CRL_CACHE = """
crl_cache { refresh_interval = 1s, http_timeout = 1s }
log.console.level = debug
"""
SNIPPET = """
listeners.ssl.default {
  bind = "0.0.0.0:8883"
  max_connections = 512000
  ssl_options {
    keyfile = "/etc/emqx/certs/server.key"
    certfile = "/etc/emqx/certs/server.pem"
    cacertfile = "/etc/emqx/certs/ca.pem"
    verify = verify_peer
    enable_crl_check = true
  }
}
"""
"""As in the seed document, for where that is not."""
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def _world_module() -> Any:
    path = HERE.parent / "revocation" / "crl_world.py"
    spec = importlib.util.spec_from_file_location("crl_world_of_integration", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _snippet() -> str:
    """The one block of the seeds that checks CRLs."""
    if not SEEDS.is_dir():
        return SNIPPET
    blocks = [
        textwrap.dedent(block)
        for path in sorted(SEEDS.glob("*.txt"))
        for block in re.findall(r"```\w*\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
        if "enable_crl_check" in block
    ]
    assert len(blocks) == 1
    return blocks[0]


class Site:
    """An authority, the server of its lists, and where the certificates are."""

    def __init__(self, folder: Path, make_root: Callable[..., Any]) -> None:
        module = _world_module()
        self.folder = folder
        self.ca = module.CrlAuthority(make_root("CRL Integration Root"))
        self.other = module.CrlAuthority(make_root("CRL Integration Root"))
        self.server = module.CrlServer()
        self.make_server = module.CrlServer
        self._count = 0
        certs = folder / "etc/emqx/certs"
        certs.mkdir(parents=True)
        issued = self.ca.authority.issue()
        (certs / "server.pem").write_text(issued.chain_pem)
        (certs / "server.key").write_text(issued.key_pem)
        (certs / "server.key").chmod(0o600)
        (certs / "ca.pem").write_text(self.ca.authority.chain_pem)
        self.cafile = certs / "ca.pem"

    def config(self, more: str = CRL_CACHE) -> str:
        """The seed's snippet, with its files below our folder and a port of the kernel's."""
        text = _snippet().replace("/etc/emqx", f"{self.folder}/etc/emqx")
        assert text.count("8883") == 1
        text = text.replace("8883", "0")
        return text + text.replace("listeners.ssl.", "listeners.wss.") + more

    def page(self) -> str:
        """A path that nobody asked for yet."""
        self._count += 1
        return f"/{self._count}.crl"

    def client(self, *paths: str, name: str = "dev") -> Client:
        """A client whose certificate names lists at these paths."""
        points = [
            x509.DistributionPoint(
                [x509.UniformResourceIdentifier(urljoin(self.server.url(), path))],
                None,
                None,
                None,
            )
            for path in paths
        ]
        extra = [x509.CRLDistributionPoints(points)] if points else []
        self._count += 1
        issued = self.ca.authority.client(name, extra=extra)
        path = self.folder / f"client{self._count}.pem"
        path.write_text(issued.key_pem + issued.chain_pem)
        return Client(issued.cert, path, self.cafile)


class Client:
    """A certificate, and TLS contexts with it."""

    def __init__(self, cert: x509.Certificate, path: Path, cafile: Path) -> None:
        self.cert = cert
        self._path = path
        self._cafile = cafile

    def context(self, version: str = "1.3") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self._cafile))
        context.minimum_version = context.maximum_version = VERSIONS[version]
        context.load_cert_chain(self._path)
        return context

    @property
    def serial(self) -> str:
        return f"{self.cert.serial_number:x}"


@pytest.fixture(scope="module")
def site(
    make_root: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("crl"), make_root)
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def crl_broker(start_broker: Any, site: Site) -> Any:
    return start_broker(site.config(), site.folder)


CONNACK = b"\x20\x02\x00\x00"


def _refused(dial: Any, port: int, client: Client, version: str, connect: bytes) -> str:
    """How the client sees it: the alert's name, or ``closed``."""
    try:
        connection = dial(port, client.context(version))
        answer = connection.ask(connect)
    except ssl.SSLError as problem:
        return str(problem.reason)
    assert answer == b""
    return "closed"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cached", [True, False], ids=["cached", "missed"])
def test_a_revoked_client_is_refused_and_a_good_one_is_not(
    crl_broker: Any, site: Site, dial: Any, packet: Any, version: str, cached: bool
) -> None:
    path = site.page()
    good, bad = site.client(path), site.client(path, name="bad")
    site.server.pages[path] = site.ca.crl(bad.cert)
    port = crl_broker.ports["ssl:default"]
    name = f"bad{version}{cached}"
    if cached:
        assert dial(port, good.context(version)).ask() == CONNACK
    asked = len(site.server.asked)
    own = f"127.0.2.{2 * int(version[-1]) + cached}"
    seen = _refused(partial(dial, source=own), port, bad, version, packet(name))
    if version == "1.3" and not cached:
        assert seen == "closed"
    else:
        assert "CERTIFICATE_REVOKED" in seen.upper().replace(" ", "_")
    assert (path in site.server.asked[asked:]) == (not cached)
    line = crl_broker.wait_for(f"TLS handshake refused on ssl:default from {own}:")
    assert f"reason keyCompromise, by CRL {site.server.url(path)}" in line
    assert line.endswith("[revoked]")
    # by now the good one is served, and of the other nothing was ever looked at
    assert dial(port, good.context(version)).ask() == CONNACK
    assert not any(name in each for each in crl_broker.lines)


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "missed"])
def test_over_websockets_too(crl_broker: Any, site: Site, dial: Any, cached: bool) -> None:
    path = site.page()
    good, bad = site.client(path), site.client(path)
    site.server.pages[path] = site.ca.crl(bad.cert)
    port = crl_broker.ports["wss:default"]
    hello = b"GET / HTTP/1.1\r\n\r\n"
    if cached:
        assert dial(port, good.context()).ask(hello).startswith(b"HTTP")
    seen = _refused(partial(dial, source="127.0.2.1"), port, bad, "1.2", hello)
    assert "CERTIFICATE_REVOKED" in seen.upper().replace(" ", "_")
    assert dial(port, good.context()).ask(hello).startswith(b"HTTP")


def test_many_wait_for_one_fetch(crl_broker: Any, site: Site, dial: Any) -> None:
    path = site.page()
    clients = [site.client(path) for _ in range(5)]
    site.server.pages[path] = site.ca.crl()
    site.server.open.clear()
    port = crl_broker.ports["ssl:default"]
    waiting = [dial(port, client.context()) for client in clients]
    site.server.open.set()
    assert [each.ask() for each in waiting] == [CONNACK] * 5
    assert site.server.asked.count(path) <= 2  # one, and maybe a refresh


def _scope(**values: Any) -> tuple[Any, bool]:
    chosen: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**chosen | values), True


LIES: dict[str, tuple[Any, str]] = {
    "crl-unreachable": (lambda site: (503, b"later"), "status 503"),
    "crl-garbage": (lambda site: b"<html>", "no CRL"),
    "crl-expired": (
        lambda site: site.ca.crl(update=datetime.datetime.now(datetime.UTC) - 3 * HOUR),
        "nextUpdate was",
    ),
    "crl-bad-signature": (lambda site: site.other.crl(), "signature"),
    "crl-bad-issuer": (
        lambda site: site.ca.crl(issuer=x509.Name.from_rfc4514_string("CN=Someone")),
        "the list of",
    ),
    "crl-bad-scope": (
        lambda site: site.ca.crl(extensions=[_scope(only_contains_ca_certs=True)]),
        "CAs only",
    ),
    "crl-delta": (
        lambda site: site.ca.crl(extensions=[(x509.DeltaCRLIndicator(1), True)]),
        "delta",
    ),
    "crl-timeout": (lambda site: lambda handler: threading.Event().wait(1.5), ""),
    "no-distribution-point": (None, "names no distribution point"),
}


@pytest.mark.parametrize("cause", LIES)
def test_each_reason_has_its_line(
    crl_broker: Any, site: Site, dial: Any, packet: Any, cause: str
) -> None:
    page, words = LIES[cause]
    path = site.page()
    client = site.client(path) if page is not None else site.client()
    address = ""
    if page is not None:
        site.server.pages[path] = page(site)
        address = site.server.url(path)
    own = f"127.0.3.{list(LIES).index(cause) + 1}"
    port = crl_broker.ports["ssl:default"]
    seen = _refused(partial(dial, source=own), port, client, "1.2", packet("nobody"))
    assert "BAD_CERTIFICATE" in seen.upper().replace(" ", "_")
    line = crl_broker.wait_for(f"TLS handshake refused on ssl:default from {own}:")
    assert words in line
    assert address in line
    assert line.endswith(f"[{cause}]")
    assert not any("nobody" in each for each in crl_broker.lines)


def test_a_session_ends_when_a_new_list_names_its_certificate(
    crl_broker: Any, site: Site, dial: Any, packet: Any
) -> None:
    path = site.page()
    client, other = site.client(path), site.client(path)
    site.server.pages[path] = site.ca.crl()
    port = crl_broker.ports["ssl:default"]
    connection = dial(port, client.context())
    stays = dial(port, other.context())
    connack = connection.ask(packet("live", level=5), 2)
    assert connack[:1] == b"\x20"
    connection.read(connack[1])
    assert stays.ask() == CONNACK
    connection.socket.settimeout(8)
    site.server.pages[path] = site.ca.crl(client.cert)
    site.server.asked_again(path)
    began = time.monotonic()
    told = connection.read(100)  # until the broker closes
    # DISCONNECT, 0x87 Not authorized, with a reason string
    assert (told[:1], told[2:3]) == (b"\xe0", b"\x87")
    assert b"revoked" in told
    assert time.monotonic() - began < 5.0
    assert stays.ask(b"\xc0\x00", 2) == b"\xd0\x00"


def test_a_restart_while_the_server_is_down(start_broker: Any, site: Site, dial: Any) -> None:
    path = site.page()
    good, bad = site.client(path), site.client(path)
    site.server.pages[path] = site.ca.crl(bad.cert)
    folder = site.folder / "restart"
    folder.mkdir()
    broker = start_broker(site.config(), folder)
    assert dial(broker.ports["ssl:default"], good.context()).ask() == CONNACK
    # it has been kept when a second fetch follows
    site.server.asked_again(path)
    site.server.asked_again(path)
    assert broker.stop() == -signal.SIGTERM
    del site.server.pages[path]
    broker = start_broker(site.config(), folder)
    port = broker.ports["ssl:default"]
    assert dial(port, good.context()).ask() == CONNACK
    seen = _refused(dial, port, bad, "1.2", b"")
    assert "REVOKED" in seen.upper()
    assert broker.stop() == -signal.SIGTERM


def test_a_list_over_https(start_broker: Any, site: Site, dial: Any, pki: Any) -> None:
    folder = site.folder / "https"
    folder.mkdir()
    (folder / "server.pem").write_text(pki.ec.key_pem + pki.ec.chain_pem)
    (folder / "trusted.pem").write_text(pki.root.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server = site.make_server(0, context)
    try:
        path = site.page()
        good, bad = site.client(server.url(path)), site.client(server.url(path))
        server.pages[path] = site.ca.crl(bad.cert)
        more = '\ncrl_cache.ssl.cacertfile = "trusted.pem"\nlog.console.level = debug\n'
        broker = start_broker(site.config(more), folder)
        port = broker.ports["ssl:default"]
        assert dial(port, good.context()).ask() == CONNACK
        assert "REVOKED" in _refused(dial, port, bad, "1.2", b"").upper()
        assert broker.stop() == -signal.SIGTERM
    finally:
        server.stop()


def test_lists_in_files(start_broker: Any, site: Site, dial: Any) -> None:
    good, bad = site.client(), site.client()
    folder = site.folder / "files"
    folder.mkdir()
    (folder / "ca.crl").write_bytes(site.ca.crl())
    broker = start_broker(site.config('\ncrl_cache.files = ["ca.crl"]\n'), folder)
    port = broker.ports["ssl:default"]
    for client in (good, bad):
        assert dial(port, client.context()).ask() == CONNACK
    live = dial(port, bad.context())
    assert live.ask() == CONNACK
    (folder / "new").write_bytes(site.ca.crl(bad.cert))
    (folder / "new").replace(folder / "ca.crl")
    broker.process.send_signal(signal.SIGHUP)
    live.socket.settimeout(8)
    assert live.read(1) == b""
    assert "REVOKED" in _refused(dial, port, bad, "1.2", b"").upper()
    assert dial(port, good.context()).ask() == CONNACK
    assert broker.stop() == -signal.SIGTERM

"""Authorities that publish CRLs, a server that serves them well or badly, a reactor to wait."""

from __future__ import annotations

import datetime
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import ensureDeferred
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from zope.interface import implementer

from mqttd.config.schema.revocation import CrlCacheOptions
from mqttd.outgoing.http import HTTPClient
from mqttd.revocation.crl_checker import CrlChecker
from mqttd.revocation.disk_cache import DiskCache

HOUR = datetime.timedelta(hours=1)


class Loop:
    """A reactor of the test's own, which runs while the test waits."""

    def __init__(self) -> None:
        self.reactor = SelectReactor()
        self.reactor.startRunning(installSignalHandlers=False)

    def wait(self, awaitable: Any, seconds: float = 10.0) -> Any:
        """What an awaitable gives."""

        async def get() -> Any:
            return await awaitable

        results: list[Any] = []
        waiting = ensureDeferred(get())
        waiting.addBoth(results.append)
        self.until(lambda: bool(results), seconds)
        waiting.addErrback(lambda failure: None)
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Run the reactor until something holds."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail("the reactor waited in vain")
            self.reactor.iterate(0.02)

    def end(self) -> None:
        """Close everything; connections that were given up end in the next turns."""
        for _ in range(3):
            self.reactor.iterate(0)
        self.reactor.disconnectAll()
        self.reactor.iterate(0)
        for each in self.reactor.getDelayedCalls():
            each.cancel()
        if self.reactor.threadpool is not None:
            self.reactor.threadpool.stop()
        self.reactor.iterate(0)
        for reader in list(self.reactor._internalReaders):
            reader.connectionLost(None)


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A reactor to wait with."""
    made = Loop()
    yield made
    made.end()


class CrlServer:
    """Serves what ``pages`` holds by path; ``asked`` lists the paths that were fetched.

    A page is bytes, or a pair of status and bytes, or a function of the handler. While ``open``
    is not set, answers wait.
    """

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self._news = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with outer._news:
                    outer.asked.append(self.path)
                    outer._news.notify_all()
                outer.open.wait(20)
                page = outer.pages.get(self.path, (404, b"nothing here"))
                if callable(page):
                    page(self)
                    return
                status, body = page if isinstance(page, tuple) else (200, page)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            plain = self._server.socket
            self._server.socket = tls.wrap_socket(plain, server_side=True)
        self.scheme = "http" if tls is None else "https"
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def url(self, path: str = "/ca.crl") -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def asked_again(self, path: str) -> None:
        """Wait for one more request for a path."""
        before = self.asked.count(path)
        with self._news:
            assert self._news.wait_for(lambda: self.asked.count(path) > before, 20)

    def stop(self) -> None:
        self.open.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture
def make_crl_server() -> Iterator[Callable[..., CrlServer]]:
    """Start a CRL server, of a port or of one the kernel chooses."""
    made: list[CrlServer] = []

    def make(port: int = 0, tls: ssl.SSLContext | None = None) -> CrlServer:
        made.append(CrlServer(port, tls))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def crl_server(make_crl_server: Callable[..., CrlServer]) -> CrlServer:
    return make_crl_server()


class CrlAuthority:
    """An authority with clients and lists. Its time is ``now``, seconds since 1970."""

    def __init__(self, authority: Any) -> None:
        self.authority = authority
        self.cert: x509.Certificate = authority.cert
        self.number = 0

    def chain(self, *urls: str, name: str = "dev1", **options: Any) -> tuple[Any, ...]:
        """A client's chain, the certificate naming these distribution points."""
        points = [
            x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
            for url in urls
        ]
        extra = [x509.CRLDistributionPoints(points)] if points else []
        issued = self.authority.client(name, extra=extra, **options)
        return (issued.cert, *issued.issuers)

    def crl(
        self,
        *revoked: Any,
        update: datetime.datetime | None = None,
        end: datetime.datetime | None = None,
        extensions: Any = (),
        reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
        entry_extensions: Any = (),
        encoding: Encoding = Encoding.DER,
        key: Any = None,
        issuer: x509.Name | None = None,
    ) -> bytes:
        """A list that revokes certificates or serial numbers, for an hour unless told."""
        update = update or datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self.number += 1
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer or self.cert.subject)
            .last_update(update)
            .next_update(end or update + HOUR)
            .add_extension(x509.CRLNumber(self.number), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        for each in revoked:
            serial = each if isinstance(each, int) else each.serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(update)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            for extension, critical in entry_extensions:
                entry = entry.add_extension(extension, critical=critical)
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(key or self.authority.key, hashes.SHA256())
        return signed.public_bytes(encoding)


@pytest.fixture
def crl_ca(make_root: Callable[..., Any]) -> CrlAuthority:
    """An authority that publishes lists."""
    return CrlAuthority(make_root("CRL Root"))


@pytest.fixture
def make_crl_ca(make_root: Callable[..., Any]) -> Callable[..., CrlAuthority]:
    return lambda name="Another Root", **options: CrlAuthority(make_root(name, **options))


class CrlWorld:
    """A checker whose fetches are real, and whose timers and dates the test moves."""

    def __init__(self, loop: Loop, folder: Path) -> None:
        self.loop = loop
        self.folder = folder
        self.clock = Clock()
        self.began = time.time()
        self.changes = 0
        self._made: list[CrlChecker] = []
        pool = loop.reactor.getThreadPool()
        self.in_thread = partial(deferToThreadPool, loop.reactor, pool)

    def now(self) -> float:
        return self.began + self.clock.seconds()

    def checker(self, *, disk: bool = False, start: bool = True, **options: Any) -> CrlChecker:
        """A checker; with ``disk`` it keeps lists in the test's folder."""
        chosen = CrlCacheOptions(**options)
        client = HTTPClient(self.loop.reactor)
        made = CrlChecker(
            chosen,
            client.fetch,
            self.folder,
            DiskCache(
                self.folder / "data/crl",
                "crl",
                capacity=chosen.capacity,
                max_size=chosen.max_size,
            )
            if disk
            else None,
            clock=self.clock,
            now=self.now,
            in_thread=self.in_thread,
            chance=lambda: 0.0,
            close=client.close,
        )
        made.on_change(self._changed)
        if start:
            made.start()
            self.loop.until(lambda: made._first_read is None)
        self._made.append(made)
        return made

    def check(self, checker: CrlChecker, chain: Any) -> Any:
        return self.loop.wait(checker.check(chain))

    def _changed(self) -> None:
        self.changes += 1

    def end(self) -> None:
        for each in self._made:
            each.stop()


@pytest.fixture
def crl_world(loop: Loop, tmp_path: Path) -> Iterator[CrlWorld]:
    made = CrlWorld(loop, tmp_path)
    yield made
    made.end()


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What was logged, as text."""
    lines: list[str] = []

    @implementer(ILogObserver)
    def observe(event: Any) -> None:
        lines.append(f"{event['log_level'].name} {formatEvent(event)}")

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)

"""Fetches OCSP responses for our own certificates and hands them out in handshakes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from mqttd.config.schema.tls import OcspOptions
from mqttd.outgoing.http import HTTPClient
from mqttd.outgoing.tls import build_client_tls
from mqttd.revocation.disk_cache import DiskCache
from mqttd.revocation.ocsp_fetch import MAX_SIZE, Fetcher
from mqttd.revocation.ocsp_findings import check_stapling, find_issuer, must_staple
from mqttd.revocation.staple import Staple, StapleState

__all__ = ["Staple", "StapleState", "Stapler", "check_stapling", "find_issuer", "must_staple"]

_MOST_KEPT = 1000
"""Responses kept on disk: one for each certificate of ours."""

InThread = Callable[..., "Deferred[Any]"]


class Stapler:
    """OCSP stapling (RFC 6066 section 8) for all listeners and server names.

    Keyed by certificate, so that two certificates never get each other's response, and one
    certificate used by many listeners is asked for once. ``make_client`` makes what fetches for
    one set of options; it may raise ConfigurationErrors, which :meth:`add` passes on. ``folder``
    keeps responses over a restart (None: nowhere).
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        folder: Path | None,
        make_client: Callable[[OcspOptions], Fetcher],
        *,
        wall: Callable[[], float] = time.time,
        in_thread: InThread | None = None,
    ) -> None:
        self._reactor = reactor
        self._make_client = make_client
        self._wall = wall
        self._in_thread = in_thread or _in_thread(reactor)
        self._staples: dict[bytes, Staple] = {}
        self._disk: DiskCache | None = None
        if folder is not None:
            self._disk = DiskCache(folder, "ocsp", capacity=_MOST_KEPT, max_size=MAX_SIZE)
        self._kept: dict[str, bytes] | None = None
        self._write_lock = DeferredLock()
        self._running = False

    def add(
        self, certificate: x509.Certificate, issuer: x509.Certificate, options: OcspOptions
    ) -> None:
        """Fetch responses for a certificate of ours from now on, or with other options.

        Where two listeners want different options for one certificate, the last one's count.
        Blocks for reading the disk when called for the first time. Raises ConfigurationErrors for
        TLS options that cannot be used, and then changes nothing.
        """
        key = _key(certificate)
        client = self._make_client(options)
        old = self._staples.get(key)
        if old is not None and (old.issuer, old.options) == (issuer, options):
            old.client = client  # files that ``ssl`` names may have changed
            return
        new = Staple(
            certificate,
            issuer,
            options,
            client,
            self._reactor,
            self._wall,
            self._save,
        )
        new.adopt(old.der if old is not None else self._stored(key))
        if old is not None:
            old.stop()
        self._staples[key] = new
        if self._running:
            new.start()

    def remove(self, certificate: x509.Certificate) -> None:
        """Forget a certificate; nothing when it is not there."""
        staple = self._staples.pop(_key(certificate), None)
        if staple is not None:
            staple.stop()
            if self._disk is not None:
                self._write(self._disk.remove, staple.fingerprint)

    def keep_only(self, certificates: Iterable[x509.Certificate]) -> None:
        """Forget every certificate but these: the end of a reload."""
        wanted = {_key(certificate) for certificate in certificates}
        for key, staple in list(self._staples.items()):
            if key not in wanted:
                self.remove(staple.certificate)

    def start(self) -> None:
        """Begin fetching; the reactor runs."""
        self._running = True
        for staple in self._staples.values():
            staple.start()

    def stop(self) -> None:
        """End fetching; responses that are there are still handed out."""
        self._running = False
        for staple in self._staples.values():
            staple.stop()

    def first_fetch(self) -> Deferred[None]:
        """Fires when each must-staple certificate has a response or one failed try behind it.

        To be awaited before listening, at the start and in a reload. Never fails: a certificate
        without a response is an error line in the log. Takes ``refresh_http_timeout`` at most.
        """
        waiting = [
            staple.ask_now()
            for staple in self._staples.values()
            if staple.must_staple and not staple.response()
        ]
        return DeferredList(waiting).addCallback(lambda _: None)

    def refresh(self) -> Deferred[list[StapleState]]:
        """Fetch every response now; fires with the new state of all."""
        asked = [staple.ask_now() for staple in self._staples.values()]
        return DeferredList(asked).addCallback(lambda _: self.list())

    def response_for(self, certificate: x509.Certificate) -> bytes:
        """The DER response to staple, or nothing. At once, and never raises."""
        try:
            staple = self._staples.get(_key(certificate))
            return b"" if staple is None else staple.response()
        except Exception:  # one raised in a handshake would drop the connection without an alert
            self._log.failure("looking for an OCSP response failed; this is a bug in mqttd")
            return b""

    def list(self) -> list[StapleState]:
        """What is known of each certificate, for operators."""
        return [staple.state() for staple in self._staples.values()]

    def _stored(self, key: bytes) -> bytes | None:
        if self._disk is None:
            return None
        if self._kept is None:
            self._kept = {stored.key: stored.data for stored in self._disk.load()}
        return self._kept.pop(key.hex(), None)

    def _save(self, staple: Staple, der: bytes) -> None:
        if self._disk is not None:
            about = {"subject": staple.subject, "url": staple.url}
            self._write(self._disk.save, staple.fingerprint, der, about)

    def _write(self, function: Callable[..., None], *arguments: object) -> None:
        done = self._write_lock.run(self._in_thread, function, *arguments)
        done.addErrback(
            lambda failure: self._log.failure("keeping an OCSP response failed", failure=failure)
        )


def client_maker(reactor: Any, base_dir: str | Path) -> Callable[[OcspOptions], HTTPClient]:
    """What a Stapler fetches with: a client with the TLS of ``ocsp.ssl``."""

    def make(options: OcspOptions) -> HTTPClient:
        return HTTPClient(reactor, build_client_tls(options.ssl, base_dir, "ssl_options.ocsp.ssl"))

    return make


def _key(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA256())


def _in_thread(reactor: Any) -> InThread:
    def run(function: Callable[..., None], *arguments: object) -> Deferred[Any]:
        if not reactor.running:  # before and after it nothing can be delayed by us
            function(*arguments)
            return succeed(None)
        return deferToThreadPool(reactor, reactor.getThreadPool(), function, *arguments)

    return run

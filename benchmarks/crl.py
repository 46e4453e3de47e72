"""A long revocation list: fetched, read and proven beside a running reactor; then its verdicts."""

from __future__ import annotations

import argparse
import datetime
import http.server
import multiprocessing
import random
import sys
import tempfile
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from timing import microseconds, row
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import globalLogBeginner

from mqttd.config.schema.revocation import CrlCacheOptions
from mqttd.interfaces import PluginContext
from mqttd.revocation.crl_checker import CrlChecker, make

REACTOR: Any = reactor
DAY = datetime.timedelta(days=1)
VERDICT_US, STALL_MS = 50.0, 50.0


class Authority:
    """Makes a client's certificate and a list of many others."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Benchmark CA")])
        self.now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self.cert = self.issue(self.name, 1, [])

    def issue(self, subject: x509.Name, serial: int, urls: list[str]) -> x509.Certificate:
        """A certificate naming these distribution points."""
        builder = x509.CertificateBuilder(
            self.name, subject, self.key.public_key(), serial, self.now - DAY, self.now + DAY
        )
        points = [
            x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
            for url in urls
        ]
        if points:
            builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def crl(self, serials: list[int], encoding: Encoding) -> bytes:
        """A list; every other entry has a reason."""
        reason = x509.CRLReason(x509.ReasonFlags.superseded)
        entries = []
        for number, serial in enumerate(serials):
            entry = x509.RevokedCertificateBuilder(serial, self.now)
            if number % 2:
                entry = entry.add_extension(reason, critical=False)
            entries.append(entry.build())
        return (
            x509.CertificateRevocationListBuilder(self.name, self.now, self.now + DAY, [], entries)
            .sign(self.key, hashes.SHA256())
            .public_bytes(encoding)
        )


class Stalls:
    """The longest time for which the reactor did not come round."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._call = LoopingCall(self._look)

    def begin(self) -> None:
        """Look every millisecond from now on."""
        self._last = time.perf_counter()
        self._call.start(0.001)

    def end(self) -> float:
        """Milliseconds."""
        self._look()
        self._call.stop()
        return self.longest * 1e3

    def _look(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now


def serve(folder: str, port: Connection) -> None:
    """In a process of its own, so that it shares no interpreter with what is measured."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    port.send(server.server_address[1])
    server.serve_forever()


async def measure(entries: int, folder: Path, name: str) -> bool:
    """Print the figures of one encoding; whether they are within bounds."""
    encoding = {"DER": Encoding.DER, "PEM": Encoding.PEM}[name]
    authority = Authority()
    serials = [random.getrandbits(159) + 2 for _ in range(entries)]
    data = authority.crl(serials, encoding)
    (folder / "ca.crl").write_bytes(data)
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(str(folder), theirs), daemon=True
    )
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/ca.crl"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dev")])
    good = (authority.issue(subject, 5, [url]), authority.cert)
    bad = (authority.issue(subject, serials[-1], [url]), authority.cert)

    print(f"{name}, {entries:,} entries, {len(data):,} bytes")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data_dir:
        context = PluginContext(REACTOR, folder, Path(data_dir))
        checker: CrlChecker = make(CrlCacheOptions(max_size=64 << 20), context)
        checker.start()
        stalls = Stalls()
        stalls.begin()
        began = time.perf_counter()
        outcome = (await checker.check(good)).outcome
        loaded = time.perf_counter() - began
        stall = stalls.end()
        row("  fetched, read, proven, in use", loaded * 1e3, "ms")
        row("  longest stall of the reactor meanwhile", stall, "ms")
        status = checker.known(bad)
        right = outcome == "good" and status is not None and status.outcome == "revoked"
        for which, chain in (("good", good), ("revoked", bad)):
            # as from a handshake: an object that was never looked at
            ders = [each.public_bytes(Encoding.DER) for each in chain]

            def fresh(ders: list[bytes] = ders) -> tuple[x509.Certificate, ...]:
                return tuple(map(x509.load_der_x509_certificate, ders))

            loading = microseconds(fresh)
            verdict = microseconds(lambda fresh=fresh: checker.known(fresh())) - loading
            row(f"  verdict, {which}", verdict)
            right = right and verdict < VERDICT_US
        (folder / "ca.crl").write_bytes(authority.crl([*serials[:-1], 5], encoding))
        again = Stalls()
        again.begin()
        began = time.perf_counter()
        await checker.refresh()
        row("  refreshed with another list", (time.perf_counter() - began) * 1e3, "ms")
        refresh_stall = again.end()
        row("  longest stall of the reactor meanwhile", refresh_stall, "ms")
        status = checker.known(good)
        right = right and status is not None and status.outcome == "revoked"
        checker.stop()
    server.terminate()
    return right and max(stall, refresh_stall) < STALL_MS


def main() -> int:
    """Both encodings; status 1 when a bound is passed or an answer is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    options = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    results: list[bool] = []

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            results.append(await measure(options.entries, Path(folder), "DER"))
            results.append(await measure(options.entries, Path(folder), "PEM"))

    def begin() -> None:
        done = ensureDeferred(run())
        done.addErrback(lambda failure: failure.printTraceback(sys.stdout))
        done.addBoth(lambda _: REACTOR.stop())

    REACTOR.callWhenRunning(begin)
    REACTOR.run()
    return 0 if len(results) == 2 and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

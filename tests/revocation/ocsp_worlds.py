"""A stapler and an OCSP checker whose time stands still, and the responders they ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher

from mqttd.config.schema.revocation import OcspClientOptions
from mqttd.config.schema.tls import OcspOptions
from mqttd.interfaces import RevocationStatus
from mqttd.revocation.ocsp_checker import OcspChecker
from mqttd.revocation.stapling import Stapler, StapleState

URL = "http://ocsp.example/"


class StaplingWorld:
    """A stapler whose time stands still, and the responder it asks."""

    def __init__(self, pki: Any, responder: Any, fetcher: Any, wall: Any, folder: Path) -> None:
        self.pki = pki
        self.responder = responder
        self.fetcher = fetcher
        self.wall = wall
        self.folder = folder
        self.clock = Clock()
        self.log: list[Any] = []
        self.stapler = self.new()

    def new(self, *, keep: bool = True) -> Stapler:
        """A broker that was started again."""
        self.clock = Clock()
        self.stapler = Stapler(
            self.clock,
            self.folder if keep else None,
            lambda options: self.fetcher,
            wall=self.wall,
            in_thread=maybeDeferred,
        )
        return self.stapler

    def add(self, server: Any = None, issuer: Any = None, **options: Any) -> None:
        server = server or self.pki.ec
        issuer = issuer or self.pki.intermediate
        options.setdefault("responder_url", URL)
        chosen = OcspOptions(enable_ocsp_stapling=True, **options)
        self.stapler.add(server.cert, issuer.cert, chosen)

    def pass_time(self, seconds: float) -> None:
        self.wall.now += seconds
        self.clock.advance(seconds)

    def staple(self, server: Any = None) -> str:
        """The status stapled for a server certificate; empty for none."""
        der = self.stapler.response_for((server or self.pki.ec).cert)
        if not der:
            return ""
        response = ocsp.load_der_ocsp_response(der)
        assert response.serial_number == (server or self.pki.ec).cert.serial_number
        return response.certificate_status.name

    def lines(self, level: str) -> list[str]:
        return [formatEvent(e) for e in self.log if e["log_level"].name == level]

    def state(self) -> StapleState:
        (only,) = self.stapler.list()
        return only


@pytest.fixture
def stapling_world(
    pki: Any, ocsp_responder: Any, direct: Any, wall: Any, tmp_path: Path
) -> Iterator[StaplingWorld]:
    responder = ocsp_responder(pki.intermediate)
    responder.good(pki.ec.cert)
    made = StaplingWorld(pki, responder, direct(responder), wall, tmp_path / "ocsp")
    observer = cast("ILogObserver", made.log.append)
    globalLogPublisher.addObserver(observer)
    yield made
    globalLogPublisher.removeObserver(observer)


@pytest.fixture
def must_staple(pki: Any) -> Any:
    return pki.intermediate.issue(extra=[x509.TLSFeature([x509.TLSFeatureType.status_request])])


class CheckerWorld:
    """A checker whose time stands still, and the responder it asks."""

    def __init__(self, pki: Any, responder: Any, fetcher: Any, wall: Any) -> None:
        self.pki = pki
        self.responder = responder
        self.fetcher = fetcher
        self.wall = wall
        self.log: list[Any] = []
        self.changes = 0
        self.new()

    def new(self, *, capacity: int = 100, **options: Any) -> None:
        options.setdefault("responder_url", URL)
        self.clock = Clock()
        self.checker = OcspChecker(
            OcspClientOptions(enable=True, **options),
            self.fetcher,
            self.clock,
            wall=self.wall,
            capacity=capacity,
        )
        self.checker.on_change(self._changed)
        self.checker.start()

    def _changed(self) -> None:
        self.changes += 1

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        return (self.pki.client_ec.cert, self.pki.root.cert)

    def ask(self, chain: Any = None) -> list[RevocationStatus]:
        """Ask; the list gets the status when it is there."""
        statuses: list[RevocationStatus] = []
        asked = Deferred.fromCoroutine(cast("Any", self.checker.check(chain or self.chain)))
        asked.addCallback(statuses.append)
        return statuses

    def status(self, chain: Any = None) -> RevocationStatus:
        (status,) = self.ask(chain)
        return status

    def known(self) -> str:
        """What is known without asking; empty for nothing."""
        status = self.checker.known(self.chain)
        return "" if status is None else status.outcome

    def pass_time(self, seconds: float, steps: int = 1) -> None:
        for _ in range(steps):
            self.wall.now += seconds / steps
            self.clock.advance(seconds / steps)

    @property
    def requests(self) -> int:
        return len(self.fetcher.fetched)

    def lines(self, level: str) -> list[str]:
        return [formatEvent(e) for e in self.log if e["log_level"].name == level]


@pytest.fixture
def ocsp_world(pki: Any, ocsp_responder: Any, direct: Any, wall: Any) -> Iterator[CheckerWorld]:
    responder = ocsp_responder(pki.root)
    responder.good(pki.client_ec.cert)
    made = CheckerWorld(pki, responder, direct(responder), wall)
    observer = cast("ILogObserver", made.log.append)
    globalLogPublisher.addObserver(observer)
    yield made
    globalLogPublisher.removeObserver(observer)
    made.checker.stop()
    assert made.clock.getDelayedCalls() == []

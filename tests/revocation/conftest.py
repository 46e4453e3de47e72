"""A real OCSP responder, and clients of it that need no network."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ocsp_responder(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start ``openssl ocsp`` for an authority: see openssl_responder.py."""
    module = _load("openssl_responder")
    made: list[Any] = []

    def make(authority: Any, signer: Any = None) -> Any:
        made.append(module.Responder(tmp_path / f"responder{len(made)}", authority, signer))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Wall:
    """The time of day, to be set."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    """A wall clock that starts at the real time."""
    import time

    return Wall(time.time())


class Direct:
    """Fetches from a responder in this process, without a network.

    ``down`` raises FetchError with that cause; while ``hold`` is set, fetches wait for
    ``release``.
    """

    def __init__(self, responder: Any) -> None:
        self.responder = responder
        self.down = ""
        self.hold = False
        self.waiting: list[Any] = []
        self.fetched: list[tuple[str, str, float]] = []
        """Method, URL and time limit of each fetch."""

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Any = (),
        timeout: float,
        max_size: int,
        max_redirects: int = 3,
    ) -> Any:
        from twisted.internet.defer import Deferred
        from twisted.web.http_headers import Headers

        from mqttd.outgoing.http import FetchError, HTTPAnswer

        self.fetched.append((method, url, timeout))
        if self.hold:
            gate: Deferred[None] = Deferred()
            self.waiting.append(gate)
            await gate
        if self.down:
            raise FetchError(self.down, "127.0.0.1:1 does not answer")
        status, content = self.responder.reply(method, url, body or b"")
        if len(content) > max_size:
            raise FetchError("too-large", "the answer is too large")
        return HTTPAnswer(status, Headers(), content, url)

    def release(self) -> None:
        """Let what waits go on."""
        self.hold = False
        waiting, self.waiting = self.waiting, []
        for gate in waiting:
            gate.callback(None)


@pytest.fixture
def direct() -> Callable[..., Direct]:
    return Direct


_crl = _load("crl_world")
loop = _crl.loop
crl_server = _crl.crl_server
make_crl_server = _crl.make_crl_server
crl_ca = _crl.crl_ca
make_crl_ca = _crl.make_crl_ca
crl_world = _crl.crl_world
log_lines = _crl.log_lines

_ocsp = _load("ocsp_worlds")
stapling_world = _ocsp.stapling_world
must_staple = _ocsp.must_staple
ocsp_world = _ocsp.ocsp_world

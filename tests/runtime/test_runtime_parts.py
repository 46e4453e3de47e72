"""Checkers and stores out of the configuration: kept over a reload as long as nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.logger import formatEvent, globalLogPublisher
from zope.interface import implementer

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import load_text
from mqttd.interfaces import STATUS_GOOD, IPSKStore, IRevocationChecker, RevocationStatus
from mqttd.plugins import UnknownPlugin
from mqttd.runtime.parts import Parts


@implementer(IRevocationChecker, IPSKStore)
class Part:
    """A checker or a store."""

    def __init__(self, name: str, options: Any) -> None:
        self.name = name
        self.options = options
        self.running = 0
        self.changed: list[Callable[[], object]] = []

    def on_change(self, changed: Callable[[], object]) -> None:
        self.changed.append(changed)

    def known(self, chain: Any) -> None: ...

    async def check(self, chain: Any) -> RevocationStatus:
        return STATUS_GOOD

    def key_for(self, identity: bytes) -> None: ...

    def identities(self) -> Sequence[bytes]:
        return ()

    def start(self) -> None:
        self.running += 1

    def stop(self) -> None:
        self.running -= 1


@attrs.define
class Plugin:
    name: str
    problem: Exception | None = None

    def make(self, options: Any, context: Any) -> Part:
        if self.problem is not None:
            raise self.problem
        return Part(self.name, options)


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        self.plugins = {name: Plugin(name) for name in ("crl", "ocsp", "own", "file", "database")}
        monkeypatch.setattr("mqttd.runtime.parts.revocation_checker", self.find)
        monkeypatch.setattr("mqttd.runtime.parts.psk_store", self.find)

    def find(self, name: str) -> Plugin:
        if name not in self.plugins:
            raise UnknownPlugin("test", name, sorted(self.plugins))
        return self.plugins[name]

    def parts(self, text: str, former: Parts | None = None) -> Any:
        loaded = load_text(text, base_dir=self.folder)
        return Parts(loaded, None, lambda: None, former)


TLS = "listeners.ssl.{name} {{ bind = 0, ssl_options {{ {options} }} }}\n"
PEER = "verify = verify_peer, cacertfile = ca.pem"


def tls(name: str, options: str) -> str:
    return TLS.format(name=name, options=f"{PEER}, {options}")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


def test_nothing_is_made_that_is_not_used(world: World) -> None:
    parts = world.parts("listeners.ssl.a.bind = 0\npsk_authentication.init_file = x")
    assert parts.psk is None
    assert parts.crl is None
    assert parts.checkers == {"ssl:a": {}}


def test_one_crl_cache_for_all_and_ocsp_by_options(world: World) -> None:
    parts = world.parts(
        tls("a", "enable_crl_check = true, ocsp_client { enable = true, timeout = 3s }")
        + tls("b", "enable_crl_check = true, ocsp_client { enable = true, timeout = 9s }")
        + tls("c", "revocation_checkers = [own]")
        + "crl_cache.http_timeout = 5s"
    )
    checkers = parts.checkers
    assert checkers["ssl:a"]["crl"] is checkers["ssl:b"]["crl"] is parts.crl
    assert checkers["ssl:a"]["ocsp"] is not checkers["ssl:b"]["ocsp"]
    assert list(checkers["ssl:c"]) == ["own"]
    assert parts.time_limits == {"ssl:a": 6.0, "ssl:b": 10.0, "ssl:c": 16.0}


def test_a_reload_keeps_what_has_the_same_options(world: World) -> None:
    psk = "psk_authentication {{ enable = true, init_file = {} }}\n"
    first = world.parts(psk.format("one") + tls("a", "enable_crl_check = true"))
    first.take_over(None)
    again = world.parts(
        psk.format("two") + tls("a", "enable_crl_check = true, revocation_checkers = own"), first
    )
    again.take_over(first)
    assert again.crl is first.crl
    assert first.crl.running == 1
    assert again.psk is not first.psk
    assert (first.psk.running, again.psk.running) == (0, 1)
    assert len(first.crl.changed) == 1
    none = world.parts("", again)
    none.take_over(again)
    assert (again.crl.running, again.psk.running) == (0, 0)


def test_every_error_is_found(world: World) -> None:
    world.plugins["ocsp"].problem = ValueError("makes no sense")
    world.plugins["own"].problem = RuntimeError("broken")
    with pytest.raises(ConfigurationErrors) as caught:
        world.parts(
            "psk_authentication { enable = true, store = nowhere }\n"
            + tls("a", "ocsp_client.enable = true")
            + tls("b", "revocation_checkers = own")
            + tls("c", "revocation_checkers = crl")
            + tls("d", "revocation_checkers = missing")
        )
    found = {finding.path: finding.message for finding in caught.value.errors}
    assert set(found) == {
        "psk_authentication.store",
        "listeners.ssl.a.ssl_options.ocsp_client",
        "listeners.ssl.b.ssl_options.revocation_checkers",
        "listeners.ssl.c.ssl_options.revocation_checkers",
        "listeners.ssl.d.ssl_options.revocation_checkers",
    }
    assert "makes no sense" in found["listeners.ssl.a.ssl_options.ocsp_client"]


def test_another_store_gets_its_own_options(world: World) -> None:
    parts = world.parts(
        "psk_authentication { enable = true, store = database, store_options { host = h } }"
    )
    assert parts.psk.name == "database"
    assert parts.psk.options == {"host": "h"}


@pytest.mark.parametrize("name", ["start", "stop"])
def test_a_part_that_fails_to_start_is_named_and_harms_nothing(world: World, name: str) -> None:
    parts = world.parts(tls("a", "revocation_checkers = [own]"))
    checker = parts.checkers["ssl:a"]["own"]

    async def fails() -> None:
        raise OSError("what nobody may read")

    setattr(checker, name, fails)
    lines: list[str] = []

    def observe(event: Any) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]
    try:
        parts.take_over(None)
        parts.stop()
    finally:
        globalLogPublisher.removeObserver(observe)  # type: ignore[arg-type]
    (line,) = [line for line in lines if "plugin" in line]
    assert line.startswith(f"The plugin own failed in {name}: OSError in test_runtime_parts.py")
    assert "nobody" not in line


def test_what_is_no_part(world: World) -> None:
    class Odd(Plugin):
        def make(self, options: Any, context: Any) -> Any:
            return object()

    world.plugins["own"] = Odd("own")
    with pytest.raises(ConfigurationErrors) as caught:
        world.parts(tls("a", "revocation_checkers = [own]"))
    assert "the plugin own cannot be used: it made object" in str(caught.value)
    assert "@implementer(IRevocationChecker)" in str(caught.value)

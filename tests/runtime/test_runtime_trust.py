"""TLS of every listener out of one configuration; a reload makes anew only what changed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import Loaded, load_text
from mqttd.runtime.trust import Credentials, Trust

LISTENER = """
listeners.{kind}.{name} {{
  bind = 0
  ssl_options {{ keyfile = {file}-key.pem, certfile = {file}.pem, {more} }}
}}
"""


class World:
    def __init__(self, folder: Path, reactor: Any, pki: Any) -> None:
        self.folder = folder
        self.pki = pki
        self.told: list[Collection[str] | None] = []
        reactor.running = False
        self.reactor = reactor
        for name in ("one", "two"):
            self.put(name, pki.ec)
        (folder / "ca.pem").write_bytes(pki.root.cert.public_bytes(Encoding.PEM))
        (folder / "psk.txt").write_text(f"one:{'11' * 32}\n")
        self.trust = Trust(self.load(""), reactor, self.told.append)

    def put(self, name: str, issued: Any) -> None:
        (self.folder / f"{name}.pem").write_text(issued.chain_pem)
        (self.folder / f"{name}-key.pem").write_text(issued.key_pem)

    def load(self, text: str) -> Loaded:
        return load_text(text, base_dir=self.folder)

    def adopt(self, text: str) -> Credentials:
        loaded = self.load(text)
        credentials = self.trust.prepare(loaded, self.trust.parts(loaded))
        self.trust.adopt(credentials)
        return credentials


@pytest.fixture
def world(tmp_path: Path, reactor: Any, pki: Any) -> World:
    return World(tmp_path, reactor, pki)


def listener(name: str, file: str, more: str = "", kind: str = "ssl") -> str:
    return LISTENER.format(kind=kind, name=name, file=file, more=more)


def tls(credentials: Credentials, name: str) -> Any:
    return credentials.made[name].tls


def test_a_reload_makes_only_what_changed(world: World) -> None:
    text = listener("a", "one") + listener("b", "two")
    first = world.adopt(text)
    world.trust.start({})
    second = world.adopt(text + "mqtt.max_inflight = 1")
    assert world.told == []
    assert tls(second, "ssl:a") is tls(first, "ssl:a")
    world.put("two", world.pki.intermediate.issue())
    third = world.adopt(text)
    assert tls(third, "ssl:a") is tls(first, "ssl:a")
    assert tls(third, "ssl:b") is not tls(first, "ssl:b")
    assert world.told == [{"ssl:b"}]
    mutual = listener("a", "one", "verify = verify_peer, cacertfile = ca.pem")
    fourth = world.adopt(mutual + listener("b", "two"))
    assert tls(fourth, "ssl:a").default.verify_peer
    assert world.told == [{"ssl:b"}, {"ssl:a"}]


def test_every_listener_with_an_error_is_named(world: World) -> None:
    loaded = world.load(listener("a", "gone") + listener("b", "two") + listener("c", "lost"))
    with pytest.raises(ConfigurationErrors) as caught:
        world.trust.prepare(loaded, world.trust.parts(loaded))
    assert {finding.path.split(".")[2] for finding in caught.value.errors} == {"a", "c"}
    assert world.trust.own_certificates() == ()


def test_wss_and_ssl_differ_in_their_protocol_only(world: World) -> None:
    text = listener("a", "one") + listener("a", "one", kind="wss")
    credentials = world.adopt(text)
    assert {made.origin.alpn for made in credentials.made.values()} == {b"mqtt", b"http/1.1"}


def test_checkers_and_keys_are_part_of_it(world: World) -> None:
    mutual = "verify = verify_peer, cacertfile = ca.pem"
    plain = world.adopt(listener("a", "one", mutual))
    assert tls(plain, "ssl:a").judge is None
    checked = world.adopt(listener("a", "one", f"{mutual}, enable_crl_check = true"))
    assert tls(checked, "ssl:a").judge is not None
    assert world.trust.crl is checked.parts.crl
    assert world.trust.psk_store is None
    ciphers = 'versions = ["tlsv1.2"], ciphers = "PSK-AES128-GCM-SHA256"'
    psk = "psk_authentication { enable = true, init_file = psk.txt }\n"
    keyed = world.adopt(psk + listener("a", "one", ciphers))
    assert tls(keyed, "ssl:a").psk_only
    assert tls(keyed, "ssl:a").psk is world.trust.psk_store
    assert world.trust.crl is None


def test_what_is_presented_and_trusted_is_known(world: World) -> None:
    world.adopt(
        listener(
            "a",
            "one",
            """
            verify = verify_peer, cacertfile = ca.pem
            sni { "x.org" { keyfile = two-key.pem, certfile = two.pem } }
            """,
        )
    )
    found = [(own.role, own.file, own.served) for own in world.trust.own_certificates()]
    assert found == [
        ("the server certificate", "one.pem", True),
        ("an issuer of the server certificate", "one.pem", True),
        ("the server certificate of x.org", "two.pem", True),
        ("an issuer of the server certificate of x.org", "two.pem", True),
        ("the authority of clients", "ca.pem", False),
    ]

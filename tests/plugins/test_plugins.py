"""Plugins are found by kind and name, whoever wrote them, and are light to declare."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyClass, verifyObject

from mqttd.interfaces import (
    IPSKStorePlugin,
    IRevocationCheckerPlugin,
    PluginContext,
    RevocationStatus,
)
from mqttd.plugins import (
    KINDS,
    PSKStorePlugin,
    RevocationCheckerPlugin,
    UnknownPlugin,
    describe,
    installed,
    psk_store,
    revocation_checker,
)
from twisted import plugins as twisted_plugins

DECLARED = """
from zope.interface import implementer
from twisted.plugin import IPlugin
from mqttd.interfaces import IPSKStorePlugin
from mqttd.plugins import PSKStorePlugin, RevocationCheckerPlugin

store = PSKStorePlugin("stranger", "Keys of a stranger.", "stranger_trust.Store")
checker = RevocationCheckerPlugin("mood", "By mood.", "stranger_trust.Checker")
missing = PSKStorePlugin("missing", "Names what is not there.", "stranger_trust.Nothing")
again = [PSKStorePlugin("twice", "One.", "a.b")][0]
more = PSKStorePlugin("twice", "Two.", "a.b")

@implementer(IPlugin, IPSKStorePlugin)
class Nameless:
    pass

nameless = Nameless()
"""
CODE = """
from mqttd.interfaces import RevocationStatus

class Store:
    def __init__(self, options, context):
        if options is None:
            raise ValueError("store_options are needed")
        self.keys = {options["identity"].encode(): b"0123456789abcdef"}
        self.folder = context.base_dir
    def key_for(self, identity): return self.keys.get(identity)
    def identities(self): return list(self.keys)
    def on_change(self, changed): pass

class Checker:
    def __init__(self, options, context): pass
    def known(self, chain): return RevocationStatus("revoked", "mood", "it is Monday")
"""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A package of somebody else's, as ``pip install`` would bring it."""
    folder = tmp_path_factory.mktemp("stranger")
    place = folder / "twisted" / "plugins"
    place.mkdir(parents=True)
    (place / "stranger_plugin.py").write_text(DECLARED)
    (folder / "stranger_trust.py").write_text(CODE)
    sys.path.append(str(folder))
    twisted_plugins.__path__.append(str(place))
    yield folder
    sys.path.remove(str(folder))
    twisted_plugins.__path__.remove(str(place))
    for name in ("stranger_trust", "twisted.plugins.stranger_plugin"):
        sys.modules.pop(name, None)


@pytest.fixture
def context(tmp_path: Path) -> PluginContext:
    return PluginContext(Clock(), tmp_path, tmp_path / "data")


def test_declarations() -> None:
    assert verifyClass(IPSKStorePlugin, PSKStorePlugin)
    assert verifyClass(IRevocationCheckerPlugin, RevocationCheckerPlugin)
    assert verifyObject(IPSKStorePlugin, psk_store("file"))
    for name in ("crl", "ocsp"):
        assert verifyObject(IRevocationCheckerPlugin, revocation_checker(name))


def test_kinds_are_kept_apart() -> None:
    with pytest.raises(UnknownPlugin, match="there is no PSK store plugin 'crl'") as caught:
        psk_store("crl")
    assert "file" in caught.value.known
    with pytest.raises(UnknownPlugin, match="no revocation checker plugin 'file'"):
        revocation_checker("file")


def test_a_strangers_plugins(stranger: Path, context: PluginContext) -> None:
    store: Any = psk_store("stranger").make({"identity": "dev1"}, context)
    assert store.key_for(b"dev1") == b"0123456789abcdef"
    assert store.folder == context.base_dir
    checker: Any = revocation_checker("mood").make(None, context)
    assert checker.known(()) == RevocationStatus("revoked", "mood", "it is Monday")
    with pytest.raises(ValueError, match="store_options are needed"):
        psk_store("stranger").make(None, context)
    with pytest.raises(AttributeError, match="Nothing"):
        psk_store("missing").make(None, context)


def test_what_is_installed(stranger: Path) -> None:
    lines = describe().splitlines()
    assert "Stores of pre-shared keys (psk_authentication.store):" in lines
    for kind in KINDS:
        assert f"{kind.title} ({kind.option}):" in lines
    assert "  stranger     Keys of a stranger." in lines
    assert "  mood         By mood." in lines
    names = [plugin.name for plugin in installed(IPSKStorePlugin)]
    assert names == sorted(names)


def test_one_name_for_two_is_refused(stranger: Path) -> None:
    with pytest.raises(UnknownPlugin, match="2 PSK store plugins are called 'twice'"):
        psk_store("twice")


def test_declaring_is_light() -> None:
    """twistd imports every declaration to list its commands."""
    heavy = {"mqttd.revocation", "mqttd.psk", "mqttd.tls", "mqttd.net", "cryptography", "OpenSSL"}
    code = "import sys, twisted.plugins.mqttd_trust; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    assert not heavy & set(done.stdout.split())

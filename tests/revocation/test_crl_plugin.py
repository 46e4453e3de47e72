"""The checker as the plugin ``crl`` makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.schema.revocation import CrlCacheOptions
from mqttd.interfaces import STATUS_GOOD, IRevocationChecker, PluginContext
from mqttd.plugins import revocation_checker


def test_the_plugin_makes_a_checker_that_fetches_and_keeps(
    loop: Any, crl_server: Any, crl_ca: Any, tmp_path: Path
) -> None:
    crl_server.pages["/ca.crl"] = crl_ca.crl()
    chain = crl_ca.chain(crl_server.url())
    place = PluginContext(loop.reactor, tmp_path, tmp_path / "data")
    checker: Any = revocation_checker("crl").make(CrlCacheOptions(), place)
    assert verifyObject(IRevocationChecker, checker)
    checker.start()
    assert loop.wait(checker.check(chain)) == STATUS_GOOD
    loop.until(lambda: len(list((tmp_path / "data/crl").glob("*.crl"))) == 1)
    checker.stop()


def test_options_that_make_no_sense(loop: Any, tmp_path: Path) -> None:
    options = CrlCacheOptions(ssl=ClientTLSOptions(cacertfile="missing.pem"))
    with pytest.raises(ConfigurationErrors) as caught:
        revocation_checker("crl").make(options, PluginContext(loop.reactor, tmp_path, tmp_path))
    assert caught.value.findings[0].path == "crl_cache.ssl.cacertfile"

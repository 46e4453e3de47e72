"""Every configuration snippet of the seed documents, as it stands there."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.load import Loaded, load_text
from mqttd.config.types import Bind

Load = Callable[..., Loaded]

ROOT = Path(__file__).parents[2]
SEEDS = Path(os.environ.get("MQTTD_SEEDS", ROOT.parent / "shared" / "seeds"))

needs_seeds = pytest.mark.skipif(
    not SEEDS.is_dir(), reason=f"the seed documents are not here ({SEEDS}; see MQTTD_SEEDS)"
)


def _blocks() -> Iterator[str]:
    """The text of every fenced block. A line ``...`` stands for options left out: dropped."""
    for path in sorted(SEEDS.glob("*.txt")):
        inside, lines = False, list[str]()
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith("```"):
                if inside:
                    yield textwrap.dedent("\n".join(lines))
                inside, lines = not inside, []
            elif inside and line.strip() != "...":
                lines.append(line)


def _blocks_with(start: str) -> list[str]:
    """Blocks with a line that starts so, which is what tells a configuration from a command."""
    return [
        block for block in _blocks() if any(line.startswith(start) for line in block.splitlines())
    ]


def _errors(text: str) -> dict[str, Finding]:
    try:
        load_text(text)
    except ConfigurationErrors as caught:
        return {finding.path: finding for finding in caught.errors}
    return {}


@needs_seeds
def test_tls_listeners_work_as_they_stand() -> None:
    loaded = [
        load_text(block).configuration.listeners.ssl["default"]
        for block in _blocks_with("listeners.ssl.default")
        if not any(word in block for word in ("PSK", "ocsp", "crl"))
    ]
    assert len(loaded) >= 1
    for listener in loaded:
        assert listener.bind == Bind("0.0.0.0", 8883)
        assert listener.access_rules == ["allow all"]
        assert listener.proxy_protocol_timeout == 3.0
        assert listener.tcp_options.buffer == 4096
        assert listener.ssl_options is not None
        assert listener.ssl_options.requires_peer_cert
        assert listener.ssl_options.versions == ["tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"]


@needs_seeds
@pytest.mark.parametrize(
    ("start", "word"),
    [
        ("psk_authentication", "init_file"),
        ("listeners.ssl.default", "PSK-"),
        ("listeners.ssl.default", "ocsp"),
        ("listeners.ssl.default", "enable_crl_check"),
    ],
)
def test_trust_snippets_are_read_as_they_stand(start: str, word: str) -> None:
    blocks = [block for block in _blocks_with(start) if word in block]
    assert blocks
    for block in blocks:
        loaded = load_text(block)
        # A section alone has no listener.
        assert all(finding.path == "listeners" for finding in loaded.findings)


@needs_seeds
def test_authentication_is_read_as_it_stands() -> None:
    blocks = [block for block in _blocks_with("authentication") if "backend" in block]
    assert blocks
    for block in blocks:
        (authenticator,) = load_text(block).configuration.authentication
        assert authenticator.name == "password_based:http"
        assert authenticator.path == "authentication"
        assert authenticator.options.url
        assert authenticator.options.method == "post"


@needs_seeds
def test_the_old_form_is_the_same_listener() -> None:
    blocks = _blocks_with("listener.ssl.external")
    assert len(blocks) >= 2
    for block in blocks:
        loaded = load_text(block)
        listener = loaded.configuration.listeners.ssl["external"]
        assert listener.bind == Bind("0.0.0.0", 8883)
        assert listener.ssl_options is not None
        assert listener.ssl_options.keyfile == "etc/certs/emqx.key"
        assert [finding.severity for finding in loaded.findings] == ["notice"]


@needs_seeds
def test_the_printed_list_of_suites_is_a_value() -> None:
    (block,) = _blocks_with("TLS_AES_256_GCM_SHA384")
    names = [line for line in block.splitlines() if line and not line.startswith("#")]
    assert len(names) > 40
    for value in (",".join(names), "\n".join(names)):
        quoted = f'"{value}"' if "," in value else f"[\n{value}\n]"
        loaded = load_text(f"listeners.ssl.default.ssl_options.ciphers = {quoted}")
        options = loaded.configuration.listeners.ssl["default"].ssl_options
        assert options is not None
        assert options.ciphers == names


OWN = """
listeners.ssl.default {
  bind = "0.0.0.0:8883"
  max_connections = 512000

  access_rules = [
    "allow all"
  ]
  proxy_protocol_timeout = 3s

  ssl_options.keyfile = "etc/certs/key.pem"
  ssl_options.certfile = "etc/certs/cert.pem"
  ssl_options.cacertfile = "etc/certs/cacert.pem"
  # client certificates
  ssl_options.verify = verify_peer
  ssl_options.versions = ["tlsv1.3", "tlsv1.2", "tlsv1.1", "tlsv1"]
  tcp_options.buffer = 4KB
}
"""


def test_the_same_forms_without_the_documents(load: Load) -> None:
    listener = load(OWN).configuration.listeners.ssl["default"]
    assert listener.max_connections == 512000
    assert listener.ssl_options is not None
    assert listener.ssl_options.cacertfile == "etc/certs/cacert.pem"
    assert listener.ssl_options.requires_peer_cert


AUTHENTICATION = """
authentication {
  url = "https://127.0.0.1:8080"
  backend = "http"
  ssl { enable = true, verify = verify_peer }
}
"""


def test_authentication_without_the_documents(load: Load) -> None:
    (authenticator,) = load(OWN + AUTHENTICATION).configuration.authentication
    assert authenticator.name == "password_based:http"
    assert authenticator.options.ssl.verify == "verify_peer"

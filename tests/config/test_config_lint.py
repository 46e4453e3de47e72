"""Findings of ``mqttd check`` on what is allowed but weak or risky."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.config.lint import lint
from mqttd.config.load import Loaded

Load = Callable[..., Loaded]

STRICT = """
listeners.ssl.a {
  bind = 8883
  max_connections = 1000
  access_rules = ["allow 10.0.0.0/8"]
  ssl_options { verify = verify_peer, cacertfile = ca.pem }
}
"""


def test_a_strict_file_has_no_findings(load: Load) -> None:
    assert lint(load(STRICT).configuration) == []


@pytest.mark.parametrize(
    ("text", "path", "risk"),
    [
        ("listeners.ssl.a.ssl_options.verify = verify_none", "authentication", "everybody"),
        (
            "listeners.ssl.a.ssl_options.fail_if_no_peer_cert = false",
            "authentication",
            "everybody",
        ),
        (
            "listeners.ssl.a.ssl_options.fail_if_no_peer_cert = false",
            "listeners.ssl.a.ssl_options.fail_if_no_peer_cert",
            "unchecked",
        ),
        ("listeners.tcp.b.bind = 1883", "listeners.tcp.b.bind", "without TLS"),
        ("flapping_detect.max_count = 3", "flapping_detect.enable", "no effect"),
        ('audit.file = "a.log"', "audit.enable", "no effect"),
        (
            "authorization.sources = [{ type = mosquitto, path = a }, { type = file, path = b }]",
            "authorization.sources[1]",
            "never asked: authorization.sources[0]",
        ),
        ('listeners.ws.b.bind = "[::]:1"', "listeners.ws.b.bind", "without TLS"),
        ("listeners.ssl.a.max_connections = infinity", "listeners.ssl.a.max_connections", "limit"),
        ('listeners.ssl.a.access_rules = "allow all"', "listeners.ssl.a.access_rules", "denies"),
        (
            'listeners.ssl.a.access_rules = ["allow 10.1.2.3/8"]',
            "listeners.ssl.a.access_rules",
            "10.0.0.0/8",
        ),
        (
            'listeners.ssl.a.access_rules = ["deny all", "allow 10.0.0.1"]',
            "listeners.ssl.a.access_rules",
            "never reached",
        ),
        (
            'listeners.ssl.a { proxy_protocol = on, access_rules = ["deny ::1", "allow all"] }',
            "listeners.ssl.a.proxy_protocol",
            "claim any client address",
        ),
        (
            "listeners.wss.a.websocket.proxy_address_header = x-forwarded-for",
            "listeners.wss.a.websocket.proxy_address_header",
            "claim any client address",
        ),
        ("listeners.ssl.a.enable_authn = false", "listeners.ssl.a.enable_authn", "authenticated"),
        (
            """listeners.ssl.a {
              peer_cert_as_username = cn, ssl_options.verify = verify_none
            }""",
            "listeners.ssl.a.peer_cert_as_username",
            "refuses every client, although cacertfile is set",
        ),
        (
            """listeners.ssl.a.ssl_options.fail_if_no_peer_cert = false
            mqtt.peer_cert_as_clientid = cn""",
            "mqtt.peer_cert_as_clientid",
            "ssl:a demands no client certificate",
        ),
        (
            "listeners.tcp.b {}\nmqtt.peer_cert_as_username = cn",
            "mqtt.peer_cert_as_username",
            "tcp:b sees no client certificates",
        ),
        (
            'listeners.ssl.a.ssl_options.password = "abc"',
            "listeners.ssl.a.ssl_options.password",
            "",
        ),
        ("mqtt.max_packet_size = 65MB", "mqtt.max_packet_size", "memory"),
        ("mqtt.max_mqueue_len = infinity", "mqtt.max_mqueue_len", "memory"),
        ("mqtt.max_awaiting_rel = infinity", "mqtt.max_awaiting_rel", "memory"),
    ],
)
def test_risks(load: Load, text: str, path: str, risk: str) -> None:
    found = {finding.path: finding for finding in lint(load(STRICT + text).configuration)}
    assert path in found
    assert found[path].severity == "warning"
    assert risk in found[path].message
    assert found[path].cure


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('sni { "a.b" { certfile = c, keyfile = k } }', []),
        ('sni { "a.b" { certfile = c, keyfile = k, verify = verify_none } }',
         ["authentication", "listeners.ssl.a.ssl_options.sni"]),
        ('verify = verify_none, sni { "a.b" { certfile = c, keyfile = k, verify = verify_peer } }',
         ["authentication", "listeners.ssl.a.ssl_options.sni"]),
        ('verify = verify_none, sni { "a.b" { certfile = c, keyfile = k } }', ["authentication"]),
    ],
)  # fmt: skip
def test_names_that_demand_no_certificate(load: Load, text: str, paths: list[str]) -> None:
    more = f"listeners.ssl.a.ssl_options {{ {text} }}"
    assert [finding.path for finding in lint(load(STRICT + more).configuration)] == paths


def test_listeners_that_are_off_are_not_judged(load: Load) -> None:
    text = STRICT + "listeners.tcp.b { bind = 1883, enable = false }"
    assert lint(load(text).configuration) == []


def test_the_certificate_of_a_proxy_is_an_identity(load: Load) -> None:
    text = """
    listeners.tcp.b { proxy_protocol = on, peer_cert_as_username = cn, max_connections = 5 }
    """
    found = {finding.path for finding in lint(load(text).configuration)}
    assert "listeners.tcp.b.peer_cert_as_username" not in found


KEYS = """
psk_authentication { enable = true, init_file = keys }
listeners.ssl.a.ssl_options { verify = verify_none, versions = ["tlsv1.2"] }
"""
ONLY = "listeners.ssl.a.ssl_options.ciphers = PSK-AES128-GCM-SHA256"
BOTH = 'listeners.ssl.a.ssl_options.ciphers = "PSK-AES128-GCM-SHA256,AES128-SHA"'
NAMED = "mqtt.psk_identity_as_username = true"
LOCAL = 'listeners.tcp.b { bind = "127.0.0.1:1", max_connections = 1 }'


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (KEYS + ONLY, []),
        (ONLY, []),  # clients prove themselves by certificate
        (KEYS, ["authentication", "psk_authentication.enable"]),
        (
            KEYS + "psk_authentication.tls13 = true",
            ["authentication", "psk_authentication.enable"],
        ),
        (
            KEYS + "psk_authentication.tls13 = true\n"
            'listeners.ssl.a.ssl_options.versions = ["tlsv1.3"]',
            ["authentication"],
        ),
        (KEYS + BOTH, ["authentication"]),
        (f"{KEYS}{ONLY}\n{NAMED}", []),
        (f"{KEYS}{BOTH}\n{NAMED}", ["authentication", "mqtt.psk_identity_as_username"]),
        (f"{KEYS}{ONLY}\n{NAMED}\n{LOCAL}", ["authentication", "mqtt.psk_identity_as_username"]),
        (
            f"{KEYS}{ONLY}\n{LOCAL}\nlisteners.tcp.b.psk_identity_as_username = true",
            ["authentication", "listeners.tcp.b.psk_identity_as_username"],
        ),
        (
            f"{KEYS}{ONLY}\npsk_authentication.store_options = {{ a = 1 }}",
            ["psk_authentication.store_options"],
        ),
        (f"{KEYS}{ONLY}\npsk_authentication.store = acme", ["psk_authentication.init_file"]),
    ],
)
def test_pre_shared_keys(load: Load, text: str, paths: list[str]) -> None:
    findings = lint(load(STRICT + text).configuration)
    assert [finding.path for finding in findings] == paths
    assert all(finding.severity == "warning" for finding in findings)

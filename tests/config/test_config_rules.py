"""Rules between options, and options refused until a later version supports them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttd.config.errors import Finding
from mqttd.config.load import Loaded
from mqttd.config.proofs import is_psk_suite

Load = Callable[..., Loaded]
Errors = Callable[..., dict[str, Finding]]

SSL = "listeners.ssl.a.ssl_options"


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (
            f"{SSL}.fail_if_no_peer_cert = true",
            f"{SSL}.fail_if_no_peer_cert",
            "asks for no certificate",
        ),
        (f"{SSL}.verify = verify_peer", f"{SSL}.cacertfile", "needed by verify = verify_peer"),
        (f'{SSL} {{ verify = verify_peer, cacertfile = "" }}', f"{SSL}.cacertfile", "needed"),
        (f'{SSL}.keyfile = ""', f"{SSL}.keyfile", "is empty"),
        (f"{SSL}.versions = [tlsv1.3, tlsv1.1]", f"{SSL}.versions", "leaves a gap: tlsv1.2"),
        (f"{SSL}.versions = [tlsv1.2, tlsv1]", f"{SSL}.versions", "leaves a gap: tlsv1.1"),
        (f"{SSL}.versions = [sslv3, tlsv1.2, tls9]", f"{SSL}.versions", "version: sslv3, tls9"),
        (f"{SSL}.versions = []", f"{SSL}.versions", "no TLS version"),
        (f"{SSL}.verify = maybe", f"{SSL}.verify", "one of verify_none, verify_peer"),
        (f"{SSL}.handshake_timeout = 5", f"{SSL}.handshake_timeout", "at least 100ms"),
        (f"{SSL}.handshake_timeout = infinity", f"{SSL}.handshake_timeout", "infinite"),
        (
            'audit { enable = true, file = "./a" }\nlog.file { enable = true, path = "a" }',
            "audit.file",
            "is log.file.path as well",
        ),
        ("listeners.tcp.a.enable_authn = no", "listeners.tcp.a.enable_authn", "quick_deny_anon"),
        ("listeners.tcp.a.access_rules = []", "listeners.tcp.a.access_rules", "no rule"),
        (
            'listeners.tcp.a.access_rules = ["permit all", "allow 10.0.0.300", "deny all"]',
            "listeners.tcp.a.access_rules",
            "'allow 10.0.0.300' holds no IPv4 or IPv6 address",
        ),
        (
            'listeners.tcp.a.access_rules = "allow 10.0.0.0/255.0.0.0"',
            "listeners.tcp.a.access_rules",
            "invalid rule",
        ),
        ("listeners.tcp.a.max_connections = 0", "listeners.tcp.a.max_connections", "at least 1"),
        (
            "listeners.tcp.a.peer_cert_as_username = cn",
            "listeners.tcp.a.peer_cert_as_username",
            "never sees a client certificate",
        ),
        (
            "listeners.ws.a { proxy_protocol = on, peer_cert_as_clientid = md5 }",
            "listeners.ws.a.peer_cert_as_clientid",
            "never sees a client certificate",
        ),
        (
            "mqtt { use_username_as_clientid = true, peer_cert_as_clientid = cn }",
            "mqtt.use_username_as_clientid",
            "both replace",
        ),
        (
            "listeners.ws.a.websocket.mqtt_path = mqtt",
            "listeners.ws.a.websocket.mqtt_path",
            "path",
        ),
        (
            "listeners.ws.a.websocket.deflate_opts.level = 10",
            "listeners.ws.a.websocket.deflate_opts.level",
            "-1..9",
        ),
        ("mqtt.max_packet_size = 300MB", "mqtt.max_packet_size", "at most 268435460"),
        ("mqtt.max_inflight = 0", "mqtt.max_inflight", "within 1..65535"),
        ("mqtt.max_qos_allowed = 3", "mqtt.max_qos_allowed", "within 0..2"),
        ("mqtt.keepalive_multiplier = 0.5", "mqtt.keepalive_multiplier", "within 1..100"),
        ("mqtt.server_keepalive = never", "mqtt.server_keepalive", "whole number"),
    ],
)
def test_errors(errors: Errors, text: str, path: str, message: str) -> None:
    found = errors(text)
    assert set(found) == {path}
    assert message in found[path].message


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("${zone}/", "not supported"),
        ("${username/", "not closed"),
        ("dev/${clientid}", "no / follows"),
        ("${username}${clientid}/", "no / follows"),
        ("a/+/", "wildcards"),
        ("#", "wildcards"),
        ("$SYS/", "begin with $"),
    ],
)
def test_unsafe_mountpoints(errors: Errors, template: str, message: str) -> None:
    (finding,) = errors(f'listeners.tcp.a.mountpoint = "{template}"').values()
    assert message in finding.message


@pytest.mark.parametrize(
    "template", ["", "a/", "a", "${username}/", "a/${username}/b${clientid}/"]
)
def test_safe_mountpoints(load: Load, template: str) -> None:
    loaded = load(f'listeners.tcp.a.mountpoint = "{template}"')
    assert loaded.configuration.listeners.tcp["a"].mountpoint == template


def test_a_proxy_header_can_bring_the_certificates_name(load: Load) -> None:
    load("listeners.tcp.a { proxy_protocol = on, peer_cert_as_username = cn }")


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("8883", "8883", True),
        ("127.0.0.1:8883", "8883", True),
        ("8883", "127.0.0.1:8883", True),
        ('"[::1]:8883"', "::1:8883", True),
        ('"[::]:8883"', '"[::1]:8883"', True),
        ("127.0.0.1:8883", "127.0.0.2:8883", False),
        ("127.0.0.1:8883", '"[::1]:8883"', False),
        ("0.0.0.0:8883", '"[::]:8883"', False),
        ("8883", "8884", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_two_listeners_on_one_port(
    load: Load, errors: Errors, one: str, other: str, clash: bool
) -> None:
    text = f"listeners.tcp.a.bind = {one}\nlisteners.ssl.b.bind = {other}"
    if clash:
        found = errors(text)
        assert set(found) == {"listeners.ssl.b.bind"}
        assert "taken by listeners.tcp.a" in found["listeners.ssl.b.bind"].message
    else:
        load(text)
    load(f"{text}\nlisteners.ssl.b.enable = false")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("mqtt.exclusive_subscription = true", "mqtt.exclusive_subscription"),
        ("mqtt.upgrade_qos = true", "mqtt.upgrade_qos"),
        ("mqtt.mqueue_priorities { a = 1 }", "mqtt.mqueue_priorities"),
        (f"{SSL}.managed_certs {{ bundle_name = x }}", f"{SSL}.managed_certs"),
    ],
)
def test_not_supported_yet(errors: Errors, text: str, path: str) -> None:
    found = errors(text)
    assert set(found) == {path}
    assert "not supported yet by this version" in found[path].message
    assert found[path].cure


@pytest.mark.parametrize(
    "text",
    [
        'psk_authentication { enable = false, init_file = x, separator = ":", encoding = hex }',
        "authentication { enable = false, backend = http }",
        "authentication = []",
        "authorization { no_match = allow, deny_action = ignore, sources = [], cache {} }",
        "authorization.sources = [{ type = file, enable = off }]",
        "mqtt { exclusive_subscription = false, upgrade_qos = off, mqueue_priorities = disabled }",
        f"{SSL}.ocsp {{ enable_ocsp_stapling = false, issuer_pem = x, refresh_interval = 15m }}",
        f"{SSL} {{ enable_crl_check = false, partial_chain = false }}",
        f'{SSL}.ciphers = "PSK-AES256-GCM-SHA384,ECDHE-RSA-AES128-GCM-SHA256"',
        "crl_cache { refresh_interval = 15m, http_timeout = 15s, capacity = 100 }",
        "listeners.ssl.a { authentication = [], enable_authn = true }",
        "listeners.ssl.a.enable_authn = quick_deny_anonymous",
    ],
)
def test_what_is_switched_off_is_fine(load: Load, text: str) -> None:
    loaded = load(f"listeners.ws.x {{}}\n{text}")
    assert loaded.findings == []


def test_future_sections_are_checked_too(errors: Errors) -> None:
    found = errors(
        """
        psk_authentication { enable = false, chunk_size = 0, sepparator = ";" }
        crl_cache.refresh_interval = often
        """
    )
    assert set(found) == {
        "psk_authentication.chunk_size",
        "psk_authentication.sepparator",
        "crl_cache.refresh_interval",
    }


def test_psk_suites_by_name() -> None:
    for name in ("PSK-AES128-CBC-SHA", "RSA-PSK-RC4-SHA", "TLS_PSK_WITH_AES_128_CBC_SHA"):
        assert is_psk_suite(name)
    for name in ("TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"):
        assert not is_psk_suite(name)


def test_pre_shared_keys(errors: Errors) -> None:
    found = errors(
        f'''psk_authentication {{
          enable = true
          separator = ""
          identity_hint = "{"h" * 256}"
        }}'''
    )
    assert sorted(found) == [
        "psk_authentication.identity_hint",
        "psk_authentication.init_file",
        "psk_authentication.separator",
    ]


def test_another_store_needs_no_file(load: Load) -> None:
    load('psk_authentication { enable = true, store = acme, identity_hint = "mqttd" }')

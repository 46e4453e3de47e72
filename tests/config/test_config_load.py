"""A whole configuration: what it gives, and that every error is found in one run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.load import Loaded, load_configuration, load_text
from mqttd.config.schema import Configuration, SslOptions, TcpOptions, WebSocketOptions
from mqttd.config.types import Bind, Keepalive, Rate, Secret

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "etc" / "mqttd.conf"

Load = Callable[..., Loaded]
Errors = Callable[..., dict[str, Finding]]


def test_every_option_of_a_listener(load: Load, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2\n")
    listener = load(
        """
        listeners.wss.main-1 {
          enable = on
          bind = "[::1]:18084"
          max_connections = 512000
          max_conn_rate = "500/10s"
          mountpoint = "dev/${clientid}/"
          access_rules = ["deny 10.0.0.1", "ALLOW 10.0.0.0/8, allow ::1"]
          proxy_protocol = true
          proxy_protocol_timeout = 500ms
          peer_cert_as_username = CN
          peer_cert_as_clientid = san_uri
          enable_authn = false
          tcp_options {
            backlog = 5, nodelay = off, keepalive = "240,30,5", recbuf = 64KB, sndbuf = 128KB
            send_timeout = 5s, send_timeout_close = false, high_watermark = 2MB, buffer = 8KB
            reuseaddr = false, nolinger = true
          }
          ssl_options {
            keyfile = k.pem, certfile = c.pem, cacertfile = ca.pem, password = "file://pw"
            verify = verify_peer, fail_if_no_peer_cert = false, depth = 3
            versions = "tlsv1.2,tlsv1.3"
            ciphers = "TLS_AES_128_GCM_SHA256, ECDHE-RSA-AES128-GCM-SHA256"
            honor_cipher_order = false, dhfile = dh.pem, handshake_timeout = 5s
          }
          websocket {
            mqtt_path = "/x/[...]", mqtt_piggyback = single, compress = true, idle_timeout = 1m
            max_frame_size = 64KB, fail_if_no_subprotocol = false
            supported_subprotocols = "mqtt, mqtt-v5", check_origin_enable = true
            allow_origin_absence = false, check_origins = ["https://a.example"]
            proxy_address_header = x-forwarded-for, proxy_port_header = x-forwarded-port
            validate_utf8 = false
            deflate_opts { level = best_speed, mem_level = 9, client_max_window_bits = 8 }
          }
        }
        """
    ).configuration.listeners.wss["main-1"]
    assert listener.id == "wss:main-1"
    assert listener.path == "listeners.wss.main-1"
    assert listener.uses_tls
    assert listener.uses_websocket
    assert listener.bind == Bind("::1", 18084)
    assert listener.max_connections == 512000
    assert listener.max_conn_rate == Rate(500, 10)
    assert listener.mountpoint == "dev/${clientid}/"
    assert listener.access_rules == ["deny 10.0.0.1", "allow 10.0.0.0/8", "allow ::1"]
    assert listener.proxy_protocol
    assert listener.proxy_protocol_timeout == 0.5
    assert (listener.peer_cert_as_username, listener.peer_cert_as_clientid) == ("cn", "san_uri")
    assert listener.enable_authn is False
    assert listener.tcp_options == TcpOptions(
        backlog=5,
        nodelay=False,
        keepalive=Keepalive(240, 30, 5),
        recbuf=65536,
        sndbuf=131072,
        send_timeout=5.0,
        send_timeout_close=False,
        high_watermark=2 * 1024 * 1024,
        buffer=8192,
        reuseaddr=False,
        nolinger=True,
    )
    assert listener.ssl_options == SslOptions(
        keyfile="k.pem",
        certfile="c.pem",
        cacertfile="ca.pem",
        password=Secret("hunter2"),
        verify="verify_peer",
        fail_if_no_peer_cert=False,
        depth=3,
        versions=["tlsv1.3", "tlsv1.2"],
        ciphers=["TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
        honor_cipher_order=False,
        dhfile="dh.pem",
        handshake_timeout=5.0,
    )
    websocket = listener.websocket
    assert websocket is not None
    assert websocket.deflate_opts.level == 1
    assert websocket.deflate_opts.client_max_window_bits == 8
    assert attrs.evolve(websocket, deflate_opts=WebSocketOptions().deflate_opts) == (
        WebSocketOptions(
            mqtt_path="/x/[...]",
            mqtt_piggyback="single",
            compress=True,
            idle_timeout=60.0,
            max_frame_size=65536,
            fail_if_no_subprotocol=False,
            supported_subprotocols=["mqtt", "mqtt-v5"],
            check_origin_enable=True,
            allow_origin_absence=False,
            check_origins=["https://a.example"],
            proxy_address_header="x-forwarded-for",
            proxy_port_header="x-forwarded-port",
            validate_utf8=False,
        )
    )


def test_listeners_get_the_sections_and_address_of_their_type(load: Load) -> None:
    listeners = load(
        "listeners { tcp.a {}, ssl.b {}, ws.c {}, wss.d { enabled = false } }"
    ).configuration.listeners
    assert [(item.id, str(item.bind)) for item in listeners] == [
        ("tcp:a", "127.0.0.1:1883"),
        ("ssl:b", "0.0.0.0:8883"),
        ("ws:c", "127.0.0.1:8083"),
        ("wss:d", "0.0.0.0:8084"),
    ]
    assert [item.id for item in listeners.enabled()] == ["tcp:a", "ssl:b", "ws:c"]
    assert [item.ssl_options is not None for item in listeners] == [False, True, False, True]
    assert [item.websocket is not None for item in listeners] == [False, False, True, True]
    assert all(item.access_rules == ["allow all"] for item in listeners)


@pytest.mark.parametrize(
    ("text", "demanded"),
    [
        ("", False),
        ("fail_if_no_peer_cert = false", False),
        ("verify = verify_peer, cacertfile = x", True),
        ("verify = verify_peer, cacertfile = x, fail_if_no_peer_cert = true", True),
        ("verify = verify_peer, cacertfile = x, fail_if_no_peer_cert = false", False),
    ],
)
def test_verify_peer_demands_a_certificate_unless_told(
    load: Load, text: str, demanded: bool
) -> None:
    loaded = load(f"listeners.ssl.a.ssl_options {{ {text} }}")
    options = loaded.configuration.listeners.ssl["a"].ssl_options
    assert options is not None
    assert options.requires_peer_cert is demanded


def test_the_mqtt_section(load: Load) -> None:
    mqtt = load(
        """
        mqtt {
          max_packet_size = 2MB, server_keepalive = 60, max_awaiting_rel = infinity
          max_subscriptions = 10, max_mqueue_len = infinity, session_expiry_interval = infinity
          message_expiry_interval = 1d, mqueue_drop_policy = newest, keepalive_multiplier = 2
          peer_cert_as_username = dn, response_information = "resp/"
        }
        """
    ).configuration.mqtt
    assert mqtt.max_packet_size == 2 * 1024 * 1024
    assert mqtt.server_keepalive == 60
    assert mqtt.max_awaiting_rel is None
    assert mqtt.max_subscriptions == 10
    assert mqtt.max_mqueue_len is None
    assert mqtt.session_expiry_interval == math.inf
    assert mqtt.message_expiry_interval == 86400
    assert mqtt.mqueue_drop_policy == "newest"
    assert mqtt.keepalive_multiplier == 2.0
    assert mqtt.peer_cert_as_username == "dn"
    assert mqtt.response_information == "resp/"
    assert load("mqtt.server_keepalive = disabled").configuration.mqtt.server_keepalive is None


def test_log_levels_have_one_name_each(load: Load) -> None:
    for written, level in (("notice", "info"), ("WARN", "warning"), ("emergency", "critical")):
        assert load(f"log.console.level = {written}").configuration.log.console.level == level


def test_the_sys_topics_section(load: Load) -> None:
    assert load("sys_topics.sys_msg_interval = 1m").configuration.sys_topics.enabled
    assert not load("sys_topics.sys_msg_interval = infinity").configuration.sys_topics.enabled


def test_an_empty_file_has_the_defaults_and_a_warning(load: Load) -> None:
    loaded = load("")
    assert loaded.configuration == Configuration()
    (finding,) = loaded.findings
    assert (finding.severity, finding.path) == ("warning", "listeners")


def test_every_error_is_found_in_one_run(errors: Errors) -> None:
    found = errors(
        """
        listeners.ssl.default {
          bind = "localhost:8883"
          ssl_options { verfy = verify_peer, versions = [tlsv1.3, tlsv1.1], depth = -3 }
          tcp_options.backlog = many
          websocket {}
        }
        listeners.tcp.a { ssl_options.keyfile = x, keyfile = y }
        listeners.tcp.b.max_conn_rate = "0/s"
        listeners.tls.x {}
        listeners.ws = 3
        listeners.wss { "a b" {} }
        liseners {}
        node.name = x
        mqtt { max_qos_allowed = 3, foo = 1 }
        mqtt.exclusive_subscription = true
        log.console = on
        log.file.level = loud
        authorization { no_match = deny, sources = [{ typ = file }] }
        """
    )
    assert set(found) == {
        "listeners.ssl.default.bind",
        "listeners.ssl.default.ssl_options.verfy",
        "listeners.ssl.default.ssl_options.versions",
        "listeners.ssl.default.ssl_options.depth",
        "listeners.ssl.default.tcp_options.backlog",
        "listeners.ssl.default.websocket",
        "listeners.tcp.a.ssl_options",
        "listeners.tcp.a.keyfile",
        "listeners.tcp.b.max_conn_rate",
        "listeners.tls",
        "listeners.ws",
        "listeners.wss.a b",
        "liseners",
        "node",
        "mqtt.max_qos_allowed",
        "mqtt.foo",
        "mqtt.exclusive_subscription",
        "log.console",
        "log.file.level",
        "authorization.sources.type",
    }
    assert found["listeners.ssl.default.bind"].origin == "mqttd.conf:3"
    assert found["mqtt.foo"].origin == "mqttd.conf:15"


@pytest.mark.parametrize(
    ("text", "path", "cure"),
    [
        (
            "listeners.ssl.default.ssl_options.verfy = verify_peer",
            "listeners.ssl.default.ssl_options.verfy",
            "did you mean listeners.ssl.default.ssl_options.verify?",
        ),
        ("listner.ssl {}", "listner", "did you mean listeners?"),
        ("listeners.sll.a {}", "listeners.sll", "did you mean listeners.ssl?"),
        ("listeners.tcp.a.bnd = 1", "listeners.tcp.a.bnd", "did you mean listeners.tcp.a.bind?"),
        (
            "listeners.ssl.a.keyfile = x",
            "listeners.ssl.a.keyfile",
            "did you mean listeners.ssl.a.ssl_options.keyfile?",
        ),
        ("mqtt.MaxInflight = 3", "mqtt.MaxInflight", "did you mean mqtt.max_inflight?"),
        ("log.syslog {}", "log.syslog", "known here: console, file"),
        ("dashboard {}", "dashboard", "remove it"),
        ("listeners.quic.a {}", "listeners.quic", "remove it"),
        ("listeners.tcp.a.subscribe_rate = 1", "listeners.tcp.a.subscribe_rate", "remove it"),
        ("listeners.tcp.a.type = ssl", "listeners.tcp.a.type", "remove it"),
    ],
)
def test_unknown_options_have_a_cure(errors: Errors, text: str, path: str, cure: str) -> None:
    found = errors(text)
    assert set(found) == {path}
    assert cure in found[path].cure


def test_sections_of_emqx_are_named_as_such(errors: Errors) -> None:
    assert "section of EMQX's" in errors("node.name = a")["node"].message
    assert "option of EMQX's" in errors("listeners.quic.a {}")["listeners.quic"].message


def test_values_that_are_no_sections(errors: Errors) -> None:
    for text in ("listeners = 3", "mqtt = [1]", "log = off", "listeners.tcp.a = 1"):
        (finding,) = errors(text).values()
        assert "expects a section" in finding.message


def test_a_misread_option_hides_rules_that_need_it(errors: Errors) -> None:
    text = "listeners.ssl.a.ssl_options { verify = verify_peer, cacertfil = x }"
    assert set(errors(text)) == {"listeners.ssl.a.ssl_options.cacertfil"}


@pytest.mark.parametrize(
    "option",
    [
        "listeners.ssl.a.acceptors = 4",
        "listeners.ssl.a.zone = default",
        "listeners.ssl.a.parse_unit = frame",
        "listeners.tcp.a.tcp_backend = socket",
        "listeners.ssl.a.tcp_options.active_n = 100",
        "listeners.ssl.a.ssl_options.hibernate_after = 5s",
        "listeners.ssl.a.ssl_options.log_level = notice",
        "listeners.ssl.a.ssl_options.gc_after_handshake = true",
        "listeners.ssl.a.ssl_options.reuse_sessions = true",
        "listeners.ssl.a.ssl_options.secure_renegotiate = true",
        "listeners.ssl.a.ssl_options.client_renegotiation = true",
        "listeners.ssl.a.ssl_options.session_tickets = stateless",
        "mqtt.retry_interval = 30s",
        "mqtt.mqueue_default_priority = lowest",
        "sys_topics.sys_heartbeat_interval = 30s",
        "log.console.time_offset = system",
    ],
)
def test_options_without_effect_are_named(load: Load, option: str) -> None:
    path = option.partition(" ")[0]
    found = load(f"listeners.ws.x {{}}\n{option}").findings
    assert [(finding.severity, finding.path) for finding in found] == [("warning", path)]
    assert "has no effect" in found[0].message
    assert found[0].origin == "mqttd.conf:2"


def test_a_secret_is_in_no_finding_and_no_repr(tmp_path: Path) -> None:
    text = """
    listeners.ssl.a.ssl_options { password = "hunter2", keyfile = ${key}, depth = x }
    key = "-----BEGIN PRIVATE KEY----- hunter2"
    authentication = [{ mechanism = theirs, password = hunter2, enable = false }]
    """
    with pytest.raises(ConfigurationErrors) as caught:
        load_text(text)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.findings)
    text = text.replace(", depth = x", "").replace("${key}", '"-----BEGIN KEY hunter2"')
    loaded = load_text(text.replace("key = ", "# "))
    assert "hunter2" not in repr(loaded)


def test_relative_paths_start_where_the_process_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "etc" / "mqttd.conf"
    path.parent.mkdir()
    path.write_text("listeners.tcp.a {}")
    monkeypatch.chdir(tmp_path)
    loaded = load_configuration("etc/mqttd.conf", {})
    assert loaded.base_dir == tmp_path
    assert loaded.path == Path("etc/mqttd.conf")
    assert load_configuration(path, {}, base_dir="/srv").base_dir == Path("/srv")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationErrors, match="No such file"):
        load_configuration(tmp_path / "none.conf", {})


def test_the_shipped_file() -> None:
    loaded = load_configuration(SHIPPED, {})
    assert loaded.findings == []
    listeners = loaded.configuration.listeners
    assert [(item.id, str(item.bind), item.enable) for item in listeners] == [
        ("tcp:default", "127.0.0.1:1883", True),
        ("ssl:default", "0.0.0.0:8883", True),
        ("ws:default", "127.0.0.1:8083", True),
        ("wss:default", "0.0.0.0:8084", True),
    ]
    for item in listeners:
        assert item.access_rules == ["allow all"]
        if item.ssl_options is not None:
            options = item.ssl_options
            assert options.keyfile == "etc/certs/key.pem"
            assert options.certfile == "etc/certs/cert.pem"
            assert options.cacertfile == "etc/certs/cacert.pem"
    assert loaded.configuration.log.console.level == "info"
    assert attrs.evolve(loaded.configuration, listeners=Configuration().listeners) == (
        Configuration()
    )


def test_the_comments_of_the_shipped_file_are_the_defaults() -> None:
    plain = load_configuration(SHIPPED, {}).configuration
    text, count = re.subn(r"(?m)^( *)# (?=\w+ = )", r"\1", SHIPPED.read_text())
    assert count > 60
    assert load_text(text).configuration == plain


def test_the_shipped_file_leaves_no_working_option_out() -> None:
    text = SHIPPED.read_text()
    mqtt = {field.name for field in attrs.fields(type(Configuration().mqtt))}
    unsupported = {
        "exclusive_subscription",
        "upgrade_qos",
        "mqueue_priorities",
        "mqueue_default_priority",
        "retry_interval",
    }
    assert {name for name in mqtt if f" {name} = " not in text} == unsupported

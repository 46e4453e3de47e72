"""The flat listener lines of EMQ X 4."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mqttd.config.errors import Finding
from mqttd.config.load import Loaded, load_configuration
from mqttd.config.types import Bind, Rate

Load = Callable[..., Loaded]
Errors = Callable[..., dict[str, Finding]]

EVERY_KEY = """\
## listener.ssl.$name is the IP address and port that the MQTT/SSL
## Value: IP:Port | Port
listener.ssl.external = 0.0.0.0:18883
listener.ssl.external.max_connections = 102400
listener.ssl.external.max_conn_rate = 500
listener.ssl.external.access.2 = allow all
listener.ssl.external.access.1 = deny 10.0.0.1
listener.ssl.external.mountpoint = device/%c/
listener.ssl.external.proxy_protocol = on
listener.ssl.external.proxy_protocol_timeout = 5s
listener.ssl.external.peer_cert_as_username = cn
listener.ssl.external.peer_cert_as_clientid = cn
listener.ssl.external.tls_versions = tlsv1.2,tlsv1.1,tlsv1
listener.ssl.external.ciphers = ECDHE-RSA-AES128-GCM-SHA256,AES128-SHA
listener.ssl.external.handshake_timeout = 10s
listener.ssl.external.depth = 3
listener.ssl.external.key_password = hunter2
listener.ssl.external.keyfile = etc/certs/key.pem
listener.ssl.external.certfile = etc/certs/cert.pem ## the certificate
listener.ssl.external.cacertfile = "etc/certs/ca cert.pem"
listener.ssl.external.dhfile = etc/certs/dh.pem
listener.ssl.external.verify = verify_peer
listener.ssl.external.fail_if_no_peer_cert = true
listener.ssl.external.honor_cipher_order = on
listener.ssl.external.backlog = 512
listener.ssl.external.send_timeout = 10s
listener.ssl.external.recbuf = 4KB
listener.ssl.external.sndbuf = 8KB
listener.ssl.external.nodelay = true
"""


def test_every_key(load: Load) -> None:
    loaded = load(EVERY_KEY)
    listener = loaded.configuration.listeners.ssl["external"]
    assert listener.bind == Bind("0.0.0.0", 18883)
    assert listener.max_connections == 102400
    assert listener.max_conn_rate == Rate(500, 1)
    assert listener.access_rules == ["deny 10.0.0.1", "allow all"]
    assert listener.mountpoint == "device/${clientid}/"
    assert listener.proxy_protocol
    assert listener.proxy_protocol_timeout == 5.0
    assert (listener.peer_cert_as_username, listener.peer_cert_as_clientid) == ("cn", "cn")
    tcp = listener.tcp_options
    assert (tcp.backlog, tcp.send_timeout, tcp.recbuf, tcp.sndbuf) == (512, 10.0, 4096, 8192)
    tls = listener.ssl_options
    assert tls is not None
    assert tls.versions == ["tlsv1.2", "tlsv1.1", "tlsv1"]
    assert tls.ciphers == ["ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"]
    assert (tls.handshake_timeout, tls.depth, tls.dhfile) == (10.0, 3, "etc/certs/dh.pem")
    assert tls.password is not None
    assert tls.password.reveal() == "hunter2"
    assert tls.keyfile == "etc/certs/key.pem"
    assert tls.certfile == "etc/certs/cert.pem"
    assert tls.cacertfile == "etc/certs/ca cert.pem"
    assert tls.verify == "verify_peer"
    assert tls.fail_if_no_peer_cert is True


def test_one_notice_names_the_new_keys(load: Load) -> None:
    (finding,) = load(EVERY_KEY).findings
    assert (finding.severity, finding.path) == ("notice", "listeners.ssl.external")
    assert "EMQ X 4" in finding.message
    assert "bind = ..., max_connections = ..." in finding.cure
    assert "ssl_options.versions = ..." in finding.cure
    assert "hunter2" not in str(finding)
    assert finding.origin == "mqttd.conf:3"


@pytest.mark.parametrize("kind", ["tcp", "ws", "wss"])
def test_the_other_types(load: Load, kind: str) -> None:
    loaded = load(f"listener.{kind}.external = 1\nlistener.{kind}.internal = 127.0.0.1:2")
    listeners = {listener.id: listener.bind for listener in loaded.configuration.listeners}
    assert listeners == {
        f"{kind}:external": Bind("0.0.0.0", 1),
        f"{kind}:internal": Bind("127.0.0.1", 2),
    }


def test_websocket_keys(load: Load) -> None:
    listener = load(
        "listener.ws.external = 8083\n"
        "listener.ws.external.mqtt_path = /mqtt5\n"
        "listener.ws.external.supported_subprotocols = mqtt, mqtt-v3\n"
        "listener.ws.external.fail_if_no_subprotocol = false\n"
    ).configuration.listeners.ws["external"]
    assert listener.websocket is not None
    assert listener.websocket.mqtt_path == "/mqtt5"
    assert listener.websocket.supported_subprotocols == ["mqtt", "mqtt-v3"]
    assert not listener.websocket.fail_if_no_subprotocol


def test_beside_the_new_form(load: Load) -> None:
    loaded = load(
        "listener.ssl.a = 8883\nlisteners.ssl.a.depth_ignored = null\nlisteners.tcp.b {}"
    )
    assert [item.id for item in loaded.configuration.listeners] == ["tcp:b", "ssl:a"]


@pytest.mark.parametrize(
    ("line", "path", "message"),
    [
        ("listener.ssl.a.frobnicate = 1", "listener.ssl.a.frobnicate", "has no meaning"),
        ("listener.tcp.a.keyfile = x", "listener.tcp.a.keyfile", "no meaning on tcp listeners"),
        ("listener.quic.a = 1", "listener.quic.a", "no 'quic' listeners"),
        ("listener.ssl = 1", "listener.ssl", "names no listener"),
        ("listener.ssl.a.access.x = allow all", "listener.ssl.a.access.x", "has no meaning"),
        ("listeners.ssl.a.bind = 1\nlistener.ssl.a = 2", "listener.ssl.a", "given twice"),
        ("listener.ssl.a = 1\nlistener.ssl.a = 2", "listener.ssl.a", "given twice"),
        ("listeners.ssl = 3\nlistener.ssl.a = 2", "listener.ssl.a", "given twice"),
    ],
)
def test_errors_by_name(errors: Errors, line: str, path: str, message: str) -> None:
    found = errors(line)
    assert path in found
    assert message in found[path].message
    assert found[path].origin.startswith("mqttd.conf:")


def test_a_bad_value_is_named_by_both_forms(errors: Errors) -> None:
    found = errors("\nlistener.ssl.a.handshake_timeout = soon")
    finding = found["listeners.ssl.a.ssl_options.handshake_timeout"]
    assert finding.origin == "mqttd.conf:2, listener.ssl.a.handshake_timeout"


def test_psk_ciphers_are_ciphers(load: Load) -> None:
    loaded = load("listener.ssl.a = 1\nlistener.ssl.a.psk_ciphers = PSK-AES128-CBC-SHA")
    options = loaded.configuration.listeners.ssl["a"].ssl_options
    assert options is not None
    assert options.ciphers == ["PSK-AES128-CBC-SHA"]


def test_the_file_of_keys(load: Load) -> None:
    loaded = load("psk.file.path = etc/psk.txt\r\npsk.file.delimiter = :\n")
    psk = loaded.configuration.psk_authentication
    assert (psk.enable, psk.init_file, psk.separator) == (True, "etc/psk.txt", ":")
    (finding,) = [each for each in loaded.findings if each.path == "psk_authentication"]
    assert (finding.severity, finding.origin) == ("notice", "mqttd.conf:1")
    loaded = load("psk.file.path = a\npsk_authentication.enable = false")
    assert not loaded.configuration.psk_authentication.enable


def test_the_file_of_keys_wrongly(errors: Errors) -> None:
    found = errors("psk.file.path = a\npsk.file.pass = b\npsk_authentication.init_file = c")
    assert "is given twice" in found["psk.file.path"].message
    assert found["psk.file.pass"].cure == "write psk.file.path or psk.file.delimiter"


def test_lines_of_included_files(tmp_path: Path) -> None:
    (tmp_path / "listeners.conf").write_text(
        "listener.tcp.a = 1\r\nlistener.tcp.a.backlog = 7\r\n"
    )
    main = tmp_path / "emqx.conf"
    main.write_text('include "listeners.conf"\n')
    loaded = load_configuration(main, {})
    assert loaded.configuration.listeners.tcp["a"].tcp_options.backlog == 7
    assert len(loaded.findings) == 1

"""Certificates that end soon, as the operator of a running broker sees them."""

from __future__ import annotations

import datetime
import signal
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

CONFIG = """
listeners.tcp.default { bind = "127.0.0.1:0" }
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options { keyfile = key.pem, certfile = cert.pem, cacertfile = ca.pem, verify = verify_peer }
}
reload_interval = 0s
sys_topics.sys_msg_interval = 200ms
"""


def test_lines_and_the_figure(
    pki: Any, make_root: Any, start_broker: Any, dial: Any, tmp_path: Any
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    soon = pki.intermediate.issue(end=now + datetime.timedelta(days=10, hours=1))
    authority = make_root("Old Root", end=now + datetime.timedelta(hours=20))
    (tmp_path / "key.pem").write_text(soon.key_pem)
    (tmp_path / "cert.pem").write_text(soon.chain_pem)
    (tmp_path / "ca.pem").write_bytes(authority.cert.public_bytes(Encoding.PEM))
    broker = start_broker(CONFIG, tmp_path)
    broker.wait_for("ssl:default: the server certificate CN=localhost expires in 10 days")
    broker.wait_for("ssl:default: the authority of clients CN=Old Root expires in 19 hours")

    client = dial(broker.ports["tcp:default"])
    assert client.ask() == b"\x20\x02\x00\x00"
    topic = b"$SYS/broker/certificates/ssl:default/days_left"
    client.subscribe(topic)
    head = client.read(4)
    assert head[0] & 0xF0 == 0x30
    assert client.read(head[1] - 2) == topic + b"10"

    renewed = pki.intermediate.issue(end=now + datetime.timedelta(days=80, hours=1))
    (tmp_path / "key.pem").write_text(renewed.key_pem)
    (tmp_path / "cert.pem").write_text(renewed.chain_pem)
    broker.lines.clear()
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("reload (SIGHUP)")
    head = client.read(4)
    assert head[0] & 0xF0 == 0x30
    # the issuers that are sent with it count too, and the first to end is shown
    left = int(client.read(head[1] - 2).removeprefix(topic))
    assert left == 80
    assert not any("expires in" in line for line in broker.lines)

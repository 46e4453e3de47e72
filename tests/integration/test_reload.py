"""Reload of a running broker: all or nothing, and nobody who is connected notices."""

from __future__ import annotations

import shutil
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

CONFIG = """
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options { keyfile = "key.pem", certfile = "cert.pem" }
}
listeners.tcp.default { bind = "127.0.0.1:0" }
reload_interval = 0s
log.console.level = info
"""
PING = b"\xc0\x00"
PONG = b"\xd0\x00"


@attrs.define
class Site:
    """A broker, the files it reads, and what a client trusts."""

    folder: Path
    pki: Any
    broker: Any
    dial: Any

    @property
    def config(self) -> Path:
        return self.folder / "mqttd.conf"

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "root.pem"))

    def connect(self, listener: str = "ssl:default", **options: Any) -> Any:
        context = self.context() if listener.startswith("ssl") else None
        return self.dial(self.broker.ports[listener], context, **options)

    def serial(self) -> int:
        """Of the certificate that a new client is shown."""
        client = self.connect()
        return int(client.socket.getpeercert()["serialNumber"], 16)

    def reload(self, text: str = "reload (SIGHUP)") -> str:
        """Send SIGHUP; the line that says how it went."""
        self.broker.lines.clear()
        self.broker.process.send_signal(signal.SIGHUP)
        line: str = self.broker.wait_for(text)
        return line

    def put(self, issued: Any) -> None:
        """The two files of a certificate, one after the other."""
        (self.folder / "key.pem").write_text(issued.key_pem)
        (self.folder / "cert.pem").write_text(issued.chain_pem)


@pytest.fixture(scope="module")
def make_site(
    pki: Any, start_broker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    def make(config: str = CONFIG, **files: str) -> tuple[Path, Any]:
        folder = tmp_path_factory.mktemp("site")
        (folder / "key.pem").write_text(pki.ec.key_pem)
        (folder / "cert.pem").write_text(pki.ec.chain_pem)
        root = pki.root.cert.public_bytes(serialization()).decode()
        (folder / "root.pem").write_text(root)
        for name, text in files.items():
            (folder / f"{name}.pem").write_text(text)
        return folder, start_broker(config, folder)

    return make


def serialization() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.PEM


@pytest.fixture(scope="module")
def shared(make_site: Callable[..., Any]) -> Any:
    return make_site()


@pytest.fixture
def site(shared: Any, pki: Any, dial: Any) -> Iterator[Site]:
    """One broker for many tests; each finds and leaves it with the first configuration."""
    folder, broker = shared
    made = Site(folder, pki, broker, dial)
    yield made
    made.put(pki.ec)
    if made.config.read_text() != CONFIG:
        made.config.write_text(CONFIG)
    made.reload()


def test_nothing_changed(site: Site) -> None:
    assert site.reload().endswith("nothing has changed")


def test_a_new_pair_is_shown_to_new_clients_and_old_ones_stay(site: Site, run: Any) -> None:
    old = site.connect()
    assert old.ask() == b"\x20\x02\x00\x00"
    assert site.serial() == site.pki.ec.cert.serial_number
    renewed = site.pki.intermediate.issue()
    site.put(renewed)
    assert "cert.pem, key.pem" in site.reload() or "key.pem, cert.pem" in site.broker.lines[-1]
    shown = run(
        "openssl", "s_client", "-connect", f"127.0.0.1:{site.broker.ports['ssl:default']}",
        "-CAfile", site.folder / "root.pem", "-verify_return_error",
    )  # fmt: skip
    assert shown.status == 0
    assert site.serial() == renewed.cert.serial_number
    assert old.ask(PING, 2) == PONG


def test_what_is_broken_changes_nothing_under_load(site: Site, packet: Any) -> None:
    """Garbage, a pair that does not match, half a file, no file: no handshake fails meanwhile."""
    old = site.connect()
    assert old.ask(packet("old")) == b"\x20\x02\x00\x00"
    stop = threading.Event()
    results: list[object] = []

    def load(number: int) -> None:
        context = site.context()
        while not stop.is_set():
            try:
                client = site.dial(site.broker.ports["ssl:default"], context)
                results.append(client.ask(packet(f"load-{number}")))
                client.socket.close()
            except Exception as problem:
                results.append(problem)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    other = site.pki.intermediate.issue()
    whole = site.pki.ec.chain_pem
    key, cert = site.folder / "key.pem", site.folder / "cert.pem"
    try:
        for path, text in (
            (cert, "garbage"),
            (cert, other.chain_pem),
            (cert, whole[: len(whole) // 3]),
            (cert, None),
            (key, ""),
            (key, other.key_pem),
        ):
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
            assert "changed nothing" in site.reload()
            assert any("reload refused: " in line for line in site.broker.lines)
            site.put(site.pki.ec)
            assert "nothing has changed" in site.reload()
        site.put(other)
        assert "key.pem" in site.reload()
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert set(results) == {b"\x20\x02\x00\x00"}
    assert len(results) > 20
    assert old.ask(PING, 2) == PONG
    assert site.serial() == other.cert.serial_number
    assert not any("PRIVATE" in line for line in site.broker.lines)


def test_an_error_in_the_configuration_keeps_the_old_one(site: Site) -> None:
    with site.config.open("a") as config:
        config.write("listeners.tcp.new.bind = 0\nmqtt.max_inflight = none\nnonsense {")
    assert "changed nothing" in site.reload()
    assert any("mqttd.conf:" in line and "refused" in line for line in site.broker.lines)
    assert site.connect("tcp:default").ask() == b"\x20\x02\x00\x00"
    assert "tcp:new" not in site.broker.ports


def test_a_changed_bind_moves_only_that_listener(site: Site, packet: Any) -> None:
    old_ports = dict(site.broker.ports)
    old = site.connect("tcp:default")
    assert old.ask(packet("old")) == b"\x20\x02\x00\x00"
    text = CONFIG.replace('tcp.default { bind = "127.0.0.1:0"', 'tcp.default { bind = "[::1]:0"')
    site.config.write_text(text)
    assert "listeners.tcp.default.bind" in site.reload()
    assert site.broker.ports["tcp:default"] != old_ports["tcp:default"]
    assert site.broker.ports["ssl:default"] == old_ports["ssl:default"]
    assert site.connect("tcp:default", host="::1").ask() == b"\x20\x02\x00\x00"
    assert site.connect().ask() == b"\x20\x02\x00\x00"
    assert old.ask(PING, 2) == PONG
    with pytest.raises(ConnectionRefusedError):
        site.dial(old_ports["tcp:default"])


def test_a_port_that_cannot_be_opened_changes_nothing(site: Site) -> None:
    busy = site.broker.ports["ssl:default"]
    text = CONFIG.replace(
        'tcp.default { bind = "127.0.0.1:0"', f'tcp.default {{ bind = "127.0.0.1:{busy}"'
    )
    site.config.write_text(text + "listeners.ws.new.bind = 127.0.0.1:0\nmqtt.max_qos_allowed = 0")
    assert "changed nothing" in site.reload()
    line = f"tcp:default: cannot listen on 127.0.0.1:{busy}: the port is in use"
    assert any(line in each for each in site.broker.lines)
    assert site.connect("tcp:default").ask() == b"\x20\x02\x00\x00"


def test_one_address_becomes_all_addresses_of_the_same_port(site: Site) -> None:
    """The two cannot be open beside each other."""
    port = site.broker.ports["tcp:default"]
    for host in ("0.0.0.0", "127.0.0.1"):
        site.config.write_text(
            CONFIG.replace(
                'tcp.default { bind = "127.0.0.1:0"', f'tcp.default {{ bind = "{host}:{port}"'
            )
        )
        assert "listeners.tcp.default.bind" in site.reload()
        site.broker.wait_for(f"tcp:default listening on {host}:{port}")
        assert site.connect("tcp:default").ask() == b"\x20\x02\x00\x00"
    # what does not work is undone: the port is open again
    busy = site.broker.ports["ssl:default"]
    site.config.write_text(
        CONFIG.replace(
            'tcp.default { bind = "127.0.0.1:0"', f'tcp.default {{ bind = "0.0.0.0:{port}"'
        )
        + f'listeners.ws.new.bind = "127.0.0.1:{busy}"'
    )
    assert "changed nothing" in site.reload()
    assert site.connect("tcp:default").ask() == b"\x20\x02\x00\x00"


def test_listeners_come_and_go(site: Site, packet: Any) -> None:
    site.config.write_text(CONFIG + 'listeners.tcp.new.bind = "127.0.0.1:0"\n')
    assert "listeners.tcp.new" in site.reload()
    client = site.connect("tcp:new")
    connack = client.ask(packet("new", level=5), 2)
    client.read(connack[1])
    site.config.write_text(CONFIG + 'listeners.tcp.new { enable = false, bind = "127.0.0.1:0" }')
    site.reload()
    goodbye = client.read(100)
    assert goodbye[:1] == b"\xe0"
    assert goodbye[2] == 0x98
    with pytest.raises(ConnectionRefusedError):
        site.connect("tcp:new")


def test_options_that_change_live(site: Site, packet: Any) -> None:
    old = site.connect("tcp:default")
    assert old.ask(packet("old")) == b"\x20\x02\x00\x00"
    site.config.write_text(
        CONFIG
        + """
        listeners.tcp.default { access_rules = ["deny 127.0.0.1", "allow all"] }
        listeners.ssl.default { mountpoint = "here/" }
        mqtt.max_mqueue_len = 7
        """
    )
    assert "listeners.tcp.default.access_rules" in site.reload()
    site.broker.wait_for("needs a restart: mqtt.max_mqueue_len")
    assert site.connect("tcp:default").ask() == b""
    assert old.subscribe(b"here/#") == b"\x90\x03\x00\x01\x01"
    new = site.connect()
    assert new.ask(packet("new")) == b"\x20\x02\x00\x00"
    assert new.publish(b"t", b"1") == b"\x40\x02\x00\x07"
    assert b"here/t" in old.read(10)


def test_the_level_of_the_log_reaches_open_connections(site: Site) -> None:
    old = site.connect("tcp:default")
    assert old.ask() == b"\x20\x02\x00\x00"
    site.config.write_text(CONFIG.replace("level = info", "level = debug"))
    assert "log.console.level" in site.reload()
    assert old.ask(PING, 2) == PONG
    site.broker.wait_for("RECV PINGREQ")


def test_changed_files_are_found_without_being_told(
    make_site: Callable[..., Any], pki: Any, dial: Any
) -> None:
    folder, broker = make_site(CONFIG.replace("reload_interval = 0s", "reload_interval = 1s"))
    site = Site(folder, pki, broker, dial)
    renewed = pki.intermediate.issue()
    (folder / "cert.pem").write_text(renewed.chain_pem)
    broker.wait_for("reload (files changed) changed nothing")
    assert site.serial() == pki.ec.cert.serial_number
    shutil.copy(folder / "key.pem", folder / "new")
    (folder / "new").write_text(renewed.key_pem)
    (folder / "new").replace(folder / "key.pem")
    broker.wait_for("reload (files changed): ")
    assert site.serial() == renewed.cert.serial_number
    refusals = [line for line in broker.lines if "changed nothing" in line]
    assert len(refusals) == 1  # said once, not at each look


def test_sigusr1_opens_the_log_anew(make_site: Callable[..., Any]) -> None:
    folder, broker = make_site(CONFIG + "log.file { enable = true, path = broker.log }")
    (folder / "broker.log").rename(folder / "old.log")
    broker.process.send_signal(signal.SIGUSR1)
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_for("reload (SIGHUP)")
    assert "reload (SIGHUP)" in (folder / "broker.log").read_text()
    assert "mqttd is ready" in (folder / "old.log").read_text()

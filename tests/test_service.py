"""The broker as a service: ports all or none, an orderly stop, and what it says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import load_text
from mqttd.packets.connect import Connect
from mqttd.packets.encode import encode
from mqttd.service import STOP_TIME, BrokerService
from mqttd.startup import StartupError, prepare


class Reactor(Clock):
    """A clock, and the readers that ports put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:  # noqa: N802 - Twisted's names
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:  # noqa: N802
        if reader in self.readers:
            self.readers.remove(reader)

    def removeWriter(self, writer: Any) -> None:  # noqa: N802
        pass


class Socket(StringTransport):
    """An accepted socket in memory."""

    bufferSize = 65536  # noqa: N815 - Twisted's name
    dataBuffer = b""  # noqa: N815
    offset = 0
    _tempDataLen = 0  # noqa: N815
    write_closed = aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        pass

    def getHandle(self) -> None:  # noqa: N802
        pass

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.write_closed = True

    def abortConnection(self) -> None:  # noqa: N802
        self.aborted = True


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reactor = Reactor()
        self.events: list[Any] = []
        self.services: list[BrokerService] = []

    def service(self, text: str, **options: Any) -> BrokerService:
        loaded = load_text(text, base_dir=self.folder)
        notices, findings = prepare(loaded)
        options = {"notices": notices, "findings": findings, **options}
        self.services.append(BrokerService(loaded, reactor=self.reactor, **options))
        return self.services[-1]

    def client(self, service: BrokerService, level: int = 5) -> tuple[Any, Socket]:
        """A connected client."""
        address = IPv4Address("TCP", "192.0.2.1", 7)
        wire: Any = Socket(peerAddress=address, hostAddress=IPv4Address("TCP", "127.0.0.1", 1883))
        protocol: Any = service.listeners[0].factory.buildProtocol(address)
        protocol.makeConnection(wire)
        protocol.dataReceived(encode(Connect(f"c{level}", level), level))
        self.reactor.advance(0)
        wire.clear()
        return protocol, wire

    def lines(self) -> list[str]:
        return [formatEvent(event) for event in self.events]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    observer = cast("ILogObserver", made.events.append)
    globalLogPublisher.addObserver(observer)
    yield made
    globalLogPublisher.removeObserver(observer)
    for service in made.services:
        for listener in service.listeners:
            listener.close()
    made.reactor.advance(0)


TWO = 'listeners.tcp.a.bind = "127.0.0.1:0"\nlisteners.ws.b.bind = "127.0.0.1:{port}"\n'


def test_every_port_is_open_and_named(world: World) -> None:
    service = world.service(TWO.format(port=0) + "listeners.tcp.c { enable = false, bind = 1 }")
    service.privilegedStartService()
    service.startService()
    ports = [listener.port for listener in service.listeners]
    assert len(ports) == 2
    lines = world.lines()
    assert f"tcp:a listening on 127.0.0.1:{ports[0]}" in lines
    assert f"ws:b listening on 127.0.0.1:{ports[1]}" in lines
    assert "tcp:c is disabled" in lines
    assert lines[-1] == "mqttd is ready"


def test_ports_are_opened_once(world: World) -> None:
    service = world.service(TWO.format(port=0))
    service.privilegedStartService()
    ports = [listener.port for listener in service.listeners]
    service.startService()
    assert [listener.port for listener in service.listeners] == ports


def test_a_busy_port_leaves_no_port_open(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        service = world.service(TWO.format(port=port))
        with pytest.raises(StartupError) as caught:
            service.privilegedStartService()
    world.reactor.advance(0)
    assert caught.value.lines == [
        f"ws:b: cannot listen on 127.0.0.1:{port}: the port is in use; stop the other program or "
        "change bind"
    ]
    assert caught.value.code == 1
    assert not world.reactor.readers
    assert not any(listener.running for listener in service.listeners)


def test_every_busy_port_is_named(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        service = world.service(
            f'listeners.tcp.a.bind = "127.0.0.1:{port}"\n'
            'listeners.tcp.b.bind = "127.0.0.1:0"\n'
            'listeners.ws.c.bind = "192.0.2.1:1"\n'
        )
        with pytest.raises(StartupError) as caught:
            service.privilegedStartService()
    assert [line.partition(":")[2].partition(":")[0] for line in caught.value.lines] == ["a", "c"]


def test_all_errors_of_the_configuration_come_before_any_port(world: World) -> None:
    loaded = load_text(
        """
        listeners.tcp.default.bind = "127.0.0.1:0"
        listeners.ssl.a.ssl_options { keyfile = "no.pem", certfile = "nor.pem" }
        listeners.wss.b.ssl_options { keyfile = "no.pem", certfile = "nor.pem" }
        """,
        base_dir=world.folder,
    )  # fmt: skip
    with pytest.raises(ConfigurationErrors) as caught:
        prepare(loaded)
    assert {finding.path for finding in caught.value.errors} == {
        f"listeners.{name}.ssl_options.{option}"
        for name in ("ssl.a", "wss.b")
        for option in ("keyfile", "certfile")
    }


def test_stop_says_goodbye_and_waits_for_the_last_bytes(world: World) -> None:
    service = world.service(TWO.format(port=0))
    service.startService()
    (protocol5, wire5), (_, wire4) = world.client(service), world.client(service, level=4)
    stopped: list[object] = []
    service.stopService().addCallback(stopped.append)
    world.reactor.advance(0)
    assert not world.reactor.readers  # no more connections are accepted
    assert wire5.value()[:1] == b"\xe0"
    assert wire5.value()[2] == 0x8B
    assert wire4.value() == b""
    assert stopped == []
    for listener in service.listeners:
        for connection in list(listener.factory.connections):
            connection.connectionLost()
    assert len(stopped) == 1
    assert protocol5.factory.connections == set()


def test_stop_waits_no_longer_than_its_time(world: World) -> None:
    service = world.service(TWO.format(port=0) + "sys_topics.sys_msg_interval = 10s")
    service.startService()
    _, wire = world.client(service)
    service.stopService()
    world.reactor.pump([0.5] * int(2 * STOP_TIME + 1))
    assert wire.aborted
    assert STOP_TIME < 5


def test_stop_cuts_who_has_not_come_to_mqtt_yet(world: World) -> None:
    """Else a client could be admitted behind the goodbye, and one silent socket delay the stop."""
    service = world.service(TWO.format(port=0))
    service.startService()
    address = IPv4Address("TCP", "192.0.2.1", 7)
    wire: Any = Socket(peerAddress=address, hostAddress=IPv4Address("TCP", "127.0.0.1", 8083))
    protocol: Any = service.listeners[1].factory.buildProtocol(address)
    protocol.makeConnection(wire)
    service.stopService()
    assert wire.aborted


def test_the_figures_go_on_after_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A LoopingCall ends with its first error."""
    service = world.service("sys_topics.sys_msg_interval = 10s")
    asked: list[float] = []

    def broken(topics: object, now: float) -> None:
        asked.append(now)
        raise RuntimeError("broken")

    monkeypatch.setattr("mqttd.runtime.figures.SysTopics.publish", broken)
    service.startService()
    world.reactor.advance(10)
    assert len(asked) == 2
    assert len([each for each in world.events if "log_failure" in each]) == 2
    service.stopService()


def test_stop_without_clients_is_done_at_once(world: World) -> None:
    service = world.service(TWO.format(port=0))
    service.startService()
    stopped: list[object] = []
    service.stopService().addCallback(stopped.append)
    world.reactor.advance(0)
    assert len(stopped) == 1
    world.reactor.advance(0)
    assert not world.reactor.getDelayedCalls()


def test_the_first_certificates_are_said(world: World) -> None:
    service = world.service('listeners.ssl.default { bind = "127.0.0.1:0" }')
    service.startService()
    assert (world.folder / "etc/certs/key.pem").stat().st_mode & 0o777 == 0o600
    assert any("made a first server certificate" in line for line in world.lines())
    assert any(
        line.startswith("ssl:default listening on") and "(TLS)" in line for line in world.lines()
    )


def test_the_lines_to_paste(
    world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys, "__stdout__", sys.stdout)
    service = world.service('listeners.ssl.default { bind = "127.0.0.1:0" }', hints=True)
    service.startService()
    port = service.listeners[0].port
    output = capfd.readouterr().out
    address = f"-h localhost -p {port} --cafile etc/certs/cacert.pem"
    assert f"mosquitto_sub {address} -t hello/# -v" in output
    assert f"mosquitto_pub {address} -t hello/world -m 'it works'" in output


def test_options_of_one_listener_go_before_those_of_all(world: World) -> None:
    service = world.service(
        """
        mqtt { peer_cert_as_username = cn, idle_timeout = 7s, max_packet_size = 2MB }
        listeners.ssl.a { bind = "127.0.0.1:0", peer_cert_as_username = disabled }
        listeners.ssl.b { bind = "127.0.0.1:0", peer_cert_as_clientid = dn }
        """
    )
    a, b = (listener.factory.limits for listener in service.listeners)
    assert (a.peer_cert_as_username, a.peer_cert_as_clientid) == ("disabled", "disabled")
    assert (b.peer_cert_as_username, b.peer_cert_as_clientid) == ("cn", "dn")
    assert a.idle_timeout == b.idle_timeout == 7.0
    assert a.max_packet_size == 2 * 1024 * 1024

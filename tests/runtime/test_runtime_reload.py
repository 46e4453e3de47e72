"""One reload at a time, and nothing half done; the parts around it are stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred, succeed

from mqttd.broker.broker import Broker
from mqttd.config.errors import ConfigurationErrors, error
from mqttd.config.load import Loaded, load_configuration
from mqttd.engine.memory import MemoryEngine
from mqttd.net.turn import Turn
from mqttd.runtime.listening import Listening, limits_of
from mqttd.runtime.reload import FILES_CHANGED, Reloader, ReloadReport
from mqttd.testing import AdmitAll


class NoTrust:
    """Credentials of a broker without TLS."""

    def __init__(self) -> None:
        self.adopted = 0
        self.abandoned = 0
        self.refreshed = 0
        self.problem: Exception | None = None

    def parts(self, loaded: Loaded) -> Any:
        return loaded

    def prepare(self, loaded: Loaded, parts: Any) -> Any:
        assert parts is loaded
        if self.problem is not None:
            raise self.problem
        return self

    def ready(self, credentials: Any) -> Any:
        return succeed(None)

    def abandon(self) -> None:
        self.abandoned += 1

    def adopt(self, credentials: Any) -> Any:
        self.adopted += 1
        return succeed(None)

    def refresh(self) -> None:
        self.refreshed += 1

    def tls_of(self, options: Any) -> Any:
        return None

    def gate_timeout(self, options: Any) -> Any:
        return None


class World:
    def __init__(self, folder: Path, reactor: Any) -> None:
        self.file = folder / "mqttd.conf"
        self.write()
        self.trust = NoTrust()
        self.applied: list[Loaded] = []
        self.threads: list[Callable[[], Any]] = []
        self.wait = False
        loaded = load_configuration(self.file, {}, base_dir=folder)
        configuration = loaded.configuration
        self.broker = Broker(MemoryEngine(), limits_of(configuration), AdmitAll())
        turn = Turn(reactor, self.broker)
        self.listening = Listening(self.broker, turn, reactor, reactor)
        self.listening.make(configuration, self.trust)
        assert self.listening.open() == []
        self.reloader = Reloader(
            loaded,
            self.broker,
            self.listening,
            self.trust,
            in_thread=self.in_thread,
            applied=self.applied.append,
        )

    def write(self, more: str = "") -> None:
        self.file.write_text('listeners.tcp.a.bind = "127.0.0.1:0"\n' + more)

    def in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        if not self.wait:
            return maybeDeferred(call, *arguments)
        done: Deferred[Any] = Deferred()
        self.threads.append(lambda: maybeDeferred(call, *arguments).chainDeferred(done))
        return done

    def reload(self, reason: str = "test") -> list[ReloadReport]:
        reports: list[ReloadReport] = []
        self.reloader.reload(reason).addCallback(reports.append)
        return reports


@pytest.fixture
def world(tmp_path: Path, reactor: Any) -> Iterator[World]:
    made = World(tmp_path, reactor)
    yield made
    made.listening.close()
    reactor.advance(0)


def test_nothing_changed_changes_nothing(world: World) -> None:
    (report,) = world.reload()
    assert report.ok
    assert report.changed == ()
    assert report.unchanged == ("mqttd.conf",)
    assert world.trust.adopted == 0
    assert world.applied == []


def test_a_change_is_applied_and_reported(world: World) -> None:
    world.write("mqtt { max_inflight = 7, max_mqueue_len = 1 }\nlisteners.tcp.a.mountpoint = m/")
    (report,) = world.reload()
    assert report.ok
    assert set(report.changed) == {
        "mqtt.max_inflight",
        "mqtt.max_mqueue_len",
        "listeners.tcp.a.mountpoint",
        "mqttd.conf",
    }
    assert report.needs_restart == ("mqtt.max_mqueue_len",)
    factory = world.listening.listeners["tcp:a"].factory
    assert factory.options.mountpoint == "m/"
    assert factory.limits.max_inflight == 7
    assert world.broker.limits.max_inflight == 7
    assert world.trust.adopted == 1
    assert len(world.applied) == 1


def test_errors_change_nothing_and_are_said_one_a_line(world: World, logged: Any) -> None:
    world.write("mqtt { max_inflight = 7, max_qos_allowed = 9 }\nlisteners.tcp.a.bindd = 1")
    (report,) = world.reload()
    assert not report.ok
    assert len(report.refused) == 2
    assert report.changed == ()
    lines = list(logged)
    assert sum(line.startswith("reload refused: ") for line in lines) == 2
    assert world.broker.limits.max_inflight == 32
    assert world.applied == []
    world.write()
    assert world.reload()[0].ok


def test_credentials_that_cannot_be_made_change_nothing(world: World) -> None:
    world.write("mqtt.max_inflight = 7")
    world.trust.problem = ConfigurationErrors([error("psk_authentication", "is broken")])
    (report,) = world.reload()
    assert report.refused == ("psk_authentication: is broken",)
    assert world.broker.limits.max_inflight == 32


def test_an_error_of_our_own_changes_nothing(world: World, logged: Any) -> None:
    world.write("mqtt.max_inflight = 7")
    world.trust.problem = RuntimeError("a bug")
    (report,) = world.reload()
    assert report.refused == ("internal error: RuntimeError",)
    assert [event for event in logged.events if "log_failure" in event]
    assert world.broker.limits.max_inflight == 32


def test_a_busy_port_leaves_no_port_open(world: World, reactor: Any) -> None:
    port = world.listening.listeners["tcp:a"].port
    world.write(
        f'listeners.tcp.new.bind = "127.0.0.1:0"\nlisteners.tcp.z.bind = "127.0.0.1:{port}"'
    )
    reports = world.reload()
    reactor.advance(0)
    assert "the port is in use" in reports[0].refused[0]
    assert (world.trust.adopted, world.trust.abandoned) == (0, 1)
    assert list(world.listening.listeners) == ["tcp:a"]
    assert len(reactor.readers) == 1


def test_a_listener_can_get_another_name(world: World, reactor: Any) -> None:
    """Its port is closed for a moment: it cannot be opened twice."""
    port = world.listening.listeners["tcp:a"].port
    world.file.write_text(f'listeners.tcp.b.bind = "127.0.0.1:{port}"')
    reports = world.reload()
    reactor.advance(0)
    assert reports[0].ok
    assert list(world.listening.listeners) == ["tcp:b"]
    assert world.listening.listeners["tcp:b"].port == port
    reactor.advance(0)
    assert len(reactor.readers) == 1


def test_a_listener_the_operator_stopped_stays_stopped(world: World) -> None:
    world.listening.stop("tcp:a")
    world.write('listeners.tcp.a { bind = "127.0.0.2:0", mountpoint = m/ }')
    assert world.reload()[0].ok
    listener = world.listening.listeners["tcp:a"]
    assert not listener.running
    world.listening.start("tcp:a")
    assert listener.address.startswith("127.0.0.2:")


def test_those_asked_for_meanwhile_are_one_further_reload(world: World) -> None:
    world.wait = True
    first = world.reload("first")
    second, third = world.reload("second"), world.reload("third")
    assert len(world.threads) == 1
    world.write("mqtt.max_inflight = 7")
    while world.threads:
        world.threads.pop(0)()
    assert [report.reason for report in (*first, *second, *third)] == ["first", "third", "third"]
    assert second[0] is third[0]
    assert len(world.applied) == 1


def test_a_reload_that_comes_to_an_end_after_the_stop_changes_nothing(world: World) -> None:
    world.wait = True
    world.write("mqtt.max_inflight = 7")
    reports = world.reload()
    world.reloader.stop()
    while world.threads:
        world.threads.pop(0)()
    assert not reports[0].ok
    assert world.broker.limits.max_inflight == 32


def test_warnings_are_told_once(world: World, logged: Any) -> None:
    world.write('include "gone.conf"\n')
    world.reload()
    assert sum("gone.conf cannot be read" in line for line in logged) == 1
    logged.clear()
    world.write('include "gone.conf"\nmqtt.max_inflight = 7')
    world.reload()
    assert not any("gone.conf cannot be read" in line for line in logged)


def test_only_a_reload_that_was_asked_for_asks_servers_again(world: World) -> None:
    world.reload(FILES_CHANGED)
    assert world.trust.refreshed == 0
    world.reload("SIGHUP")
    world.write("mqtt.max_inflight = 7")
    world.reload("mqttd ctl reload")
    assert world.trust.refreshed == 2
    world.write("mqtt.max_inflight = nonsense")
    world.reload("SIGHUP")
    assert world.trust.refreshed == 2

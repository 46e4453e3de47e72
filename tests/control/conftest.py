"""A broker in memory for the control plane, served on a socket and asked over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from mqttd.cli.ctl_client import ControlClient
from mqttd.control.ports import ControlError, Page, Row, bad_request
from mqttd.control.server import ControlServer


class MemoryControl:
    """A Control whose answers are plain values; ``done`` is what was asked for."""

    banned: Any = None

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []
        self.level = "info"
        self.rows = [{"clientid": f"c{number:03}"} for number in range(250)]

    def status(self) -> Row:
        return {"version": "1.2.3"}

    def listeners(self) -> list[Row]:
        return [{"id": "ssl:default"}]

    def listener(self, name: str) -> Row:
        if name != "ssl:default":
            raise ControlError(404, "BAD_LISTENER_ID", "Listener not found")
        return {"id": name}

    async def change_listener(self, name: str, action: str) -> Row:
        row = self.listener(name)
        self.done.append((action, name))
        return row

    def clients(self, page: int, limit: int, expiring: float | None) -> Page:
        self.done.append(("clients", str(page), str(limit), str(expiring)))
        return Page(self.rows[(page - 1) * limit : page * limit], len(self.rows))

    def client(self, client_id: str) -> Row:
        return {"clientid": client_id}

    def kick(self, client_id: str) -> None:
        self.done.append(("kick", client_id))

    async def access(self, client_id: str, action: str, topic: str, qos: int, retain: bool) -> Row:
        self.done.append((client_id, action, topic, str(qos), str(retain)))
        return {"allow": True, "steps": []}

    def log_level(self) -> Row:
        return {"level": self.level}

    def set_log_level(self, level: str) -> Row:
        if level not in ("debug", "info"):
            raise bad_request(f"invalid level: {level}")
        self.level = level
        return self.log_level()

    def certificates(self) -> list[Row]:
        raise RuntimeError("a secret: hunter2")

    def psk(self) -> list[Row]:
        return [{"identity": "dev1"}]

    def crl(self) -> list[Row]:
        return []

    async def refresh_crl(self) -> list[Row]:
        raise RuntimeError("a secret: hunter2")

    def ocsp(self) -> list[Row]:
        return []

    async def refresh_ocsp(self) -> list[Row]:
        return []

    async def reload(self) -> Row:
        return {"ok": True}

    def plugins(self) -> list[Row]:
        return []


@pytest.fixture
def memory() -> MemoryControl:
    return MemoryControl()


@pytest.fixture
def server(
    live_reactor: Any, settle: Callable[..., Any], memory: MemoryControl, tmp_path: Path
) -> Iterator[ControlServer]:
    """The control plane of ``memory`` on a socket."""
    made = ControlServer(memory, tmp_path / "run" / "c.sock", live_reactor)
    made.start()
    yield made
    settle(made.stop())


@pytest.fixture
def ask(server: ControlServer, settle: Callable[..., Any]) -> Callable[..., Any]:
    """One request by a client in another thread."""
    client = ControlClient(str(server.path), timeout=5)

    def call(method: str, *names: str, body: str | None = None, **query: object) -> Any:
        return settle(deferToThread(client.ask, method, names, query, body))

    return call

"""The control plane over the broker that runs in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any, Final

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTime

from mqttd._version import __version__
from mqttd.broker.broker import Broker
from mqttd.broker.connection import Connection
from mqttd.broker.counters import Counters
from mqttd.broker.state import State
from mqttd.config.errors import InvalidValue
from mqttd.config.option import documentation_of
from mqttd.config.schema.log import LOG_LEVELS, ConsoleLog
from mqttd.control.access import access_row
from mqttd.control.banned import BannedControl
from mqttd.control.ports import ControlError, Page, Row, bad_request
from mqttd.control.rows import (
    certificate_row,
    client_row,
    identity_text,
    list_row,
    listener_row,
)
from mqttd.interfaces import IPSKStorePlugin, IRevocationCheckerPlugin
from mqttd.log.setup import Log
from mqttd.net.listeners import ListenError
from mqttd.net.turn import Turn
from mqttd.packets.reason_codes import ReasonCode
from mqttd.plugins import installed
from mqttd.revocation.crl_checker import CrlChecker
from mqttd.runtime.listening import Listening
from mqttd.runtime.reload import Reloader
from mqttd.runtime.trust import Trust

_PLUGIN_KINDS: Final = {
    "revocation_checker": IRevocationCheckerPlugin,
    "psk_store": IPSKStorePlugin,
}
_STATISTICS: Final = ("sessions", "subscriptions", "shared_subscriptions", "retained", "stored")


@attrs.frozen(eq=False)
class RunningControl:
    """A :class:`~mqttd.control.ports.Control` of the parts the service is made of.

    ``output`` is where log levels are set; None where somebody else's log is used.
    """

    broker: Broker
    turn: Turn
    listening: Listening
    trust: Trust
    reloader: Reloader
    clock: IReactorTime
    banned: BannedControl
    output: Log | None = None
    started: float = attrs.field(factory=time.time)
    _started_clock: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_started_clock", self.clock.seconds())

    def status(self) -> Row:
        """See Control."""
        statistics = self.broker.engine.statistics()
        counters = self.broker.counters
        return {
            "version": __version__,
            "pid": os.getpid(),
            "uptime": int(self.clock.seconds() - self._started_clock),
            "config": str(self.reloader.loaded.path or ""),
            "connections": len(self.broker.connections),
            "clients": self.broker.clients,
            "most_clients": self.broker.maximum_clients,
            **{name: getattr(statistics, name) for name in _STATISTICS},
            "listeners": {
                "running": sum(each.running for each in self.listening.listeners.values()),
                "stopped": sum(not each.running for each in self.listening.listeners.values()),
            },
            "counters": {name: getattr(counters, name) for name in Counters.__slots__},
            "refusals": self._refusals(),
            **self.banned.figures(),
        }

    def _refusals(self) -> list[Row]:
        counts: dict[tuple[str, str], int] = {}
        for refusals in {factory.refusals for factory in self.listening}:
            counts |= refusals.counts()
        return [
            {"listener": listener, "cause": cause, "count": count}
            for (listener, cause), count in sorted(counts.items())
        ]

    # --- listeners ---------------------------------------------------------------------------

    def listeners(self) -> list[Row]:
        """See Control."""
        return [listener_row(listener) for listener in self.listening.listeners.values()]

    def listener(self, name: str) -> Row:
        """See Control."""
        listener = self.listening.listeners.get(name)
        if listener is None:
            raise ControlError(404, "BAD_LISTENER_ID", "Listener not found")
        return listener_row(listener)

    async def change_listener(self, name: str, action: str) -> Row:
        """See Control."""
        self.listener(name)
        change = getattr(self.listening, action)
        try:
            await maybeDeferred(change, name)
        except ListenError as problem:
            raise bad_request(str(problem)) from None
        return self.listener(name)

    # --- clients -----------------------------------------------------------------------------

    def clients(self, page: int, limit: int, expiring: float | None) -> Page:
        """See Control."""
        found = list(self._connected())
        if expiring is None:
            found.sort(key=lambda connection: connection.client_id)
        else:
            end = time.time() + expiring
            found = [each for each in found if _not_after(each) <= end]
            found.sort(key=_not_after)
        begin = (page - 1) * limit
        rows = [client_row(connection) for connection in found[begin : begin + limit]]
        return Page(rows, len(found))

    def client(self, client_id: str) -> Row:
        """See Control."""
        return client_row(self._find(client_id)[0])

    def kick(self, client_id: str) -> None:
        """See Control."""
        found = self._find(client_id)
        self.turn.touch()
        for connection in found:
            connection.close(ReasonCode.ADMINISTRATIVE_ACTION, "disconnected by the operator")

    async def access(self, client_id: str, action: str, topic: str, qos: int, retain: bool) -> Row:
        """See Control."""
        connection = self._find(client_id)[0]
        return await access_row(connection, action, topic, qos, retain, self.clock)

    def _connected(self) -> Iterable[Connection]:
        return (each for each in self.broker.connections if each.state is State.CONNECTED)

    def _find(self, client_id: str) -> list[Connection]:
        """The clients called so: one behind each mountpoint at most."""
        found = [each for each in self._connected() if each.client_id == client_id]
        if found:
            return found
        raise ControlError(404, "CLIENTID_NOT_FOUND", "Client ID not found")

    # --- the log -----------------------------------------------------------------------------

    def log_level(self) -> Row:
        """See Control."""
        output = self._log_output()
        levels = {
            name: each.level
            for name, each in (("console", output.console), ("file", output.file))
            if each is not None
        }
        lowest = min(levels.values(), key=LOG_LEVELS.index, default="info")
        return {"level": lowest, **levels}

    def set_log_level(self, level: str) -> Row:
        """See Control."""
        output = self._log_output()
        documentation = documentation_of(attrs.fields(ConsoleLog).level)
        assert documentation is not None
        assert documentation.kind is not None
        try:
            output.set_level(documentation.kind.parse(level))
        except InvalidValue:
            levels = ", ".join(LOG_LEVELS)
            raise bad_request(f"invalid level: {level[:50]}; levels are {levels}") from None
        return self.log_level()

    def _log_output(self) -> Log:
        if self.output is None:
            raise ControlError(
                503, "NOT_AVAILABLE", "the log is that of another program, such as twist"
            )
        return self.output

    # --- trust -------------------------------------------------------------------------------

    def certificates(self) -> list[Row]:
        """See Control."""
        return [
            {
                "listener": own.listener,
                "role": own.role,
                "file": own.file,
                **certificate_row(own.certificate),
            }
            for own in self.trust.own_certificates()
        ]

    def psk(self) -> list[Row]:
        """See Control."""
        store = self.trust.psk_store
        if store is None:
            return []
        return [{"identity": identity_text(each)} for each in sorted(store.identities())]

    def crl(self) -> list[Row]:
        """See Control."""
        checker = self._crl_checker()
        return [] if checker is None else [list_row(each) for each in checker.list()]

    async def refresh_crl(self) -> list[Row]:
        """See Control."""
        checker = self._crl_checker()
        if checker is None:
            raise bad_request("no listener has enable_crl_check")
        await checker.refresh()
        return self.crl()

    def _crl_checker(self) -> CrlChecker | None:
        checker: Any = self.trust.crl
        return checker if isinstance(checker, CrlChecker) else None

    def ocsp(self) -> list[Row]:
        """See Control."""
        return [attrs.asdict(each) for each in self.trust.stapler.list()]

    async def refresh_ocsp(self) -> list[Row]:
        """See Control."""
        if not self.trust.stapler.list():
            raise bad_request("no listener has enable_ocsp_stapling")
        await self.trust.stapler.refresh()
        return self.ocsp()

    # --- the rest ----------------------------------------------------------------------------

    async def reload(self) -> Row:
        """See Control."""
        report = await self.reloader.reload("mqttd ctl reload")
        return {
            "ok": report.ok,
            "changed": list(report.changed),
            "refused": list(report.refused),
            "needs_restart": list(report.needs_restart),
            "findings": [str(finding) for finding in report.findings],
        }

    def plugins(self) -> list[Row]:
        """See Control."""
        return [
            {"kind": kind, "name": plugin.name, "description": plugin.description}
            for kind, interface in _PLUGIN_KINDS.items()
            for plugin in installed(interface)
        ]


def _not_after(connection: Connection) -> float:
    certificate = connection.peer.certificate
    return float("inf") if certificate is None else certificate.not_after

"""The guard in the running broker: its list kept in a file, and clients ended who are banned."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mqttd.abuse.addresses import Networks, parse_network
from mqttd.abuse.ban_file import NAME, load_bans, save_bans
from mqttd.abuse.banned import FLAPPING, Ban, BanList, parse_ban
from mqttd.abuse.guard import TOO_MANY_TEXT, Guard
from mqttd.abuse.identities import TOO_MANY
from mqttd.broker.broker import Broker
from mqttd.broker.connection import Connection
from mqttd.config.load import Loaded
from mqttd.config.schema import Configuration
from mqttd.events import BanAdded, BanRemoved, Event
from mqttd.log.text import clip, escape
from mqttd.net.connection import NetworkConnection
from mqttd.net.factory import ListenerFactory
from mqttd.packets.reason_codes import ReasonCode

_SAVE_DELAY: Final = 0.5
"""Seconds in which further changes go into the same file."""
_SLICE: Final = 200
"""Connections ended in one turn of the reactor, at most."""


class Abuse:
    """Reads the list of bans at the start and keeps the file up to date. Raises
    ConfigurationErrors when the file cannot be used.

    ``factories`` are gone through anew each time. ``in_thread`` calls a function outside the
    reactor's thread, where files are written.
    """

    _log = Logger()

    def __init__(
        self,
        loaded: Loaded,
        clock: IReactorTime,
        *,
        in_thread: Callable[..., Any] = maybeDeferred,
        wall: Callable[[], float] = time.time,
        told: Callable[[Event], object] = lambda _event: None,
    ) -> None:
        configuration = loaded.configuration
        self._clock = clock
        self._wall = wall
        self._in_thread = in_thread
        self._told = told
        self._path: Path = loaded.base_dir / configuration.data_dir / NAME
        bans = BanList(configuration.abuse.max_banned)
        now = wall()
        for ban in load_bans(self._path, now):
            try:
                bans.add(ban, now)
            except ValueError as problem:  # the maximum is less than it was
                self._log.warn(
                    "{who} is no longer banned: {problem}", who=ban.who, problem=str(problem)
                )
        self.guard = Guard(
            configuration.abuse,
            configuration.flapping_detect,
            bans,
            now=clock.seconds,
            wall=wall,
            banned=self._added,
            excess=self._excess,
        )
        self._factories: Iterable[ListenerFactory] = ()
        self._broker: Broker | None = None
        self._call: Any = None
        self._writing: Deferred[Any] | None = None
        self._again = False
        self._complained = False

    def watch(self, broker: Broker, factories: Iterable[ListenerFactory]) -> None:
        """Whose clients are ended."""
        self._broker = broker
        self._factories = factories

    def configure(self, configuration: Configuration) -> None:
        """A reload took place."""
        connections = () if self._broker is None else self._broker.connections
        self.guard.configure(configuration.abuse, configuration.flapping_detect, connections)

    def figures(self) -> Mapping[str, object]:
        """For ``$SYS``: names below ``$SYS/broker/``."""
        refused = self.guard.refused
        return {
            "abuse/banned": len(self.guard.bans),
            **{f"abuse/refused/{kind}": count for kind, count in sorted(refused.items())},
        }

    # --- what the operator asks for ----------------------------------------------------------

    def rows(self) -> list[Ban]:
        """Every entry that holds."""
        return self.guard.bans.rows(self._wall())

    def add(self, row: Mapping[str, Any], by: str) -> Ban:
        """Ban somebody; ``row`` has EMQX's shape. Raises ValueError."""
        now = self._wall()
        ban = parse_ban({"by": by, **row}, now)
        if ban.until <= now:
            raise ValueError("until is over already")
        self.guard.bans.add(ban, now)
        self._added(ban)
        return ban

    def remove(self, kind: str, who: str) -> bool:
        """Take an entry out; says whether it was there."""
        found = self.guard.bans.remove(kind, who)
        if found:
            self._log.info(
                "{kind} {who} is no longer banned",
                event="ban_removed",
                kind=kind,
                who=clip(escape(who)),
            )
            self._told(BanRemoved(time=self._wall(), kind=kind, who=who))
            self._save_soon()
        return found

    def clear(self) -> int:
        """Take all out; returns how many there were."""
        count = self.guard.bans.clear()
        self._log.info("{count} bans were removed", event="bans_cleared", count=count)
        self._told(BanRemoved(time=self._wall()))
        self._save_soon()
        return count

    # --- within ------------------------------------------------------------------------------

    def _added(self, ban: Ban) -> None:
        row = ban.row()
        # A client that flaps is gone already; looking for each of many would take long.
        found = [] if ban.by == FLAPPING else list(self._concerned(ban))
        self._log.info(
            "{kind} {who} is banned by {by} until {until}: {reason}; {count} of its connections "
            "end now",
            event="ban_added",
            kind=ban.kind,
            who=clip(escape(ban.who)),
            by=clip(escape(ban.by)) or "somebody",
            until=row["until"],
            reason=clip(escape(ban.reason)) or "no reason is given",
            count=len(found),
        )
        self._told(
            BanAdded(
                time=self._wall(),
                kind=ban.kind,
                who=ban.who,
                by=ban.by,
                reason=ban.reason,
                until=None if ban.until == math.inf else ban.until,
            )
        )
        self._save_soon()
        # Later: what led to it may still be at work on one of these connections.
        if found:
            self._clock.callLater(0, self._end, found)

    def _concerned(self, ban: Ban) -> Iterable[NetworkConnection]:
        networks = Networks([parse_network(ban.who)] if ban.by_address else ())
        for factory in self._factories:
            for connection in factory.connections:
                if connection.closing:
                    continue
                if ban.by_address:
                    if networks.holds(connection.peer.peer[0]):
                        yield connection
                    continue
                mqtt = connection.mqtt
                if mqtt is not None and ban.concerns(mqtt.client_id, mqtt.username):
                    yield connection

    def _end(self, connections: list[NetworkConnection]) -> None:
        """MQTT 5 clients are told 0x98, Administrative action: DISCONNECT has no "banned"."""
        for connection in connections[:_SLICE]:
            try:
                connection.cut(ReasonCode.ADMINISTRATIVE_ACTION, "banned", "banned")
            except Exception:
                connection.fail()
        rest = connections[_SLICE:]
        if rest:
            self._clock.callLater(0, self._end, rest)

    def _excess(self, connection: Connection) -> None:
        # Later: CONNACK is just being sent.
        outlet = connection.outlet
        if isinstance(outlet, NetworkConnection):
            code = ReasonCode.QUOTA_EXCEEDED
            self._clock.callLater(0, outlet.cut, code, TOO_MANY_TEXT, TOO_MANY)

    # --- the file ----------------------------------------------------------------------------

    def _save_soon(self) -> None:
        if self._call is None:
            self._call = self._clock.callLater(_SAVE_DELAY, self._save)

    def _save(self) -> None:
        self._call = None
        if self._writing is not None:
            self._again = True
            return
        bans = self.guard.bans.rows(self._wall())
        self._writing = maybeDeferred(self._in_thread, save_bans, self._path, bans)
        self._writing.addCallbacks(self._saved, self._not_saved)

    def _saved(self, _result: object) -> None:
        self._writing = None
        self._complained = False
        if self._again:
            self._again = False
            self._save()

    def _not_saved(self, failure: Failure) -> None:
        self._writing = None
        if not self._complained:
            self._complained = True
            self._log.error(
                "the list of bans cannot be kept in {path}: {problem}; it holds until the broker "
                "stops",
                event="bans_not_saved",
                path=str(self._path),
                problem=failure.getErrorMessage(),
            )

    def stop(self) -> Deferred[Any]:
        """Write what is not written yet."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
            if self._writing is None:
                self._save()
            else:
                self._again = True
        return succeed(None) if self._writing is None else self._written()

    def _written(self) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        assert self._writing is not None
        self._writing.addBoth(lambda _result: done.callback(None))
        return done

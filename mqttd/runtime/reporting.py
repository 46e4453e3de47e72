"""Tells event sinks and the audit log what happens, from the start of the broker to its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd._version import __version__
from mqttd.audit.check import key_of
from mqttd.audit.fields import fields_of, time_text
from mqttd.audit.writer import AuditLog
from mqttd.broker.broker import Broker
from mqttd.config.load import Loaded
from mqttd.engine.memory import MemoryEngine
from mqttd.events import (
    EVENTS,
    MESSAGES,
    AccessDenied,
    BrokerStarted,
    BrokerStopped,
    ConfigurationReloaded,
    Event,
    OperatorAsked,
    Subscribed,
    Unsubscribed,
)
from mqttd.net.event_hub import EventHub
from mqttd.net.reported_events import ReportedMessages
from mqttd.runtime.reload import ReloadReport
from mqttd.tls.files import resolve

_FLUSH_TIME: Final = 2.0
"""Seconds event sinks have for what waits when the broker stops."""
_FREQUENT: Final = MESSAGES | {AccessDenied.name, Subscribed.name, Unsubscribed.name}
"""Events of which one packet can cause many thousands."""


def record(audit: AuditLog, event: Event) -> None:
    """Write an event to the audit log."""
    if audit.has_room(frequent=event.name in _FREQUENT):
        audit.add(fields_of(event))
    else:
        audit.lose()


class Reporting:
    """Owns the hub and the audit log."""

    _log = Logger()

    def __init__(
        self, loaded: Loaded, clock: IReactorTime, *, in_thread: Callable[..., Deferred[Any]]
    ) -> None:
        self.hub = EventHub(clock)
        options = loaded.configuration.audit
        self.audit: AuditLog | None = None
        self._refuses = options.on_failure == "refuse"
        if options.enable:
            file = resolve(options.file, loaded.base_dir)
            file.parent.mkdir(parents=True, exist_ok=True)
            self.audit = AuditLog(
                file,
                clock=clock,
                key=key_of(options, loaded.base_dir),
                rotation_size=options.rotation_size or 0,
                rotation_count=options.rotation_count,
                sync=options.sync,
                in_thread=in_thread,
            )
            events = frozenset(options.events) or frozenset(EVENTS) - MESSAGES
            self.hub.add(events, partial(record, self.audit))

    def attach(self, broker: Broker, engine: MemoryEngine) -> None:
        """Have the broker tell of messages, but only while somebody wants to know."""
        messages = ReportedMessages(self.hub)

        def changed() -> None:
            wanted = bool(MESSAGES & self.hub.wanted)
            broker.messages = messages if wanted else None
            engine.lost = messages.dropped if wanted else None

        self.hub.on_change(changed)

    def failing(self) -> bool:
        """Whether nobody may come in, since it could not be recorded."""
        return self._refuses and self.audit is not None and self.audit.failing

    def open(self) -> None:
        """Go on with the audit log. Raises Unusable and OSError."""
        if self.audit is not None:
            self.audit.open(time_text(self.hub.now()))
            self._log.info(
                "the audit log goes on at record {seq}:{hash}",
                event="audit_opened",
                seq=self.audit.head.seq,
                hash=self.audit.head.hash,
            )

    def started(self) -> None:
        """The broker is ready."""
        self.hub.emit(BrokerStarted(time=self.hub.now(), version=__version__))

    def reloaded(self, report: ReloadReport) -> None:
        """Configuration and files were read again."""
        self.hub.emit(
            ConfigurationReloaded(
                time=self.hub.now(),
                cause=report.reason,
                changed=tuple(report.changed),
                refused=tuple(report.refused),
            )
        )

    def asked(self, user: int | None, request: str, status: int) -> None:
        """Somebody used the control socket to change something."""
        self.hub.emit(
            OperatorAsked(time=self.hub.now(), user=user, request=request, status=status)
        )

    def stopping(self) -> None:
        """The broker is about to stop."""
        self.hub.emit(BrokerStopped(time=self.hub.now()))

    def stopped(self) -> Deferred[Any]:
        """All clients are gone: fires when sinks and audit log have what they should, or time
        is over."""
        flushed = self.hub.flushed(_FLUSH_TIME)
        return flushed.addCallback(lambda _: self._close())

    def _close(self) -> Deferred[None] | None:
        if self.audit is None:
            return None
        audit = self.audit

        def closed(_: object) -> None:
            self._log.info(
                "the audit log ends at record {seq}:{hash}",
                event="audit_closed",
                seq=audit.head.seq,
                hash=audit.head.hash,
            )

        return audit.close().addCallback(closed)

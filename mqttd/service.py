"""The service: builds broker and listeners from the configuration, starts and stops them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from typing_extensions import override

from mqttd.abuse.admission import GuardedAdmission, GuardedMethods
from mqttd.audit.door import RecordedAdmission, RecordedMethods
from mqttd.auth.admission import ListenerAdmission
from mqttd.authz.authorization import ClientAuthorization
from mqttd.broker.broker import Broker
from mqttd.config.errors import Finding
from mqttd.config.load import Loaded
from mqttd.control.banned import BannedControl
from mqttd.control.running import RunningControl
from mqttd.control.server import control_server
from mqttd.engine.memory import MemoryEngine
from mqttd.log import trace
from mqttd.log.setup import Log
from mqttd.net.guarded_events import GuardedEvents
from mqttd.net.listeners import Listener
from mqttd.net.live import LiveTrust
from mqttd.net.refusals import Refusals
from mqttd.net.reported_events import ReportedEvents
from mqttd.net.steady_clock import SteadyClock
from mqttd.net.sweeper import Sweeper
from mqttd.net.turn import Turn
from mqttd.runtime.abuse import Abuse
from mqttd.runtime.expiry import Expiry
from mqttd.runtime.figures import Figures
from mqttd.runtime.hints import print_hints
from mqttd.runtime.listening import Listening, engine_options, limits_of
from mqttd.runtime.reload import FILES_CHANGED, Reloader, ReloadReport
from mqttd.runtime.reporting import Reporting
from mqttd.runtime.trust import Trust
from mqttd.runtime.watch import Watcher
from mqttd.startup import StartupError

STOP_TIME = 4.0
"""Seconds clients have to take their last bytes when the service stops."""
PLUGIN_STOP_TIME = 2.0
"""Seconds plugins have to stop, after the last client is gone."""


class BrokerService(Service):
    """The whole broker as a Twisted service.

    Everything that can be wrong in the configuration is found before any port is opened; ports are
    opened in ``privilegedStartService``, before twistd gives up root. Raises StartupError. ``log``
    is where levels that a reload changes are set.
    """

    name = "mqttd"
    _log = Logger()

    def __init__(
        self,
        loaded: Loaded,
        *,
        reactor: Any = None,
        clock: IReactorTime | None = None,
        notices: Sequence[str] = (),
        findings: Sequence[Finding] = (),
        hints: bool = False,
        log: Log | None = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor as default_reactor  # noqa: PLC0415

            reactor = default_reactor
        self._reactor = reactor
        self._clock = clock or SteadyClock(reactor)
        self._notices = notices
        self._findings = findings
        self._hints = hints
        self._output = log
        configuration = loaded.configuration
        self.engine = MemoryEngine(engine_options(configuration))
        admission = ListenerAdmission()
        self.reporting = Reporting(loaded, self._clock, in_thread=self._in_thread)
        hub, failing = self.reporting.hub, self.reporting.failing
        self.abuse = Abuse(loaded, self._clock, in_thread=self._in_thread, told=hub.emit)
        guard, refusals = self.abuse.guard, Refusals(self._clock, hub)
        self.broker = Broker(
            self.engine,
            limits_of(configuration),
            RecordedAdmission(GuardedAdmission(admission, guard), failing),
            events=ReportedEvents(GuardedEvents(guard, refusals), hub),
            enhanced=RecordedMethods(GuardedMethods(admission.methods, guard), failing),
        )
        authorization = ClientAuthorization(self._clock)
        authorization.attach(self.broker)
        self.reporting.attach(self.broker, self.engine)
        self.turn = Turn(self._clock, self.broker)
        self.listening = Listening(self.broker, self.turn, self._clock, reactor, guard, refusals)
        self.abuse.watch(self.broker, self.listening)
        self.live = LiveTrust(self.listening, self._clock, hub)
        self.trust = Trust(
            loaded, reactor, self.live.credentials_changed, admission, authorization, hub
        )
        self.watcher = Watcher(
            self._clock,
            lambda: self._in_thread(self.reloader.look),
            lambda: self.reloader.reload(FILES_CHANGED),
            configuration.reload_interval,
        )
        self.reloader = Reloader(
            loaded,
            self.broker,
            self.listening,
            self.trust,
            in_thread=self._in_thread,
            applied=self._applied,
            looked=self.watcher.seen,
            reported=self.reporting.reloaded,
            findings=findings,
        )
        credentials = self.trust.prepare(loaded, self.trust.parts(loaded))
        self.trust.adopt(credentials)
        self.listening.make(configuration, credentials)
        self.expiry = Expiry(reactor, self.trust.own_certificates)
        self.figures = Figures(
            self.broker,
            reactor,
            self._clock,
            self.turn.touch,
            lambda: {**self.expiry.figures(), **self.abuse.figures()},
        )
        self._sweeper = Sweeper(self._clock, self.broker, self.listening)
        running = RunningControl(
            self.broker,
            self.turn,
            self.listening,
            self.trust,
            self.reloader,
            self._clock,
            BannedControl(self.abuse),
            log,
        )
        self.control = control_server(running, loaded, reactor, self.reporting.asked)
        self._unwatch = lambda: None

    @property
    def listeners(self) -> list[Listener]:
        """Every enabled listener, in the configuration's order."""
        return list(self.listening.listeners.values())

    def reload(self, reason: str) -> Deferred[ReloadReport]:
        """Read configuration and files again; never fails."""
        return self.reloader.reload(reason)

    def _in_thread(self, call: Any, *arguments: Any) -> Deferred[Any]:
        if not IReactorThreads.providedBy(self._reactor):
            return maybeDeferred(call, *arguments)
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, call, *arguments)

    @override
    def privilegedStartService(self) -> None:
        """Open every port, or none: one that cannot be opened closes the others again."""
        problems = self.listening.open()
        if problems:
            for problem in problems:
                self._log.critical("{problem}", problem=problem)
            raise StartupError(problems)
        super().privilegedStartService()

    @override
    def startService(self) -> None:
        super().startService()
        if not any(listener.running for listener in self.listeners):
            self.privilegedStartService()
        for line in self._notices:
            self._log.info("{line}", line=line)
        for finding in self._findings:
            log = self._log.warn if finding.severity == "warning" else self._log.info
            log("{finding}", event="configuration_finding", finding=finding.text)
        self.listening.say_open()
        configuration = self.reloader.loaded.configuration
        for options in configuration.listeners:
            if not options.enable:
                self._log.info("{listener} is disabled", listener=options.id)
        self.reporting.open()
        self._sweeper.start()
        self.expiry.start()
        self.figures.start(configuration.sys_topics)
        self.watcher.start(self.reloader.last_look)
        self._unwatch = trace.watch(self._trace)
        self.control.start()
        self.trust.start(self.listening.listeners).addCallback(self._ready)

    def _ready(self, _result: object) -> None:
        self._log.info("mqttd is ready")
        self.reporting.started()
        if self._hints:
            print_hints(self.listeners)

    def _applied(self, loaded: Loaded) -> None:
        """A reload took place: what is not the listeners' follows."""
        configuration = loaded.configuration
        if self._output is not None:
            self._output.set_levels(configuration.log)
        self.abuse.configure(configuration)
        self.figures.start(configuration.sys_topics)
        self.watcher.interval = configuration.reload_interval
        self.expiry.start()

    def _trace(self) -> None:
        for factory in self.listening:
            factory.trace_open_connections()

    @override
    def stopService(self) -> Deferred[Any]:
        """Stop accepting, say goodbye to every client, let the last bytes leave."""
        super().stopService()
        self.reporting.stopping()
        self.reloader.stop()
        self.watcher.stop()
        self.live.stop()
        self.figures.stop()
        self.expiry.stop()
        self._unwatch()
        self._unwatch = lambda: None
        closing = [*self.listening.close(), self.control.stop(), self.abuse.stop()]
        count = len(self.broker.connections)
        if count:
            self._log.info("stopping; {count} connections are closed", count=count)
        self.broker.shut_down(self._clock.seconds())
        self.turn.end()
        self._cut(admitted=False)  # else a client could still come in after the goodbye
        closing += [factory.when_empty() for factory in self.listening]
        cut = self._reactor.callLater(STOP_TIME, self._cut)

        def done(_result: object) -> Deferred[Any]:
            if cut.active():
                cut.cancel()
            self._sweeper.stop()
            self.listening.refusals.flush()
            return self.reporting.stopped().addCallback(stop_parts)

        def stop_parts(_result: object) -> Deferred[Any]:
            # One that has not stopped by then is named as having failed to.
            stopped = self.trust.stop().addTimeout(PLUGIN_STOP_TIME, self._clock)
            return stopped.addErrback(lambda _: None)

        return DeferredList(closing).addCallback(done)

    def _cut(self, *, admitted: bool = True) -> None:
        """End what is still open; with ``admitted`` False only what has not come to MQTT yet."""
        for factory in self.listening:
            for connection in list(factory.connections):
                if admitted or connection.mqtt is None:
                    connection.transport.abortConnection()

"""The service: builds broker and listeners from the configuration, starts and stops them."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from mqttd._version import __version__
from mqttd.broker.broker import Broker
from mqttd.broker.limits import Limits
from mqttd.broker.sys_topics import SysTopics
from mqttd.config.errors import Finding
from mqttd.config.load import Loaded
from mqttd.config.schema.listeners import ListenerOptions
from mqttd.config.schema.mqtt import MqttOptions
from mqttd.config.schema.tls import DEFAULT_CERTFILE, SslOptions
from mqttd.engine.memory import MemoryEngine
from mqttd.engine.options import EngineOptions
from mqttd.log.trace import packet_trace
from mqttd.net.admission import OpenAdmission
from mqttd.net.events import LoggedEvents
from mqttd.net.factory import ListenerFactory
from mqttd.net.listeners import Listener, ListenError
from mqttd.net.steady_clock import SteadyClock
from mqttd.net.sweeper import Sweeper
from mqttd.net.turn import Turn
from mqttd.startup import StartupError
from mqttd.tls.bootstrap import DEFAULT_CACERTFILE
from mqttd.tls.context import ALPN_HTTP, ALPN_MQTT, ServerContext, build_server_context

STOP_TIME = 4.0
"""Seconds clients have to take their last bytes when the service stops."""

_LIMIT_NAMES = {field.name for field in attrs.fields(Limits)}


class BrokerService(Service):
    """The whole broker as a Twisted service.

    Everything that can be wrong in the configuration is found before any port is opened; ports are
    opened in ``privilegedStartService``, before twistd gives up root. Raises StartupError.
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
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor as default_reactor  # noqa: PLC0415

            reactor = default_reactor
        self._reactor = reactor
        self._clock = clock or SteadyClock(reactor)
        self._notices = notices
        self._findings = findings
        self._hints = hints
        configuration = loaded.configuration
        mqtt = configuration.mqtt
        self.engine = MemoryEngine(_engine_options(mqtt))
        limits = _limits(mqtt)
        self.broker = Broker(self.engine, limits, OpenAdmission(), events=LoggedEvents())
        self.turn = Turn(self._clock, self.broker)
        self.listeners: list[Listener] = []
        self._disabled: list[str] = []
        for options in configuration.listeners:
            if options.enable:
                self.listeners.append(self._listener(options, limits, loaded))
            else:
                self._disabled.append(options.id)
        self._sweeper = Sweeper(
            self._clock, self.broker, [listener.factory for listener in self.listeners]
        )
        self._sys_topics = configuration.sys_topics
        self._sys_call: LoopingCall | None = None

    def _listener(self, options: ListenerOptions, limits: Limits, loaded: Loaded) -> Listener:
        own = {
            name: value
            for name in ("peer_cert_as_username", "peer_cert_as_clientid")
            if (value := getattr(options, name)) is not None
        }
        factory = ListenerFactory(
            options,
            self.broker,
            attrs.evolve(limits, **own),
            self.turn,
            self._clock,
            _tls_context(options, loaded),
            packet_trace,
        )
        return Listener(factory, self._reactor)

    @override
    def privilegedStartService(self) -> None:
        """Open every port, or none: one that cannot be opened closes the others again."""
        problems = []
        for listener in self.listeners:
            try:
                listener.open()
            except ListenError as error:
                problems.append(str(error))
        if problems:
            for listener in self.listeners:
                listener.close()
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
        for listener in self.listeners:
            self._log.info(
                "{listener} listening on {address}{tls}",
                listener=listener.id,
                address=listener.address,
                tls=_tls_text(listener.factory.options),
            )
        for name in self._disabled:
            self._log.info("{listener} is disabled", listener=name)
        self._sweeper.start()
        if self._sys_topics.enabled:
            started = self._clock.seconds()
            topics = SysTopics(self.broker, f"mqttd {__version__}", started, _memory)
            self._sys_call = LoopingCall(self._publish_figures, topics)
            self._sys_call.clock = self._reactor
            self._sys_call.start(self._sys_topics.sys_msg_interval, now=True)

        self._log.info("mqttd is ready")
        if self._hints:
            self._print_hints()

    def _print_hints(self) -> None:
        """Ready-to-paste lines for the first TLS listener, without the log's time stamps."""
        for listener in self.listeners:
            if listener.factory.options.type != "ssl" or sys.__stdout__ is None:
                continue
            options = listener.factory.options.ssl_options
            assert options is not None
            cafile = _hint_cafile(options)
            if cafile is None:
                continue
            address = f"-h localhost -p {listener.port} --cafile {cafile}"
            print(f"\nTry it:\n  mosquitto_sub {address} -t hello/# -v", file=sys.__stdout__)
            print(f"  mosquitto_pub {address} -t hello/world -m 'it works'\n", file=sys.__stdout__)
            sys.__stdout__.flush()
            return

    def _publish_figures(self, topics: SysTopics) -> None:
        try:
            topics.publish(self.turn.touch())
        except Exception:
            # A LoopingCall ends with its first error; the figures must go on.
            self._log.failure("publishing $SYS failed; this is a bug in mqttd")

    @override
    def stopService(self) -> Deferred[Any]:
        """Stop accepting, say goodbye to every client, let the last bytes leave."""
        super().stopService()
        if self._sys_call is not None and self._sys_call.running:
            self._sys_call.stop()
        closing = [listener.close() for listener in self.listeners]
        count = len(self.broker.connections)
        if count:
            self._log.info("stopping; {count} connections are closed", count=count)
        self.broker.shut_down(self._clock.seconds())
        self.turn.end()
        self._cut(admitted=False)  # else a client could still come in after the goodbye
        closing += [listener.factory.when_empty() for listener in self.listeners]
        cut = self._reactor.callLater(STOP_TIME, self._cut)

        def done(_result: object) -> None:
            if cut.active():
                cut.cancel()
            self._sweeper.stop()

        return DeferredList(closing).addCallback(done)

    def _cut(self, *, admitted: bool = True) -> None:
        """End what is still open; with ``admitted`` False only what has not come to MQTT yet."""
        for listener in self.listeners:
            for connection in list(listener.factory.connections):
                if admitted or connection.mqtt is None:
                    connection.transport.abortConnection()


def _limits(mqtt: MqttOptions) -> Limits:
    return Limits(**{name: getattr(mqtt, name) for name in _LIMIT_NAMES})


def _engine_options(mqtt: MqttOptions) -> EngineOptions:
    return EngineOptions(
        max_mqueue_len=mqtt.max_mqueue_len,
        mqueue_drop_policy=mqtt.mqueue_drop_policy,
        mqueue_store_qos0=mqtt.mqueue_store_qos0,
        shared_subscription_strategy=mqtt.shared_subscription_strategy,
    )


def _tls_context(options: ListenerOptions, loaded: Loaded) -> ServerContext | None:
    if options.ssl_options is None:
        return None
    return build_server_context(
        options.ssl_options,
        loaded.base_dir,
        path=f"{options.path}.ssl_options",
        alpn=ALPN_HTTP if options.uses_websocket else ALPN_MQTT,
    )


def _hint_cafile(options: SslOptions) -> str | None:
    """The CA file a client would name, where it is known: with the certificates we made."""
    if options.certfile != DEFAULT_CERTFILE or options.requires_peer_cert:
        return None
    return options.cacertfile or DEFAULT_CACERTFILE


def _tls_text(options: ListenerOptions) -> str:
    if options.ssl_options is None:
        return ""
    clients = "client certificates required" if options.ssl_options.requires_peer_cert else ""
    return f" (TLS{', ' + clients if clients else ''})"


def _memory() -> Mapping[str, object]:
    """Resident memory in bytes, now and at its peak; mosquitto's names for its own heap."""
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    try:
        with open("/proc/self/statm", "rb") as statm:
            pages = int(statm.read().split()[1])
    except OSError:
        return {"heap/maximum": maximum}
    # Linux brings the peak up to date only now and then.
    current = pages * os.sysconf("SC_PAGE_SIZE")
    return {"heap/current": current, "heap/maximum": max(current, maximum)}

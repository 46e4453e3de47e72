"""``twistd mqttd``: the command line, and from it the service."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger, globalLogPublisher
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from typing_extensions import override

from mqttd.cli.check import check, report
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.places import CONFIG_FILES, default_configuration
from mqttd.config.schema.log import LogOptions
from mqttd.log.setup import Log
from mqttd.plugins import describe
from mqttd.runtime.signals import Signals
from mqttd.startup import (
    EXIT_CONFIGURATION,
    StartupError,
    load,
    prepare,
)
from mqttd.versions import version_text


class Options(usage.Options):
    """The options of ``twistd mqttd``."""

    # Twisted puts the names of the commands before it.
    synopsis = "[--config FILE]"
    longdesc = "An MQTT broker (3.1, 3.1.1, 5.0) over tcp, ssl, ws and wss."

    optParameters = [  # noqa: RUF012, N815 - Twisted's way
        ["config", "c", None, f"Configuration file (default: {' or else '.join(CONFIG_FILES)})."],
    ]
    optFlags = [  # noqa: RUF012, N815
        ["check-config", None, "Check the configuration and the files it names, then exit."],
    ]

    @override
    def opt_version(self) -> None:
        """Print the versions of mqttd and of what it runs on, then exit."""
        print(version_text())
        raise SystemExit(0)

    def opt_help_plugins(self) -> None:
        """List the plugins the configuration can name, by kind, then exit."""
        print(describe())
        raise SystemExit(0)

    @override
    def postOptions(self) -> None:
        if self["config"] is None:
            self["config"] = default_configuration()
        if self["config"] is None:
            raise usage.UsageError(
                f"there is no {' and no '.join(CONFIG_FILES)}: name one with --config"
            )
        if self["check-config"]:
            raise SystemExit(check(self["config"]))


class MqttdService(MultiService):
    """The broker and its log, as twistd and twist run them.

    ``replaces_log``: our log is the only one; else it is beside the one that twistd or twist was
    told to write. ``console_shown``: what we log at level critical gets to the operator's eyes.
    SIGHUP opens log files anew and calls ``reload``, SIGUSR1 only does the first.
    """

    _log = Logger()

    def __init__(
        self,
        broker: IService,
        log: Log,
        *,
        replaces_log: bool,
        console_shown: bool,
        reload: Callable[[str], object] = lambda _reason: None,
    ) -> None:
        super().__init__()
        self._output = log.observer
        self._reopen = log.reopen
        self._reload = reload
        self._signals: Signals | None = None
        self._replaces_log = replaces_log
        self._console_shown = console_shown
        broker.setServiceParent(self)

    @override
    def setServiceParent(self, parent: Any) -> None:
        # twistd asks the application for a log before it starts it.
        if self._replaces_log and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._output)
        super().setServiceParent(parent)

    @override
    def privilegedStartService(self) -> None:
        self._start(super().privilegedStartService)

    @override
    def startService(self) -> None:
        # Imported late: it installs a reactor when there is none.
        from twisted.internet import reactor  # noqa: PLC0415

        # Before anybody is told that we are ready: without a handler they would end the process.
        self._signals = Signals(
            reactor, {signal.SIGHUP: self._hang_up, signal.SIGUSR1: self._reopen_log}
        )
        self._signals.start()
        self._start(super().startService)
        # What is there now stays. Else the collector looks at all of it again and again, and each
        # time every client waits for tens of milliseconds.
        gc.collect()
        gc.freeze()

    def _hang_up(self) -> None:
        self._reopen_log()
        self._reload("SIGHUP")

    def _reopen_log(self) -> None:
        try:
            self._reopen()
        except OSError as problem:
            self._log.error(
                "the log file {file} cannot be opened anew: {problem}",
                file=problem.filename,
                problem=problem.strerror,
            )

    @override
    def stopService(self) -> Deferred[Any]:
        if self._signals is not None:
            self._signals.stop()
        stopped: Deferred[Any] = super().stopService()
        return stopped.addBoth(self._stopped)

    def _start(self, start: Callable[[], object]) -> None:
        if not self._replaces_log:
            globalLogPublisher.addObserver(self._output)  # once more does no harm
        try:
            start()
        except StartupError as error:
            if not self._console_shown:
                print(error, file=sys.__stderr__)
            raise

    def _stopped(self, result: object) -> object:
        if not self._replaces_log:
            globalLogPublisher.removeObserver(self._output)
        return result


def makeService(options: Options) -> IService:
    """The service for a parsed command line; twistd and twist call this.

    A configuration that cannot be used ends the process with status 78 and every error there is.
    """
    # Imported late: by now the reactor the user asked for is installed.
    from mqttd.service import BrokerService  # noqa: PLC0415

    path = options["config"]
    twistd = _twistd(options)
    try:
        loaded = load(path)
        notices, findings = prepare(loaded)
        log = Log(loaded.configuration.log)
        try:
            log.open_file(loaded.base_dir)
            console = _console(twistd, loaded.configuration.log)
        except OSError as error:
            raise StartupError([f"cannot log to {error.filename}: {error.strerror}"]) from None
        if console is not None:
            log.open_console(console)
        hints = log.console is not None and log.console.for_people and console is sys.stdout
        broker = BrokerService(loaded, notices=notices, findings=findings, hints=hints, log=log)
    except ConfigurationErrors as errors:
        print(report(path, errors.findings), file=sys.stderr)
        raise SystemExit(EXIT_CONFIGURATION) from None
    except StartupError as error:
        print(error, file=sys.stderr)
        raise
    return MqttdService(
        broker,
        log,
        replaces_log=twistd is not None and not _other_log(twistd),
        # twist's log has not begun then, and Twisted shows critical events until it has
        console_shown=console is sys.stdout or twistd is None,
        reload=broker.reload,
    )


def _twistd(options: Options) -> Mapping[str, Any] | None:
    """twistd's own options; None when twist, which has others, or a test calls us."""
    parent: Mapping[str, Any] | None = options.parent
    return parent if parent is not None and "nodaemon" in parent else None


def _other_log(twistd: Mapping[str, Any]) -> bool:
    """Whether twistd was told to write a log that ours must not replace."""
    misplaced = twistd["logfile"] == "-" and not twistd["nodaemon"]  # twistd refuses it
    return bool(twistd["logger"] or twistd["syslog"] or misplaced)


def _console(twistd: Mapping[str, Any] | None, options: LogOptions) -> TextIO | LogFile | None:
    """Where ``log.console`` goes: the place twistd's own log would go to."""
    if twistd is None or _other_log(twistd):
        return None
    name = twistd["logfile"]
    file: LogFile | None = None
    if name and name != "-":
        file = LogFile.fromFullPath(name)
    elif twistd["nodaemon"]:
        return sys.stdout if options.console.enable else None
    elif not options.file.enable:
        file = LogFile.fromFullPath("twistd.log")  # a daemon has no standard output
    return file

"""Where the log goes: console and file, each with its level and form, from the configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

from twisted.logger import ILogObserver, LogLevel, LogPublisher
from twisted.python.logfile import LogFile
from typing_extensions import override
from zope.interface import implementer

from mqttd.log import trace
from mqttd.log.jsonlines import format_json
from mqttd.log.names import LEVELS
from mqttd.log.text import Formatter, LogEvent, format_journal, format_text

FILE_MODE = 0o640
"""Logs name clients and addresses: not for everybody on the machine."""

_NOISE = ("log_legacy", "twisted.web.")
"""Twisted's own news, such as a line for each port it closes, or for each interim answer that a
server sends to our HTTP client."""

_RANKS = {level: rank for rank, level in enumerate(LogLevel.iterconstants())}


def _rank(event: LogEvent) -> int:
    level = event.get("log_level", LogLevel.info)
    if level is LogLevel.info and str(event.get("log_namespace")).startswith(_NOISE):
        level = LogLevel.debug
    return _RANKS[level]


class OutputOptions(Protocol):
    """What ``log.console`` and ``log.file`` have in common."""

    @property
    def enable(self) -> bool:
        """Whether there is this output."""

    @property
    def level(self) -> str:
        """Lowest level written: one of ``names.LEVELS``."""

    @property
    def formatter(self) -> str:
        """``text`` or ``json``."""


class FileOptions(OutputOptions, Protocol):
    """``log.file``."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def rotation_size(self) -> int | None:
        """Bytes at which a new file is begun; None: never."""

    @property
    def rotation_count(self) -> int:
        """How many old files are kept."""


class Options(Protocol):
    """``log``."""

    @property
    def console(self) -> OutputOptions:
        """Standard output."""

    @property
    def file(self) -> FileOptions:
        """A file."""


class RotatingFile(LogFile):
    """Twisted's rotating file, which stays open when it cannot be opened anew."""

    @override
    def reopen(self) -> None:
        """Close the file and open its path again; raises OSError and goes on with the old one."""
        old = self._file
        self._openFile()
        old.close()


@implementer(ILogObserver)
class Output:
    """One place the log goes to, with the lowest level that is written there."""

    def __init__(self, file: TextIO | LogFile, level: str, formatter: Formatter) -> None:
        self.file = file
        self.level = level
        self._format = formatter

    @property
    def for_people(self) -> bool:
        """Whether plain words may stand between the lines: no program reads them."""
        return self._format is format_text

    @property
    def level(self) -> str:
        """The lowest level written."""
        return self._level

    @level.setter
    def level(self, level: str) -> None:
        self._lowest = _RANKS[LEVELS[level]]
        self._level = level

    def __call__(self, event: LogEvent) -> None:
        """Write the event. Raises what the file raises; the publisher tells the other outputs."""
        if _rank(event) >= self._lowest:
            text = self._format(event)
            if text:
                self.file.write(text)
                self.file.flush()


class Log:
    """The outputs the configuration asks for; ``observer`` is what Twisted is to be given.

    The service makes one. Levels can be changed while it runs.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.console: Output | None = None
        self.file: Output | None = None
        self.observer = LogPublisher()
        self._switch_trace()

    def open_console(
        self, file: TextIO | LogFile, environ: Mapping[str, str] | None = None
    ) -> None:
        """Write to ``file`` as ``log.console`` says.

        Standard output connected to the systemd journal, as ``environ`` tells (None: the
        process's own), gets the journal's form.
        """
        options = self._options.console
        formatter = _FORMATTERS[options.formatter]
        if formatter is format_text and _is_journal(file, environ):
            formatter = format_journal
        if hasattr(file, "reconfigure"):
            file.reconfigure(errors="backslashreplace")  # a log must not fail on an old locale
        self.console = Output(file, options.level, formatter)
        self._add(self.console)

    def open_file(self, base_dir: str | os.PathLike[str] = ".") -> None:
        """Write ``log.file``, if it is enabled. Raises OSError."""
        options = self._options.file
        if not options.enable:
            return
        path = Path(base_dir, options.path)
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        file = RotatingFile(
            path.name,
            str(path.parent),
            rotateLength=options.rotation_size,
            maxRotatedFiles=options.rotation_count,
            defaultMode=FILE_MODE,
        )
        self.file = Output(file, options.level, _FORMATTERS[options.formatter])
        self._add(self.file)

    def set_level(self, level: str) -> None:
        """Change the lowest level of every output, as long as the process runs."""
        for output in self._outputs():
            output.level = level
        self._switch_trace()

    def set_levels(self, options: Options) -> None:
        """Levels as a configuration that was read again has them.

        An output whose option did not change keeps its level, also one :meth:`set_level` gave it.
        """
        before, self._options = self._options, options
        if self.console is not None and options.console.level != before.console.level:
            self.console.level = options.console.level
        if self.file is not None and options.file.level != before.file.level:
            self.file.level = options.file.level
        self._switch_trace()

    def reopen(self) -> None:
        """Open files anew, after another program moved them away. Raises OSError."""
        for output in self._outputs():
            if isinstance(output.file, LogFile):
                output.file.reopen()

    def close(self) -> None:
        """Close files; nothing is written any more."""
        for output in self._outputs():
            self.observer.removeObserver(output)
            if isinstance(output.file, LogFile):
                output.file.close()
        self.console = self.file = None

    def _outputs(self) -> list[Output]:
        return [output for output in (self.console, self.file) if output is not None]

    def _add(self, output: Output) -> None:
        self.observer.addObserver(output)
        self._switch_trace()

    def _switch_trace(self) -> None:
        trace.switch(any(output.level == "debug" for output in self._outputs()))


_FORMATTERS: Mapping[str, Formatter] = {"text": format_text, "json": format_json}


def _is_journal(file: Any, environ: Mapping[str, str] | None) -> bool:
    """Whether systemd connected this very stream to the journal (systemd.exec(5))."""
    stream = (os.environ if environ is None else environ).get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"

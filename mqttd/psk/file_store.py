"""The store of pre-shared keys that reads ``init_file``: in memory, replaced whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from typing_extensions import override
from zope.interface import implementer

from mqttd.config.errors import ConfigurationErrors, Finding, error
from mqttd.config.schema.psk import PskAuthenticationOptions
from mqttd.interfaces import IPSKStore, PluginContext
from mqttd.psk.check import PATH, read_psk_file
from mqttd.psk.psk_file import PskFile


@implementer(IPSKStore)
class FilePSKStore:
    """The keys of one file. Raises ConfigurationErrors when it cannot be read whole."""

    _log = Logger()

    def __init__(
        self,
        options: PskAuthenticationOptions,
        base_dir: Path,
        *,
        in_thread: Callable[..., Deferred[Any]] = deferToThread,
    ) -> None:
        self._options = options
        self._base_dir = base_dir
        self._in_thread = in_thread
        self._watchers: list[Callable[[], object]] = []
        self._keys: Mapping[bytes, bytes] = {}
        self._encoding = ""
        self._reloads = 0
        read, findings = read_psk_file(options, base_dir)
        if read is None:
            raise ConfigurationErrors(findings)
        self._take(read)

    @override
    def __repr__(self) -> str:
        return f"<FilePSKStore {self._options.init_file}: {len(self._keys)} identities>"

    def key_for(self, identity: bytes) -> bytes | None:
        """See IPSKStore."""
        return self._keys.get(identity)

    def identities(self) -> Sequence[bytes]:
        """See IPSKStore."""
        return tuple(self._keys)

    def on_change(self, changed: Callable[[], object]) -> None:
        """See IPSKStore."""
        self._watchers.append(changed)

    def check(self) -> list[Finding]:
        """What speaks for or against a reload now; reads the file, also outside the reactor's
        thread."""
        return self._read()[1]

    @inlineCallbacks
    def reload(self) -> Any:
        """Read the file again and use it whole, or go on with the keys there are.

        Fires with the findings, errors among them when nothing changed.
        """
        self._reloads += 1
        mine = self._reloads
        result: tuple[PskFile | None, list[Finding]] = yield self._in_thread(self._read)
        read, findings = result
        if mine != self._reloads:
            return findings  # a later reload has read what is newer, or will
        if read is None:
            for finding in findings:
                if finding.severity == "error":
                    self._log.error("{finding}", event="psk_file_refused", finding=finding.text)
        elif read.keys != self._keys:
            self._take(read)
            for changed in self._watchers:
                changed()
        return findings

    def _read(self) -> tuple[PskFile | None, list[Finding]]:
        read, findings = read_psk_file(self._options, self._base_dir)
        if read is None or not self._keys or not read.keys or read.encoding == self._encoding:
            return read, findings
        # One mistyped line would turn the keys of every client into others.
        place = "" if read.odd is None else f", because of line {read.odd}"
        message = f"keys would be {read.encoding} from now on, they were {self._encoding}{place}"
        cure = "mend the file, or write psk_authentication.encoding = " + read.encoding
        return None, [error(PATH, message, cure), *findings]

    def _take(self, read: PskFile) -> None:
        self._keys = read.keys
        self._encoding = read.encoding
        self._log.info(
            "pre-shared keys: {count} {noun} of {file}, keys written as {encoding}",
            event="psk_file_read",
            count=len(read.keys),
            noun="identity" if len(read.keys) == 1 else "identities",
            file=self._options.init_file,
            encoding=read.encoding,
        )


def make(options: PskAuthenticationOptions, context: PluginContext) -> FilePSKStore:
    """The plugin's target. Raises ConfigurationErrors."""
    return FilePSKStore(options, context.base_dir)

"""Transactional reload: everything is read and checked first, then swapped; or nothing is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from mqttd.broker.broker import Broker
from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.config.lint import lint
from mqttd.config.load import Loaded, placed
from mqttd.net.listeners import ListenError
from mqttd.runtime.changes import differences, needs_restart
from mqttd.runtime.listening import Listening, limits_of
from mqttd.runtime.sources import Digests, Look, digests, look, named_files
from mqttd.startup import check_everything, load

FILES_CHANGED = "files changed"
"""The reason of a reload that nobody asked for."""
_SHOWN = 12
"""Changes named in the one log line about a reload; the report has all."""


class Trusting(Protocol):
    """Holds the credentials in use: ``mqttd.runtime.trust.Trust``."""

    def parts(self, loaded: Loaded) -> Any:
        """Checkers and stores, made in the reactor's thread. Raises ConfigurationErrors."""

    def prepare(self, loaded: Loaded, parts: Any) -> Any:
        """Credentials for ``loaded``; may run in a thread. Raises ConfigurationErrors."""

    def ready(self, credentials: Any) -> Awaitable[object]:
        """Done when the credentials can be used at once, within a bounded time. Never raises."""

    def abandon(self) -> None:
        """What was made ready last is not used after all."""

    def adopt(self, credentials: Any) -> Awaitable[object]:
        """Use them in place of the former; done when everything is in force. Does not fail."""

    def refresh(self) -> None:
        """The operator wants what is outside of files to be asked again as well."""


@attrs.frozen
class ReloadReport:
    """What a reload did.

    ``changed`` and ``unchanged`` name options and files. ``needs_restart`` are the changed options
    that take effect only at the next start. ``refused`` says why nothing was changed, one line for
    each error; it is empty when the reload took place.
    """

    reason: str
    changed: Sequence[str] = ()
    unchanged: Sequence[str] = ()
    refused: Sequence[str] = ()
    needs_restart: Sequence[str] = ()
    findings: Sequence[Finding] = ()

    @property
    def ok(self) -> bool:
        """Whether the configuration and files as they are now are in use."""
        return not self.refused


@attrs.frozen
class _Candidate:
    loaded: Loaded
    look: Look
    digests: Digests
    findings: Sequence[Finding]


class Reloader:
    """Reads configuration and files again and puts them into use, whole or not at all.

    ``path`` is the configuration file. ``in_thread`` calls a function outside the reactor's
    thread, where files are read and parsed. ``applied`` is called with the new configuration once
    it is in use, ``looked`` after each attempt with what the files looked like before it.
    ``findings`` were told already, and are not told again.
    """

    _log = Logger()

    def __init__(
        self,
        loaded: Loaded,
        broker: Broker,
        listening: Listening,
        trust: Trusting,
        *,
        in_thread: Callable[..., Any] = maybeDeferred,
        applied: Callable[[Loaded], object] = lambda _loaded: None,
        looked: Callable[[Look], object] = lambda _look: None,
        reported: Callable[[ReloadReport], object] = lambda _report: None,
        findings: Sequence[Finding] = (),
    ) -> None:
        self.loaded = loaded
        self._broker = broker
        self._listening = listening
        self._trust = trust
        self._in_thread = in_thread
        self._applied = applied
        self._looked = looked
        self._reported = reported
        self._findings = findings
        self._look: Look = look(loaded)
        self._digests = digests(loaded)
        self._in_force: Deferred[Any] = succeed(None)
        self._busy = False
        self._waiting: list[Deferred[ReloadReport]] = []
        self._next = ""
        self._stopped = False

    @property
    def last_look(self) -> Look:
        """What the files looked like before they were read last."""
        return self._look

    def look(self) -> Look:
        """Look at the files now; for the watcher, also from a thread."""
        return look(self.loaded)

    def stop(self) -> None:
        """No reload takes effect any more."""
        self._stopped = True

    def reload(self, reason: str) -> Deferred[ReloadReport]:
        """Read everything again; ``reason`` is for the log. Never fails.

        One reload runs at a time; those asked for meanwhile are one further reload.
        """
        if self._busy:
            self._next = reason
            waiting: Deferred[ReloadReport] = Deferred()
            self._waiting.append(waiting)
            return waiting
        self._busy = True
        return Deferred.fromCoroutine(self._reload(reason)).addBoth(self._done)

    def _done(self, report: Any) -> Any:
        self._busy = False
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            again = self.reload(self._next)
            for each in waiting:
                again.addCallback(partial(_tell, each))
        return report

    async def _reload(self, reason: str) -> ReloadReport:
        before = self._look
        try:
            candidate = await self._in_thread(self._read)
            credentials = None
            if not self._unchanged(candidate):
                loaded = candidate.loaded
                parts = self._trust.parts(loaded)
                credentials = await self._in_thread(self._trust.prepare, loaded, parts)
                await self._trust.ready(credentials)
            report = await self._put_into_use(candidate, credentials, reason)
            await self._in_force
            if reason != FILES_CHANGED:
                self._do(self._trust.refresh)
        except ConfigurationErrors as errors:
            refused = tuple(finding.text for finding in errors.errors)
            report = ReloadReport(reason, refused=refused, findings=errors.findings)
        except ListenError as error:
            self._trust.abandon()
            report = ReloadReport(reason, refused=(str(error),))
        except Exception as error:
            self._log.failure("a reload failed; this is a bug in mqttd")
            report = ReloadReport(reason, refused=(f"internal error: {type(error).__name__}",))
        if self._look is not before:
            self._looked(self._look)
        self._say(report)
        self._do(self._reported, report)
        return report

    # --- in a thread -------------------------------------------------------------------------

    def _read(self) -> _Candidate:
        """Everything read, checked and made. Raises ConfigurationErrors with every error."""
        old = self.loaded
        first = look(old)
        self._look = first  # should the configuration not be readable
        loaded = load(str(old.base_dir / old.path), old.base_dir) if old.path is not None else old
        seen = {**look(loaded), **{file: first[file] for file in loaded.files if file in first}}
        self._look = seen
        hashed = digests(loaded)
        findings = check_everything(loaded)
        if any(finding.severity == "error" for finding in findings):
            raise ConfigurationErrors(findings)
        advice = [placed(each, loaded.origins) for each in lint(loaded.configuration)]
        findings = [finding for finding in findings if finding not in advice]
        return _Candidate(loaded, seen, hashed, findings)

    # --- in the reactor's thread -------------------------------------------------------------

    def _unchanged(self, candidate: _Candidate) -> bool:
        return (
            candidate.digests == self._digests
            and candidate.loaded.configuration == self.loaded.configuration
        )

    async def _put_into_use(
        self, candidate: _Candidate, credentials: Any, reason: str
    ) -> ReloadReport:
        if self._stopped:
            return ReloadReport(reason, refused=("the broker stops",))
        new, old = candidate.loaded, self.loaded
        options = differences(old.configuration, new.configuration)
        names = named_files(new)
        touched = [
            file for file in names if candidate.digests.get(file) != self._digests.get(file)
        ]
        report = ReloadReport(
            reason,
            changed=(*options, *(_shown(file, new.base_dir) for file in touched)),
            unchanged=tuple(_shown(file, new.base_dir) for file in names if file not in touched),
            needs_restart=tuple(path for path in options if needs_restart(path)),
            findings=[each for each in candidate.findings if each not in self._findings],
        )
        if credentials is None:
            return report
        moves = await self._listening.prepare(new.configuration, credentials)
        # From here on nothing can fail; what does all the same must not keep the rest from it.
        self._do(self._listening.apply, moves, new.configuration, credentials)
        self._broker.limits = limits_of(new.configuration)
        self._in_force = maybeDeferred(self._trust.adopt, credentials)
        self._in_force.addErrback(self._broke)
        self.loaded, self._digests = new, candidate.digests
        self._findings = candidate.findings
        self._do(self._applied, new)
        return report

    def _do(self, step: Callable[..., object], *arguments: object) -> None:
        try:
            step(*arguments)
        except Exception:
            self._broke(Failure())

    def _broke(self, failure: Failure) -> None:
        self._log.failure("a step of a reload failed; this is a bug in mqttd", failure)

    def _say(self, report: ReloadReport) -> None:
        reason = report.reason
        if not report.ok:
            for line in report.refused:
                self._log.error("reload refused: {problem}", event="reload_refused", problem=line)
            self._log.error(
                "reload ({reason}) changed nothing; what was in use before stays in use",
                event="reload_failed",
                reason=reason,
            )
            return
        for finding in report.findings:
            if finding.severity == "warning":
                self._log.warn("{finding}", event="configuration_finding", finding=finding.text)
        self._log.info(
            "reload ({reason}): {changed}",
            event="reloaded",
            reason=reason,
            changed=_list(report.changed) or "nothing has changed",
        )
        if report.needs_restart:
            self._log.warn(
                "needs a restart: {options}",
                event="needs_restart",
                options=_list(report.needs_restart),
            )


def _tell(waiting: Deferred[ReloadReport], report: ReloadReport) -> ReloadReport:
    waiting.callback(report)
    return report


def _shown(file: Path, base_dir: Path) -> str:
    """A path as short as it can be."""
    return str(file.relative_to(base_dir) if file.is_relative_to(base_dir) else file)


def _list(words: Sequence[str]) -> str:
    more = len(words) - _SHOWN
    return ", ".join(words[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

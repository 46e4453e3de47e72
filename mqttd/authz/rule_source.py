"""A source of rules that were read from a file, and are read again when it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from typing_extensions import override
from zope.interface import implementer

from mqttd.authz.rules import Decision, RuleSet
from mqttd.config.errors import ConfigurationErrors, Finding
from mqttd.identity import AccessRequest
from mqttd.interfaces import IAuthorizer


@attrs.frozen
class Read:
    """What a file gave: its rules, and a digest that tells it from another text."""

    rules: RuleSet
    digest: bytes = b""


@implementer(IAuthorizer)
class RuleSource:
    """Decides by rules in memory.

    ``read`` reads the file, and raises ConfigurationErrors; it is called in a thread except for
    the first time. ``name`` is the file, or the option that holds the rules. ``otherwise`` is the
    answer where no rule fits.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        read: Callable[[], Read],
        *,
        otherwise: bool | None = None,
        in_thread: Callable[..., Deferred[Any]] = deferToThread,
    ) -> None:
        self.name = name
        self._read = read
        self._in_thread = in_thread
        self._changed: Callable[[], object] | None = None
        self.otherwise = otherwise
        self._now = read()

    @override
    def __repr__(self) -> str:
        return f"<RuleSource {self.name}: {len(self._now.rules)} rules>"

    def authorize(self, request: AccessRequest) -> bool | None:
        """See IAuthorizer."""
        decision = self._now.rules.decide(request)
        return self.otherwise if decision is None else decision.allow

    def decide(self, request: AccessRequest) -> Decision | None:
        """The rule that decides, for ``mqttd acl explain``."""
        return self._now.rules.decide(request)

    def on_change(self, changed: Callable[[], object]) -> None:
        """See IAuthorizer."""
        self._changed = changed

    def reload(self) -> Deferred[None]:
        """Read the file again; one with an error changes nothing."""
        reading: Deferred[Read] = self._in_thread(self._read)
        return reading.addCallbacks(self._take, self._keep)

    def _take(self, read: Read) -> None:
        if read.digest == self._now.digest:
            return
        self._now = read
        self._log.info(
            "{source}: {count} rules are in use",
            event="rules_read",
            source=self.name,
            count=len(read.rules),
        )
        if self._changed is not None:
            self._changed()

    def _keep(self, failure: Any) -> None:
        failure.trap(ConfigurationErrors)
        for finding in failure.value.errors:
            self._log.error("{finding}", event="rules_refused", finding=finding.text)


def without_errors(findings: Sequence[Finding]) -> None:
    """Raise ConfigurationErrors when there are errors."""
    if any(finding.severity == "error" for finding in findings):
        raise ConfigurationErrors(findings)

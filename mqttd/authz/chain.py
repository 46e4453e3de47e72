"""Sources of rules asked in order: the first that allows or denies decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mqttd.authz.identity_rules import IdentityRules
from mqttd.broker.authorization import Decision
from mqttd.identity import AccessRequest
from mqttd.interfaces import IAuthorizer
from mqttd.log.failures import Failures, what_failed
from mqttd.plugins import later

MOST_ASKED: Final = 10_000
"""Questions of one chain that are waited for; one more is denied."""
TIME_LIMIT: Final = 60.0
"""Seconds one source has for one answer; those built in have shorter limits."""
IDENTITY: Final = "the rules of the identity"
NO_MATCH: Final = "authorization.no_match"

Done = Callable[[Decision], None]

_ALLOWED_BY_IDENTITY: Final = Decision(True, IDENTITY)
_ALLOWED_BY_DEFAULT: Final = Decision(True, NO_MATCH)
_DENIED_BY_DEFAULT: Final = Decision(False, NO_MATCH)


@attrs.frozen(eq=False)
class Link:
    """One source. ``name`` says in the log which: its type, and where the configuration has it."""

    name: str
    authorizer: IAuthorizer


class SourceChain:
    """The rules of the identity, then the sources, then ``denies``: what no rule speaks of.
    Clients that brought rules have a source in them: for those ``denies_ruled`` counts as well.

    A source that fails, or does not answer in time, denies: nobody is let through because a
    server is down.
    """

    _log = Logger()

    def __init__(
        self,
        links: Sequence[Link],
        clock: IReactorTime,
        *,
        denies: bool,
        denies_ruled: bool = True,
    ) -> None:
        self.links = tuple(links)
        self.denies = denies
        self.denies_ruled = denies or denies_ruled
        self._failures = {
            link: Failures("authorizer", link.name, clock, text="source of rules")
            for link in self.links
        }
        self._clock = clock
        self._identity_rules = IdentityRules()
        self._asked = 0

    @property
    def asked(self) -> int:
        """Questions whose answer is waited for."""
        return self._asked

    def no_match(self, request: AccessRequest) -> bool:
        """Whether what no rule speaks of is allowed to this client."""
        return not (self.denies_ruled if request.identity.rules else self.denies)

    def ask(self, request: AccessRequest, done: Done) -> Decision | None:
        """The decision, or None: then ``done`` is called with it, once and later."""
        if request.identity.rules:
            try:
                said = self._identity_rules.decide(request)
            except Exception as error:
                self._log.failure("rules of an identity cannot be used")
                return Decision(
                    False, f"{IDENTITY}, which failed: {what_failed(error)}", known=False
                )
            if said is not None:
                return _ALLOWED_BY_IDENTITY if said.allow else Decision(False, _by_rule(said))
        return self._ask_from(0, request, done)

    def _ask_from(self, start: int, request: AccessRequest, done: Done) -> Decision | None:
        for number in range(start, len(self.links)):
            link = self.links[number]
            if self._asked >= MOST_ASKED:
                return Decision(False, f"{link.name}, asked too much at once", known=False)
            try:
                answer: Any = link.authorizer.authorize(request)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # asyncio's CancelledError is no Exception
                return self._failed(link, error)
            if answer is None:
                continue
            if answer is True or answer is False:
                return _decision(link, request, answer)
            waiting = later(answer)
            if waiting is None:
                return self._failed(link, TypeError(f"the answer is a {type(answer).__name__}"))
            decision = self._await(number, request, waiting, done)
            return None if decision is None else decision[0]
        return _ALLOWED_BY_DEFAULT if self.no_match(request) else _DENIED_BY_DEFAULT

    def _await(
        self, number: int, request: AccessRequest, waiting: Deferred[Any], done: Done
    ) -> tuple[Decision | None] | None:
        """None when the answer is awaited; one that was there already is returned at once."""
        link = self.links[number]
        at_once: list[Decision | None] = []
        returned = False

        def go_on(answer: Any) -> None:
            self._asked -= 1
            decision: Decision | None
            if answer is None:
                decision = self._ask_from(number + 1, request, done)
            elif answer is True or answer is False:
                decision = _decision(link, request, answer)
            else:
                error = TypeError(f"the answer is a {type(answer).__name__}")
                decision = self._failed(link, error)
            settle(decision)

        def settle(decision: Decision | None) -> None:
            if not returned:
                at_once.append(decision)
            elif decision is not None:
                done(decision)

        def broke(failure: Any) -> None:
            self._asked -= 1
            settle(self._failed(link, failure.value))

        self._asked += 1
        waiting.addTimeout(TIME_LIMIT, self._clock)
        waiting.addCallbacks(go_on, broke)
        waiting.addErrback(partial(self._lost, link))
        returned = True
        return (at_once[0],) if at_once else None

    def _lost(self, link: Link, failure: Any) -> None:
        self._log.failure(
            "an answer of {name} was lost; this is a bug in mqttd", failure, name=link.name
        )

    def _failed(self, link: Link, error: BaseException) -> Decision:
        """Log a failure, not too often; it denies."""
        what = self._failures[link].add(error, "what it was asked about is denied")
        return Decision(False, f"{link.name}, which {what}", known=False)


def _decision(link: Link, request: AccessRequest, allowed: bool) -> Decision:
    if allowed:
        return Decision(True, link.name)
    said = None
    try:
        decide = getattr(link.authorizer, "decide", None)
        said = None if decide is None else decide(request)
    except Exception:  # it denies all the same
        said = None
    rule = getattr(said, "rule", None)
    return Decision(False, link.name if rule is None else f"{link.name}, {_place(rule)}")


def _by_rule(said: Any) -> str:
    return f"{IDENTITY}, {_place(said.rule)}"


def _place(rule: Any) -> str:
    return f"line {rule.line}" if getattr(rule, "line", 0) else f"rule {rule.number}"

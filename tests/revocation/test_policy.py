"""One verdict out of several checkers, some of which know nothing, fail, or never answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from mqttd.interfaces import (
    REVOKED,
    STATUS_GOOD,
    UNKNOWN,
    IRevocationChecker,
    RevocationStatus,
)
from mqttd.revocation.policy import RevocationPolicy
from mqttd.tls.verdict import ACCEPTED, ASK, Verdict

OUT = RevocationStatus(REVOKED, "revoked", "revoked yesterday")
LOST = RevocationStatus(UNKNOWN, "crl-timeout", "no answer")
LET_IN = RevocationStatus(UNKNOWN, "crl-timeout", "no answer", allow=True)


@implementer(IRevocationChecker)
class Told:
    """A checker that says what it was told to say: a status, an exception, or None."""

    def __init__(self, known: Any, later: Any = None) -> None:
        self._known = known
        self.later = later
        self.watchers: list[Callable[[], object]] = []
        self.asked = 0

    def known(self, chain: Any) -> Any:
        if isinstance(self._known, Exception):
            raise self._known
        return self._known

    async def check(self, chain: Any) -> Any:
        self.asked += 1
        if isinstance(self.later, Exception):
            raise self.later
        if isinstance(self.later, Deferred):
            return await self.later
        return self.later

    def on_change(self, changed: Callable[[], object]) -> None:
        self.watchers.append(changed)

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Asked:
    """A policy over some checkers, and the verdicts it gave."""

    def __init__(self, pki: Any, *checkers: Any) -> None:
        self.clock = Clock()
        named = {f"c{number}": each for number, each in enumerate(checkers)}
        self.policy = RevocationPolicy(
            named, clock=self.clock, time_limit=20.0, now=self.clock.seconds
        )
        self.chain = (pki.client_ec.cert, pki.root.cert)
        self.verdicts: list[Verdict] = []

    def judge(self) -> Verdict:
        return self.policy.judge(self.chain)

    def ask(self) -> list[Verdict]:
        self.policy.ask(self.chain, self.verdicts.append)
        return self.verdicts


def test_all_good(pki: Any) -> None:
    asked = Asked(pki, Told(STATUS_GOOD), Told(STATUS_GOOD))
    assert asked.judge() == ACCEPTED
    assert asked.ask() == [ACCEPTED]
    assert Asked(pki).ask() == [ACCEPTED]


def test_revoked_by_one_is_revoked_whatever_the_others_say(pki: Any) -> None:
    for other in (None, STATUS_GOOD, LOST, LET_IN, ValueError("x")):
        asked = Asked(pki, Told(other), Told(OUT))
        assert asked.judge() == Verdict(23, "revoked", "revoked yesterday")


def test_unknown_is_refused_unless_allowed(pki: Any, log_lines: list[str]) -> None:
    assert Asked(pki, Told(LOST), Told(None)).judge() == Verdict(28, "crl-timeout", "no answer")
    asked = Asked(pki, Told(LET_IN), Told(STATUS_GOOD))
    assert [asked.judge() for _ in range(5)] == [ACCEPTED] * 5
    [line] = log_lines
    assert "CN=dev-ec let in" in line
    asked.clock.advance(61.0)
    asked.judge()
    assert "4 more" in log_lines[-1]


def test_who_knows_nothing_is_asked(pki: Any) -> None:
    waiting: Deferred[Any] = Deferred()
    slow, quick = Told(None, waiting), Told(None, STATUS_GOOD)
    asked = Asked(pki, slow, quick, Told(STATUS_GOOD))
    assert asked.judge() == ASK
    assert asked.ask() == []
    assert (slow.asked, quick.asked) == (1, 1)
    waiting.callback(OUT)
    assert [verdict.error for verdict in asked.verdicts] == [23]


def test_a_revocation_ends_the_waiting(pki: Any, log_lines: list[str]) -> None:
    asked = Asked(pki, Told(None, Deferred()), Told(None, OUT), Told(None, Deferred()))
    assert [verdict.error for verdict in asked.ask()] == [23]
    asked.clock.advance(60.0)
    assert len(asked.verdicts) == 1
    assert asked.clock.getDelayedCalls() == []
    assert log_lines == []


def test_time_is_limited(pki: Any) -> None:
    asked = Asked(pki, Told(None, Deferred()), Told(None, STATUS_GOOD))
    asked.ask()
    asked.clock.advance(20.0)
    [verdict] = asked.verdicts
    assert (verdict.error, verdict.cause) == (28, "revocation-timeout")
    assert "c0" in verdict.text


@pytest.mark.parametrize("wrong", [ValueError("secret?"), True, "good", None])
def test_a_checker_that_fails_lets_nobody_in(pki: Any, log_lines: list[str], wrong: Any) -> None:
    asked = Asked(pki, Told(None, wrong))
    for _ in range(3):
        asked.ask()
    assert {verdict.cause for verdict in asked.verdicts} == {"revocation-failed"}
    assert {verdict.error for verdict in asked.verdicts} == {28}
    assert "c0" in asked.verdicts[0].text
    assert len(log_lines) == 1
    if wrong is not None:
        asked = Asked(pki, Told(wrong))
        assert asked.judge().cause == "revocation-failed"


def test_who_is_told_a_verdict_may_fail(pki: Any, log_lines: list[str]) -> None:
    asked = Asked(pki, Told(STATUS_GOOD))

    def fails(verdict: Verdict) -> None:
        raise ValueError("no")

    asked.policy.ask(asked.chain, fails)
    assert len(log_lines) == 1


def test_changes_are_passed_on(pki: Any) -> None:
    checkers = [Told(STATUS_GOOD), Told(STATUS_GOOD)]
    changes: list[int] = []
    Asked(pki, *checkers).policy.on_change(lambda: changes.append(1))
    for checker in checkers:
        for watcher in checker.watchers:
            watcher()
    assert changes == [1, 1]

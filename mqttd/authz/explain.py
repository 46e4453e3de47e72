"""Which rule decides, and why: what ``mqttd acl explain`` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from mqttd.authz.identity_rules import IdentityRules
from mqttd.authz.rule_source import RuleSource
from mqttd.authz.rules import Decision
from mqttd.identity import AccessRequest

SUPERUSER: Final = "superuser"
IDENTITY: Final = "rules of the identity"
NO_MATCH: Final = "authorization.no_match"


@attrs.frozen
class Asking:
    """One source as it is put to the question. ``place`` is the option that holds it, ``kind``
    its type, ``authorizer`` the source itself. ``file`` is what it reads, if anything."""

    place: str
    kind: str
    authorizer: Any
    file: str = ""


@attrs.frozen
class Step:
    """What one of those that are asked in turn says.

    ``allow`` None: it says nothing, or, when ``asked`` is False, it was not asked. ``rule`` counts
    from 1 and ``line`` is of the file; 0 where there is none. ``topic`` is the one of the rule's
    topics that fitted.
    """

    place: str
    kind: str
    allow: bool | None = None
    asked: bool = True
    file: str = ""
    rule: int = 0
    line: int = 0
    text: str = ""
    topic: str = ""
    problem: str = ""


@attrs.frozen
class Explanation:
    """What would be answered, and by whom. ``allow`` None: it depends on a source not asked."""

    allow: bool | None
    steps: Sequence[Step]


def explain(
    request: AccessRequest,
    sources: Sequence[Asking],
    no_match: bool,
    ask: Callable[[Any, AccessRequest], bool | None] | None = None,
) -> Explanation:
    """Put the question to each in turn, as the broker does, until one decides.

    ``ask`` asks a source that is not in memory, such as a server; it may raise. Without it such a
    source is not asked, and what follows holds only if that source says nothing.
    """
    if request.identity.is_superuser:
        return Explanation(True, [Step(SUPERUSER, "", True)])
    steps: list[Step] = []
    if request.identity.rules:
        steps.append(_step(Step(IDENTITY, ""), IdentityRules().decide(request), None))
    for source in sources:
        if steps and steps[-1].allow is not None:
            break
        steps.append(_ask(source, request, ask))
    if not steps or steps[-1].allow is None:
        steps.append(Step(NO_MATCH, "", no_match))
    last = steps[-1].allow
    # Sources that were not asked might have decided before.
    certain = all(step.asked for step in steps[:-1])
    return Explanation(last if certain else None, steps)


def _ask(
    source: Asking,
    request: AccessRequest,
    ask: Callable[[Any, AccessRequest], bool | None] | None,
) -> Step:
    step = Step(source.place, source.kind, file=source.file)
    if isinstance(source.authorizer, RuleSource):
        decision = source.authorizer.decide(request)
        return _step(step, decision, source.authorizer.otherwise)
    if ask is None:
        return attrs.evolve(step, asked=False)
    try:
        return attrs.evolve(step, allow=ask(source.authorizer, request))
    except Exception as problem:  # a stranger's plugin; it denies, as it would in the broker
        said = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
        return attrs.evolve(step, allow=False, problem=said)


def _step(step: Step, decision: Decision | None, otherwise: bool | None) -> Step:
    if decision is None:
        return attrs.evolve(step, allow=otherwise)
    rule = decision.rule
    return attrs.evolve(
        step,
        allow=rule.allow,
        rule=rule.number,
        line=rule.line,
        text=rule.text,
        topic=decision.topic,
    )


def words_of(explanation: Explanation) -> str:
    """The explanation for people: a line or two for each step, then the answer."""
    lines: list[str] = []
    for step in explanation.steps:
        lines += _words(step)
    answer = {True: "allowed", False: "denied", None: "not decided: see which source is not asked"}
    return "\n".join([*lines, answer[explanation.allow]])


def _words(step: Step) -> list[str]:
    if step.place == SUPERUSER:
        return ["a superuser may do everything"]
    if step.place == NO_MATCH:
        return [f"no rule fits; {NO_MATCH} is {'allow' if step.allow else 'deny'}"]
    kind = f" ({step.kind})" if step.kind else ""
    if not step.asked:
        return [f"{step.place}{kind}: would be asked; --ask does so; if it says nothing:"]
    if step.problem:
        return [f"{step.place}{kind}: failed, which denies: {step.problem}"]
    if step.rule:
        where = f"{step.file}:{step.line}" if step.line else f"rule {step.rule}"
        about = [f"    {step.text}"]
        if step.topic not in step.text:
            about.append(f"    by its topic {step.topic}")
        return [f"{step.place}{kind}: {where} decides", *about]
    if step.allow is None:
        return [f"{step.place}{kind}: no rule fits"]
    if step.file:
        return [f"{step.place}{kind}: no line of {step.file} allows it"]
    return [f"{step.place}{kind}: says {'allow' if step.allow else 'deny'}"]

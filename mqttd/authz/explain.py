"""Which rule decides, and why: what ``mqttd acl explain`` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mqttd.authz.identity_rules import IdentityRules
from mqttd.authz.rule_source import RuleSource
from mqttd.authz.rules import Decision
from mqttd.broker.topics import check_topic_filter, check_topic_name, parse_shared
from mqttd.identity import SUBSCRIBE, AccessRequest
from mqttd.packets.errors import MqttError
from mqttd.packets.primitives import LONGEST_STRING

SUPERUSER: Final = "superuser"
IDENTITY: Final = "rules of the identity"
NO_MATCH: Final = "authorization.no_match"
_SECONDS: Final = 30.0
"""How long a source has for its answer."""


@attrs.frozen
class Asking:
    """One source as it is put to the question. ``place`` is the option that holds it, ``kind``
    its type, ``authorizer`` the source itself; None where it cannot be asked."""

    place: str
    kind: str
    authorizer: Any


@attrs.frozen
class Step:
    """What one of those that are asked in turn says.

    ``allow`` None: it says nothing, or, when ``asked`` is False, it was not asked. ``file`` is
    what a source reads, or the option that holds its rules. ``rule`` counts from 1 and ``line`` is
    of the file; 0 where there is none. ``topic`` is the one of the rule's topics that fitted.
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


def parse_topic(action: str, text: str) -> tuple[str | None, str]:
    """(Share Name or None, topic) of what an operator wrote. Raises ValueError."""
    try:
        if action != SUBSCRIBE:
            check_topic_name(text.encode(), LONGEST_STRING)
            return None, text
        group, topic = parse_shared(text)
        check_topic_filter(topic, LONGEST_STRING)
    except UnicodeEncodeError:
        raise ValueError("the topic is no text") from None
    except MqttError as problem:
        raise ValueError(str(problem)) from None
    return group, topic


async def explain(
    request: AccessRequest,
    sources: Sequence[Asking],
    no_match: bool,
    clock: IReactorTime | None = None,
) -> Explanation:
    """Put the question to each in turn, as the broker does, until one decides.

    Sources that are not in memory, such as servers, are asked only with a ``clock``, which limits
    the time they have. What follows one that is not asked holds only if it says nothing.
    """
    if request.identity.is_superuser:
        return Explanation(True, [Step(SUPERUSER, "", True)])
    steps: list[Step] = []
    if request.identity.rules:
        steps.append(_step(Step(IDENTITY, ""), IdentityRules().decide(request), None))
    for source in sources:
        if steps and steps[-1].allow is not None:
            break
        steps.append(await _ask(source, request, clock))
    if not steps or steps[-1].allow is None:
        steps.append(Step(NO_MATCH, "", no_match))
    last = steps[-1].allow
    # Sources that were not asked might have decided before.
    certain = all(step.asked for step in steps[:-1])
    return Explanation(last if certain else None, steps)


async def _ask(source: Asking, request: AccessRequest, clock: IReactorTime | None) -> Step:
    step = Step(source.place, source.kind)
    authorizer = source.authorizer
    if isinstance(authorizer, RuleSource):
        step = attrs.evolve(step, file=authorizer.name)
        return _step(step, authorizer.decide(request), authorizer.otherwise)
    if clock is None or authorizer is None:
        return attrs.evolve(step, asked=False)

    async def answer() -> Any:
        said = authorizer.authorize(request)
        return await said if hasattr(said, "__await__") else said

    try:
        said = await Deferred.fromCoroutine(answer()).addTimeout(_SECONDS, clock)
    except Exception as problem:  # a stranger's plugin; it denies, as it would in the broker
        # the text of an error may quote what was sent
        text = str(getattr(problem, "safe_text", "")) or type(problem).__name__
        return attrs.evolve(step, allow=False, problem=text)
    if said is not None and not isinstance(said, bool):
        return attrs.evolve(step, allow=False, problem=f"the answer is a {type(said).__name__}")
    return attrs.evolve(step, allow=said)


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
        place = f" of {step.file}" if step.file else ""
        where = f"{step.file}:{step.line}" if step.line else f"rule {step.rule}{place}"
        about = [f"    {step.text}"]
        if step.topic not in step.text:
            about.append(f"    by its topic {step.topic}")
        return [f"{step.place}{kind}: {where} decides", *about]
    if step.allow is None:
        return [f"{step.place}{kind}: no rule fits"]
    if step.file:
        return [f"{step.place}{kind}: nothing in {step.file} allows it"]
    return [f"{step.place}{kind}: says {'allow' if step.allow else 'deny'}"]

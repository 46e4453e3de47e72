"""Rules made of the plain values of a file or of the configuration, and what is wrong there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from mqttd.authz.rules import ACTIONS, ALL, Rule
from mqttd.authz.topic_pattern import TopicPattern, parse_topic
from mqttd.authz.who_reader import read_who, unknown
from mqttd.config.errors import Finding, error
from mqttd.config.types import shown
from mqttd.identity import SUBSCRIBE
from mqttd.placeholders import BadTemplate

MOST_RULES: Final = 100_000
"""Rules of one source."""
_NAMED: Final = 100
"""Errors named of one source."""
_PARTS: Final = ("permission", "who", "action", "qos", "retain", "topics")
_WORDS: Final = {"true": True, "false": False, "all": None}


class _Wrong(Exception):  # noqa: N818 - says what is wrong
    def __init__(self, problem: str, cure: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


@attrs.define
class RuleReader:
    """Reads the rules of one source. ``path`` is the option that holds or names them, ``file``
    the file they stand in, if any. ``findings`` has what is wrong."""

    path: str
    file: str = ""
    findings: list[Finding] = attrs.field(factory=list)
    _wrong: int = 0

    def rules(self, values: Any) -> list[Rule]:
        """The rules of a list of sections; those with errors are left out."""
        if not isinstance(values, list):
            self.complain("", 0, "rules is no list", "write rules = [ { ... }, { ... } ]")
            return []
        if len(values) > MOST_RULES:
            self.complain("", 0, f"has more than {MOST_RULES} rules")
            return []
        made = [self._rule(number, value, values) for number, value in enumerate(values, 1)]
        if self._wrong > _NAMED:
            self._add("", 0, f"{self._wrong - _NAMED} more errors", "")
        return [rule for rule in made if rule is not None]

    def complain(self, place: str, line: int, problem: str, cure: str = "") -> None:
        """Note one error; of very many only the first are named."""
        self._wrong += 1
        if self._wrong <= _NAMED:
            self._add(place, line, problem, cure)

    def _add(self, place: str, line: int, problem: str, cure: str) -> None:
        origin = f"{self.file}:{line}" if self.file and line else self.file
        path = f"{self.path}: {place}" if place and self.file else f"{self.path}{place}"
        self.findings.append(attrs.evolve(error(path, problem, cure), origin=origin))

    def _rule(self, number: int, value: Any, values: Any) -> Rule | None:
        line = _line(values, number - 1)
        place = f"rules[{number - 1}]" if self.file else f"[{number - 1}]"
        if not isinstance(value, Mapping):
            cure = "write { permission = allow, action = publish, topics = [...] }"
            self.complain(place, line, f"expects a section {{ ... }}, not {shown(value)}", cure)
            return None
        before = self._wrong
        for key in value:
            if key not in _PARTS:
                self.complain(f"{place}.{key}", _line(value, key, line), *unknown(key, _PARTS))
        read: dict[str, Any] = {}
        readers: Sequence[tuple[str, Callable[[Any], Any]]] = (
            ("permission", _permission),
            ("action", _action),
            ("qos", _qos),
            ("retain", _retain),
        )
        for key, parse in readers:
            try:
                read[key] = parse(value.get(key))
            except _Wrong as wrong:
                where = f"{place}.{key}"
                self.complain(where, _line(value, key, line), wrong.problem, wrong.cure)
        who = read_who(
            value.get("who"),
            lambda field, problem, cure: self.complain(
                f"{place}.who{field}", _line(value, "who", line), problem, cure
            ),
        )
        topics = self._topics(value, place, line)
        if read.get("retain") is not None and read.get("action") == SUBSCRIBE:
            problem = "only concerns publishing"
            self.complain(f"{place}.retain", _line(value, "retain", line), problem, "remove it")
        if self._wrong > before:
            return None
        return Rule(
            number,
            read["permission"],
            read["action"],
            topics,
            who,
            read["qos"],
            read["retain"],
            line,
        )

    def _topics(self, value: Mapping[str, Any], place: str, line: int) -> tuple[TopicPattern, ...]:
        given = value.get("topics")
        at = _line(value, "topics", line)
        place = f"{place}.topics"
        if isinstance(given, str):
            given = [given]
        if not isinstance(given, list) or not given:
            problem = "is not set" if given is None else "expects a list of topics"
            self.complain(place, at, problem, 'write topics = ["a/b", "c/#"]; "#" is every topic')
            return ()
        topics = []
        for number, text in enumerate(given):
            inner = _line(given, number, at)
            if not isinstance(text, str):
                problem = f"expects text, not {shown(text)}"
                self.complain(f"{place}[{number}]", inner, problem, "put it in double quotes")
                continue
            try:
                topics.append(parse_topic(text))
            except BadTemplate as bad:
                self.complain(f"{place}[{number}]", inner, bad.problem, bad.cure)
        return tuple(topics)


def _line(holder: Any, key: Any, otherwise: int = 0) -> int:
    """Where a key or item stands, when the file's reader said so."""
    lines = getattr(holder, "lines", None)
    try:
        return int(lines[key]) if lines is not None else otherwise
    except (KeyError, IndexError):
        return otherwise


def _permission(value: Any) -> bool:
    if value in ("allow", "deny"):
        return bool(value == "allow")
    problem = "is not set" if value is None else f"expects allow or deny, not {shown(value)}"
    raise _Wrong(problem, "write permission = allow or permission = deny")


def _action(value: Any) -> str:
    if value is None:
        return ALL
    if value in ACTIONS:
        return str(value)
    problem = f"expects {', '.join(ACTIONS)}, not {shown(value)}"
    raise _Wrong(problem, "write action = publish, action = subscribe or action = all")


def _qos(value: Any) -> frozenset[int] | None:
    if value is None or value == "all":
        return None
    levels = {str(each) for each in (value if isinstance(value, list) else [value])}
    if not levels or not levels <= {"0", "1", "2"}:
        raise _Wrong("expects a list of some of 0, 1 and 2", "write qos = [0, 1]")
    return frozenset(int(each) for each in levels)


def _retain(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    raise _Wrong(f"expects true, false or all, not {shown(value)}", "write retain = false")

"""mosquitto's ``acl_file``: ``type = "mosquitto"``, with its order and its last word, no.

As mosquitto has it: what stands before the first ``user`` line is about clients without a user
name; ``pattern`` lines are about all clients, with ``%c`` for the Client Identifier and ``%u`` for
the user name; ``deny`` lines come before the others of their kind; what no line allows is denied.
Unlike mosquitto, which takes every SUBSCRIBE and drops messages later, a subscription is refused
unless all of its filter may be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from mqttd.authz.rule_file import read_rule_file
from mqttd.authz.rule_source import Read, RuleSource, without_errors
from mqttd.authz.rules import ALL, Rule, RuleSet
from mqttd.authz.topic_pattern import TopicPattern, parse_topic
from mqttd.authz.who import EVERYBODY, Who
from mqttd.config.errors import Finding, error
from mqttd.config.schema.authorization_sources import MosquittoAclOptions
from mqttd.identity import PUBLISH, SUBSCRIBE
from mqttd.interfaces import PluginContext
from mqttd.placeholders import BadTemplate
from mqttd.tls.files import FileProblem, resolve

_NAMED: Final = 100
_ACCESS: Final = {"read": SUBSCRIBE, "write": PUBLISH, "readwrite": ALL, "deny": ALL}
_ANONYMOUS: Final = Who(lambda request: request.username is None, "without user name")


@attrs.frozen
class _Line:
    """One ``topic`` or ``pattern`` line."""

    number: int
    allow: bool
    action: str
    topic: TopicPattern
    who: Who


def parse_acl(data: bytes) -> tuple[list[Rule], list[tuple[int, str, str]]]:
    """The rules in the order in which they decide, and what is wrong: line, problem, cure."""
    lines: list[_Line] = []
    patterns: list[_Line] = []
    bad: list[tuple[int, str, str]] = []
    who = _ANONYMOUS
    users: dict[str, Who] = {}
    for number, raw in enumerate(data.split(b"\n"), 1):
        try:
            line = raw.decode().removeprefix("\ufeff").strip(" \t\r")
        except UnicodeDecodeError:
            bad.append((number, "is not UTF-8", ""))
            continue
        if not line or line.startswith("#"):
            continue
        keyword, _, rest = line.replace("\t", " ").partition(" ")
        rest = rest.strip(" ")
        try:
            if keyword == "user":
                who = _user(rest, users)
            elif keyword == "topic":
                lines.append(_line(number, rest, who, is_pattern=False))
            elif keyword == "pattern":
                patterns.append(_line(number, rest, EVERYBODY, is_pattern=True))
            else:
                raise BadTemplate("begins with none of user, topic and pattern", _cure(keyword))
        except BadTemplate as wrong:
            bad.append((number, wrong.problem, wrong.cure))
    return _ordered(lines, patterns), bad


def _cure(keyword: str) -> str:
    if keyword.startswith(("rules", "{")):
        return "rules in this form are those of type = file"
    return "write one of these words first, as in topic read a/b"


def _user(name: str, users: dict[str, Who]) -> Who:
    if not name:
        raise BadTemplate("names no user", "write user NAME")
    if name not in users:
        exact = frozenset({name})
        users[name] = Who(
            lambda request: request.username == name, f"username {name}", usernames=exact
        )
    return users[name]


def _line(number: int, rest: str, who: Who, *, is_pattern: bool) -> _Line:
    word, _, topic = rest.partition(" ")
    topic = topic.strip(" ")
    if not topic:
        word, topic = "readwrite", rest
    if not topic:
        raise BadTemplate("names no topic", "write topic read a/b")
    if word not in _ACCESS:
        problem = "has an access that is none of read, write, readwrite and deny"
        raise BadTemplate(problem, "write it before the topic, as in topic read a/b")
    return _Line(number, word != "deny", _ACCESS[word], _topic(topic, is_pattern), who)


def _topic(text: str, is_pattern: bool) -> TopicPattern:
    """Our own form of a topic: a dollar sign stands for itself, ``%c`` and ``%u`` for values."""
    if text.startswith("eq "):
        raise BadTemplate("has a blank in its first level")  # ours would be compared whole
    text = text.replace("${", "${$}{")
    if is_pattern:
        text = text.replace("%c", "${clientid}").replace("%u", "${username}")
    return parse_topic(text)


def _ordered(lines: Sequence[_Line], patterns: Sequence[_Line]) -> list[Rule]:
    """mosquitto looks at a user's lines first, then at the patterns; each time at denials first.

    The lines of a user are only ever seen by that user, so their order among users is free.
    """
    ordered = [
        *(line for line in lines if not line.allow),
        *(line for line in lines if line.allow),
        *(line for line in patterns if not line.allow),
        *(line for line in patterns if line.allow),
    ]
    return [
        Rule(place, line.allow, line.action, (line.topic,), line.who, line=line.number)
        for place, line in enumerate(ordered, 1)
    ]


def load_acl(
    options: MosquittoAclOptions, base_dir: Path, path: str = "authorization.sources"
) -> tuple[list[Rule], bytes, list[Finding]]:
    """The rules, a digest of the file, and everything wrong or risky about them."""
    where = f"{path}.path"
    if not options.path:
        return [], b"", [error(where, "is not set", "name mosquitto's acl_file")]
    try:
        data, findings = read_rule_file(options.path, base_dir, where)
    except FileProblem as problem:
        return [], b"", [error(where, problem.message, problem.cure)]
    file = str(resolve(options.path, base_dir))
    rules, bad = parse_acl(data)
    for number, wrong, cure in bad[:_NAMED]:
        found = attrs.evolve(error(where, wrong, cure), origin=f"{file}:{number}")
        findings.append(found)
    if len(bad) > _NAMED:
        findings.append(error(where, f"{file}: {len(bad) - _NAMED} more bad lines"))
    return rules, hashlib.sha256(data).digest(), findings


def _read(options: MosquittoAclOptions, base_dir: Path, path: str) -> Read:
    rules, digest, findings = load_acl(options, base_dir, path)
    without_errors(findings)
    return Read(RuleSet(rules), digest)


def make(
    options: MosquittoAclOptions, context: PluginContext, path: str = "authorization.sources"
) -> RuleSource:
    """The plugin's target. Raises ConfigurationErrors."""
    name = str(resolve(options.path, context.base_dir))
    return RuleSource(name, partial(_read, options, context.base_dir, path), otherwise=False)

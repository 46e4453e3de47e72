"""Rules of our own format, in a file or in the configuration itself: ``type = "file"``."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from mqttd.authz.rule_lint import unreachable
from mqttd.authz.rule_reader import RuleReader
from mqttd.authz.rule_source import Read, RuleSource, without_errors
from mqttd.authz.rule_text import BadText, Section, read_rules_text
from mqttd.authz.rules import Rule, RuleSet
from mqttd.config.errors import Finding, error, warning
from mqttd.config.schema.authorization_sources import RuleFileOptions
from mqttd.interfaces import PluginContext
from mqttd.tls.files import FileProblem, read_file, resolve

LARGEST: Final = 32 << 20
"""Bytes of a file of rules."""


def load_rules(
    options: RuleFileOptions, base_dir: Path, path: str = "authorization.sources"
) -> tuple[list[Rule], bytes, list[Finding]]:
    """The rules, a digest of the file, and everything wrong or risky about them.

    ``path`` is where the configuration has the source.
    """
    if options.path and options.rules:
        message = "is set beside rules: a source has one of them"
        return [], b"", [error(f"{path}.path", message, "write two sources")]
    if options.rules:
        reader = RuleReader(f"{path}.rules")
        rules = reader.rules(options.rules)
        return rules, b"", reader.findings or unreachable(rules, f"{path}.rules")
    if not options.path:
        cure = 'write path = "acl.conf", or rules = [ ... ]'
        return [], b"", [error(f"{path}.path", "is not set", cure)]
    return _load_file(options.path, base_dir, f"{path}.path")


def _load_file(name: str, base_dir: Path, path: str) -> tuple[list[Rule], bytes, list[Finding]]:
    try:
        data, findings = read_rule_file(name, base_dir, path)
    except FileProblem as problem:
        return [], b"", [error(path, problem.message, problem.cure)]
    file = str(resolve(name, base_dir))
    try:
        section = read_rules_text(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return [], b"", [error(path, f"{file} is not UTF-8 text")]
    except BadText as bad:
        cure = bad.cure
        if data.lstrip().startswith(b"{") or (b"\n{" in data and b"}." in data):
            cure = "Erlang terms, as EMQX has them, are not read; see the manual's authorization"
        elif data.lstrip().startswith((b"user ", b"topic ", b"pattern ")):
            cure = "lines as in mosquitto's acl_file are those of type = mosquitto"
        found = attrs.evolve(error(path, bad.problem, cure), origin=f"{file}:{bad.line}")
        return [], b"", [found]
    reader = RuleReader(path, file)
    rules = _rules(section, reader)
    findings += reader.findings or unreachable(rules, path, file)
    return rules, hashlib.sha256(data).digest(), findings


def _rules(section: Section, reader: RuleReader) -> list[Rule]:
    for key in section:
        if key != "rules":
            cure = "write rules = [ { ... }, { ... } ]"
            reader.complain(key, section.lines[key], "does not belong into a rule file", cure)
    if "rules" not in section:
        cure = "write rules = [ { ... }, { ... } ]; rules = [] says nothing on purpose"
        reader.complain("", 0, "the file holds no rules", cure)
        return []
    return reader.rules(section["rules"])


def read_rule_file(name: str, base_dir: Path, path: str) -> tuple[bytes, list[Finding]]:
    """A file's bytes, and a warning when anybody may write it. Raises FileProblem."""
    place = resolve(name, base_dir)
    data, mode = read_file(place, LARGEST)
    if not mode & 0o002:
        return data, []
    return data, [
        warning(path, f"{place} can be changed by everybody ({mode:04o})", f"chmod o-w {place}")
    ]


def _read(options: RuleFileOptions, base_dir: Path, path: str) -> Read:
    rules, digest, findings = load_rules(options, base_dir, path)
    without_errors(findings)
    return Read(RuleSet(rules), digest)


def make(
    options: RuleFileOptions, context: PluginContext, path: str = "authorization.sources"
) -> RuleSource:
    """The plugin's target. Raises ConfigurationErrors."""
    name = str(resolve(options.path, context.base_dir)) if options.path else f"{path}.rules"
    return RuleSource(name, partial(_read, options, context.base_dir, path))

"""Looks at what sources of rules need, before they are put to use."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mqttd.authz.http_authorizer import check_http_source
from mqttd.authz.mosquitto_acl import load_acl
from mqttd.authz.rule_file import load_rules
from mqttd.config.errors import Finding, error
from mqttd.config.schema.authorization import Source
from mqttd.config.schema.authorization_http import HttpSourceOptions
from mqttd.config.schema.authorization_sources import MosquittoAclOptions, RuleFileOptions
from mqttd.plugins import UnknownPlugin, authorizer


def check_sources(sources: Sequence[Source], base_dir: Path) -> Iterator[Finding]:
    """Everything wrong or risky about those that are enabled, and the files they name."""
    for source in sources:
        if source.enable:
            yield from _check(source, base_dir)


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "install the plugin that has it"


def _check(source: Source, base_dir: Path) -> Iterator[Finding]:
    options, path = source.options, source.path
    try:
        authorizer(source.type)
    except UnknownPlugin as problem:
        yield error(f"{path}.type", str(problem), _near(source.type, problem.known))
        return
    if isinstance(options, RuleFileOptions):
        yield from load_rules(options, base_dir, path)[2]
    elif isinstance(options, MosquittoAclOptions):
        yield from load_acl(options, base_dir, path)[2]
    elif isinstance(options, HttpSourceOptions):
        yield from check_http_source(options, path, base_dir)

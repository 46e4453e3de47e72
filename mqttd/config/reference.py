"""The settings reference, in reStructuredText, made from what the schema says of each option."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import attrs

from mqttd.config.option import documentation_of, key_of
from mqttd.config.schema import Configuration, ListenerOptions, Listeners
from mqttd.config.schema.authentication import KINDS as AUTHENTICATORS
from mqttd.config.schema.authentication import AuthenticatorOptions
from mqttd.config.schema.authorization import KINDS as SOURCES
from mqttd.config.schema.authorization import SourceOptions
from mqttd.config.schema.client_tls import ClientTLSOptions
from mqttd.config.structure import named_sections, nested_sections

_INTRODUCTION = """\
.. This file is made by docs/_generate_settings.py from mqttd/config/schema. Do not edit it.

========
Settings
========

Every option of the configuration file, in the order of the file. Options are written as
``section { option = value }`` or as ``section.option = value``; an environment variable such as
``MQTTD_LISTENERS__SSL__DEFAULT__BIND`` overrides the file. Unknown options are errors, and so are
options marked as not supported yet, once they are put to use.

Values
======

duration
    A number with a unit, ``ms``, ``s``, ``m``, ``h``, ``d``, ``w`` or ``f`` (a fortnight); parts
    may follow each other: ``500ms``, ``15m``, ``1h30m``. A bare number counts milliseconds.
size
    Bytes, or a number with ``KB``, ``MB`` or ``GB``; 1 KB is 1024 bytes.
rate
    A number and an interval: ``100/s``, ``500/10s``, ``10MB/10s``; ``infinity`` is no limit.
path
    A file; a relative path starts at the directory the broker is started in.
secret text
    The text itself, or ``file://PATH``: then the file holds it. It is never shown.
list or comma text
    ``["a", "b"]`` or ``"a,b"``.
boolean
    ``true``, ``false``, ``on`` or ``off``.
"""


def settings_reference() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    parts += _section(Configuration, "")
    for path, word, common, kinds in (
        ("authentication", "mechanism", AuthenticatorOptions, AUTHENTICATORS),
        ("authorization.sources", "type", SourceOptions, SOURCES),
    ):
        parts += _kind(path, f"{path}: of every kind", common)
        for name, cls in kinds.items():
            parts += _kind(path, f"{path}: {word} {name}", cls)
    return "\n".join(parts)


def _kind(path: str, title: str, cls: type) -> Iterator[str]:
    """The options of one part of a list; other parts have options of the same names."""
    yield f"{title}\n{'=' * len(title)}\n"
    yield f"{inspect.getdoc(cls)}\n"
    yield from _options(cls, path, "   :no-index:\n")
    for name, inner in nested_sections(cls).items():
        if inner is ClientTLSOptions:
            yield f"``{path}.{name}`` is described in :doc:`/operate/outside_tls`.\n"
        else:
            yield f"{inspect.getdoc(inner)}\n"
            yield from _options(inner, f"{path}.{name}", "   :no-index:\n")


def _section(cls: type, path: str) -> Iterator[str]:
    """A heading with the options of one section, then the sections inside it."""
    if cls is Listeners:
        yield from _section(ListenerOptions, "listeners.TYPE.NAME")
        return
    if path:
        yield f"{path}\n{'=' * len(path)}\n"
        yield f"{inspect.getdoc(cls)}\n"
    yield from _options(cls, path)
    for name, inner in nested_sections(cls).items():
        yield from _section(inner, f"{path}.{name}" if path else name)
    for name, inner in named_sections(cls).items():
        yield from _section(inner, f"{path}.{name}.NAME" if path else f"{name}.NAME")


def _options(cls: type, path: str, more: str = "") -> Iterator[str]:
    ignored = []
    for field in attrs.fields(cls):
        documentation = documentation_of(field)
        if documentation is None or documentation.kind is None:
            continue
        name = f"{path}.{key_of(field)}" if path else key_of(field)
        if not path:
            yield f"{name}\n{'=' * len(name)}\n"
        if documentation.ignored:
            ignored.append(f"- ``{name}``: {documentation.ignored}.")
            continue
        yield f".. confval:: {name}"
        yield f"   :type: {documentation.kind.name}"
        yield f"   :default: ``{documentation.default}``\n{more}"
        yield f"   {documentation.text}\n"
    if ignored:
        yield "Accepted without effect, with a warning:\n"
        yield from ignored
        yield ""

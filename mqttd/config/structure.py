"""Nested plain values made into the attrs classes of the schema, with every error found."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.gen import make_dict_structure_fn, override

from mqttd.config.errors import Finding, InvalidValue, error, warning
from mqttd.config.known import EMQX_SECTIONS, NOT_HERE
from mqttd.config.option import SECRET, documentation_of, key_of
from mqttd.config.schema import Configuration, ListenerOptions, Listeners
from mqttd.config.schema.listeners import DEFAULT_BINDS, LISTENER_TYPES, TLS_TYPES, WEBSOCKET_TYPES
from mqttd.config.types import parse_secret, shown

T = TypeVar("T")


class _Misfits(Exception):  # noqa: N818 - it holds several
    """Several problems below one key, each with the key it belongs to."""

    def __init__(self, problems: list[tuple[str, Exception]]) -> None:
        super().__init__("misfits")
        self.problems = problems


def structure(
    values: object, cls: type[T], base_dir: Path, path: str = ""
) -> tuple[T, list[Finding]]:
    """An instance of ``cls`` and every error and warning found while it was made.

    What is wrong is left out of the instance, so that the caller can go on looking for other
    errors; with an error among the findings the instance is not fit for use. Paths of findings
    start with ``path``.
    """
    converter = _converter(base_dir)
    findings = list(_without_effect(values, cls, path))
    pruned = values if isinstance(values, Mapping) else {}
    if pruned is not values:
        findings.append(error(path, f"expects a section {{ ... }}, not {shown(values)}"))
    # each round finds everything at once; the second works on what is left
    for _ in range(3):
        try:
            return converter.structure(pruned, cls), findings
        except Exception as problem:
            found = list(_walk(problem, cls, ()))
            for words, key_path_error in found:
                prefixed = ".".join((path, *words) if path else words)
                findings.append(attrs.evolve(key_path_error, path=prefixed))
            pruned = _pruned(pruned, {words for words, _ in found})
    return cls(), findings


def _converter(base_dir: Path) -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)

    def class_hook(cls: type) -> Callable[[Any, Any], Any]:
        overrides: dict[str, Any] = {}
        for field in attrs.fields(cls):
            documentation = documentation_of(field)
            if documentation is None:
                overrides[field.name] = override(omit=True)
            elif documentation.kind is SECRET:
                overrides[field.name] = override(
                    rename=key_of(field),
                    struct_hook=lambda value, _: parse_secret(value, base_dir),
                )
            elif documentation.kind is not None:
                overrides[field.name] = override(
                    rename=key_of(field), struct_hook=_parser(documentation.kind.parse)
                )
        make: Callable[[Any, Any], Any] = make_dict_structure_fn(
            cls, converter, _cattrs_forbid_extra_keys=True, **overrides
        )

        def hook(value: Any, target: Any) -> Any:
            if not isinstance(value, Mapping):
                raise InvalidValue(f"expects a section {{ ... }}, not {shown(value)}")
            return make(value, target)

        return hook

    converter.register_structure_hook_factory(attrs.has, class_hook)
    converter.register_structure_hook(
        Listeners, lambda value, _: _structure_listeners(value, converter)
    )
    return converter


def _parser(parse: Callable[[object], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, _: parse(value)


def _structure_listeners(value: Any, converter: cattrs.Converter) -> Listeners:
    """Listeners by type and name; each learns both, and gets the sections its type has."""
    if not isinstance(value, Mapping):
        raise InvalidValue(f"expects a section {{ ... }}, not {shown(value)}")
    problems: list[tuple[str, Exception]] = []
    result: dict[str, dict[str, ListenerOptions]] = {}
    for kind, named in value.items():
        if kind not in LISTENER_TYPES:
            problems.append(("", ForbiddenExtraKeysError("", Listeners, {kind})))
            continue
        if not isinstance(named, Mapping):
            cure = f"write listeners.{kind}.NAME {{ ... }}"
            problem = InvalidValue(f"expects named listeners, not {shown(named)}", cure)
            problems.append((kind, problem))
            continue
        inner: list[tuple[str, Exception]] = []
        for name, options in named.items():
            try:
                listener = _structure_listener(kind, name, options, converter)
                result.setdefault(kind, {})[name] = listener
            except Exception as problem:
                inner.append((name, problem))
        if inner:
            problems.append((kind, _Misfits(inner)))
    if problems:
        raise _Misfits(problems)
    return Listeners(**result)


def _structure_listener(
    kind: str, name: str, options: Any, converter: cattrs.Converter
) -> ListenerOptions:
    if not (name.isascii() and name.replace("_", "").replace("-", "").isalnum()):
        raise InvalidValue(f"{shown(name)} cannot name a listener", "use letters, digits, _ and -")
    if not isinstance(options, Mapping):
        raise InvalidValue(f"expects a section {{ ... }}, not {shown(options)}")
    given = dict(options)
    problems: list[tuple[str, Exception]] = []
    for key, has_it, better in (
        ("ssl_options", kind in TLS_TYPES, {"tcp": "ssl", "ws": "wss"}),
        ("websocket", kind in WEBSOCKET_TYPES, {"tcp": "ws", "ssl": "wss"}),
    ):
        if has_it:
            given.setdefault(key, {})
        elif key in given:
            cure = f"remove it, or write listeners.{better[kind]}.{name}"
            problems.append((key, InvalidValue(f"has no meaning on {kind} listeners", cure)))
            del given[key]
    if "enabled" in given:
        if "enable" in given:
            problems.append(("enabled", InvalidValue("is enable by its other name", "keep one")))
        given["enable"] = given.pop("enabled")
    try:
        listener = converter.structure(given, ListenerOptions)
    except Exception as problem:
        problems.append(("", problem))
    if problems:
        raise _Misfits(problems)
    bind = listener.bind if "bind" in given else DEFAULT_BINDS[kind]
    return attrs.evolve(listener, type=kind, name=name, bind=bind)


def _walk(
    problem: BaseException, cls: type, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Finding]]:
    """The findings below one exception, each with its path in words."""
    if isinstance(problem, _Misfits):
        for key, cause in problem.problems:
            yield from _walk(cause, cls, (*words, key) if key else words)
    elif isinstance(problem, ClassValidationError):
        with_name, without_name = problem.group_exceptions()
        for cause, note in with_name:
            yield from _walk(cause, cls, (*words, note.name.removesuffix("_")))
        for cause in without_name:
            yield from _walk(cause, cls, words)
    elif isinstance(problem, IterableValidationError):
        with_key, without_key = problem.group_exceptions()
        for cause, key_note in with_key:
            yield from _walk(cause, cls, (*words, str(key_note.index)))
        for cause in without_key:
            yield from _walk(cause, cls, words)
    elif isinstance(problem, ForbiddenExtraKeysError):
        for key in sorted(problem.extra_fields):
            message, cure = _explain_unknown(key, problem.cl, words)
            yield (*words, key), error("", message, cure)
    elif isinstance(problem, InvalidValue):
        yield words, error("", problem.problem, problem.cure)
    else:
        yield words, error("", f"cannot be read ({type(problem).__name__})")


def _explain_unknown(key: str, cls: type, words: tuple[str, ...]) -> tuple[str, str]:
    """What an unknown key may be, and the nearest key that there is."""
    if key in NOT_HERE.get(cls, ()):
        return "is an option of EMQX's that this version does not support", "remove it"
    if cls is Configuration and key in EMQX_SECTIONS:
        return "is a section of EMQX's that mqttd does not have", "remove it"
    names = list(LISTENER_TYPES) if cls is Listeners else _option_names(cls)
    near = difflib.get_close_matches(key.lower(), names, n=1, cutoff=0.6)
    if not near:
        deeper = [name for name in _nested_names(cls) if name.rpartition(".")[2] == key.lower()]
        near = deeper[:1]
    if near:
        cure = f"did you mean {'.'.join((*words, near[0]))}?"
    elif len(names) > 16:
        cure = "remove it; the settings reference lists what there is"
    else:
        cure = f"known here: {', '.join(sorted(names))}"
    what = "unknown listener type" if cls is Listeners else "unknown option"
    if cls is Configuration:
        what = "unknown section"
    return what, cure


def _option_names(cls: type) -> list[str]:
    return [key_of(field) for field in attrs.fields(cls) if documentation_of(field) is not None]


def _nested_names(cls: type) -> Iterator[str]:
    for name, inner in nested_sections(cls).items():
        for option_name in _option_names(inner):
            yield f"{name}.{option_name}"


def nested_sections(cls: type) -> dict[str, type]:
    """The fields of a schema class that are sections themselves, with their classes."""
    hints = typing.get_type_hints(cls)
    sections = {}
    for field in attrs.fields(cls):
        hint = hints[field.name]
        if isinstance(hint, types.UnionType):
            hint = typing.get_args(hint)[0]
        if isinstance(hint, type) and attrs.has(hint) and _is_section(field):
            sections[field.name] = hint
    return sections


def named_sections(cls: type) -> dict[str, type]:
    """The fields of a schema class that hold sections by names of the operator's choice."""
    hints = typing.get_type_hints(cls)
    return {
        field.name: typing.get_args(hints[field.name])[1]
        for field in attrs.fields(cls)
        if _is_section(field) and typing.get_origin(hints[field.name]) is dict
    }


def _is_section(field: attrs.Attribute[Any]) -> bool:
    documentation = documentation_of(field)
    return documentation is not None and documentation.kind is None


def _without_effect(values: object, cls: type, path: str) -> Iterator[Finding]:
    """A warning for each option that was given and is accepted without effect."""
    if not isinstance(values, Mapping):
        return
    if cls is Listeners:
        for kind in LISTENER_TYPES:
            named = values.get(kind)
            for name, options in named.items() if isinstance(named, Mapping) else ():
                yield from _without_effect(options, ListenerOptions, f"{path}.{kind}.{name}")
        return
    prefix = f"{path}." if path else ""
    for field in attrs.fields(cls):
        documentation = documentation_of(field)
        if documentation is not None and documentation.ignored and key_of(field) in values:
            message = f"has no effect: {documentation.ignored}"
            yield warning(prefix + key_of(field), message, "remove it")
    for name, inner in nested_sections(cls).items():
        yield from _without_effect(values.get(name), inner, prefix + name)
    for name, inner in named_sections(cls).items():
        named = values.get(name)
        for key, options in named.items() if isinstance(named, Mapping) else ():
            yield from _without_effect(options, inner, f"{prefix}{name}.{key}")


def _pruned(values: Any, wrong: set[tuple[str, ...]]) -> Any:
    """The values without what stands at the wrong paths."""
    result = {}
    for key, value in values.items():
        if (key,) in wrong:
            continue
        below = {words[1:] for words in wrong if len(words) > 1 and words[0] == key}
        result[key] = _pruned(value, below) if below and isinstance(value, Mapping) else value
    return result

"""How one option of the schema is declared: its kind, default, and the text of its reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from mqttd.config import types
from mqttd.config.errors import InvalidValue

METADATA_KEY = "mqttd"


@attrs.frozen
class Kind:
    """What values an option takes: a name for the reference, a parser, and a formatter.

    ``parse`` takes the value as the file gave it and raises InvalidValue. ``show`` writes a
    value back the way the file would.
    """

    name: str
    parse: Callable[[object], Any]
    show: Callable[[Any], str] = str


@attrs.frozen
class Documentation:
    """What is known of one option beside its Python type; the settings reference is made of it.

    ``ignored`` is set for an option of EMQX's that is accepted without effect, and says why.
    """

    text: str
    kind: Kind | None
    default: str
    ignored: str = ""


def option(
    kind: Kind,
    default: Any,
    text: str,
    *,
    ignored: str = "",
    shown_default: str | None = None,
    hidden: bool = False,
) -> Any:
    """Declare one option of a schema class; ``text`` is what the settings reference says.

    ``hidden`` keeps the value out of ``repr``: it may hold a secret.
    """
    if shown_default is None:
        shown_default = "unset" if default is None else kind.show(default)
    documentation = Documentation(" ".join(text.split()), kind, shown_default, ignored)
    metadata = {METADATA_KEY: documentation}
    shown: Any = True
    if hidden or kind in (RAW, SECTIONS):
        shown = False  # may hold passwords of outside services
    elif kind is PATH_OR_PEM:
        shown = _hide_pem
    if isinstance(default, list):
        return attrs.field(factory=lambda: list(default), metadata=metadata, repr=shown)
    return attrs.field(default=default, metadata=metadata, repr=shown)


def _hide_pem(value: object) -> str:
    """Inline PEM text may be a private key."""
    return "'(PEM text)'" if is_pem(value) else repr(value)


def is_pem(value: object) -> bool:
    """Whether a value of kind ``PATH_OR_PEM`` is the text itself and not a path."""
    return isinstance(value, str) and "-----BEGIN" in value


def section(factory: Callable[[], Any] | None, text: str) -> Any:
    """Declare a nested section; ``factory`` makes the one that stands when the file has none."""
    documentation = Documentation(" ".join(text.split()), None, "")
    metadata = {METADATA_KEY: documentation}
    if factory is None:
        return attrs.field(default=None, metadata=metadata)
    return attrs.field(factory=factory, metadata=metadata)


def internal(default: Any) -> Any:
    """A field the file cannot set."""
    return attrs.field(default=default)


def documentation_of(field: attrs.Attribute[Any]) -> Documentation | None:
    """What ``option`` or ``section`` said of the field; None for an internal one."""
    found = field.metadata.get(METADATA_KEY)
    return found if isinstance(found, Documentation) else None


def key_of(field: attrs.Attribute[Any]) -> str:
    """The option's name in the file: ``from_`` is ``from``, a word Python keeps for itself."""
    return field.name.removesuffix("_")


def _show_boolean(value: bool) -> str:
    return "true" if value else "false"


def _show_list(value: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in value) + "]"


def _show_text(value: str) -> str:
    return f'"{value}"'


def _raw(value: object) -> object:
    return value


def _raw_sections(value: object) -> list[Mapping[str, object]]:
    """One section or a list of sections, kept as they are."""
    items = value if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, Mapping):
            raise InvalidValue(f"expects a section or a list of them, not {types.shown(item)}")
    return list(items)


BOOLEAN = Kind("boolean", types.parse_boolean, _show_boolean)
TEXT = Kind("text", types.parse_text, _show_text)
TEXT_LIST = Kind("list or comma text", types.parse_text_list, _show_list)
PATH = Kind("path", types.parse_text, _show_text)
PATH_OR_PEM = Kind("path or PEM text", types.parse_text, _show_text)
BIND = Kind("address:port", types.parse_bind, _show_text)
RATE = Kind("rate", types.parse_rate)
KEEPALIVE = Kind("Idle,Interval,Probes", types.parse_keepalive)
RAW = Kind("any", _raw)
SECTIONS = Kind("list of sections", _raw_sections, lambda _: "[]")


def _no_secret(_: object) -> types.Secret:
    raise InvalidValue("a secret can be read only while a file is loaded")


SECRET = Kind("secret text", _no_secret)
"""Text or ``file://PATH``; the loader reads it, since it knows where relative paths start."""


def choice(*words: str, aliases: Mapping[str, str] | None = None) -> Kind:
    """One of the words, in lower or upper case; ``aliases`` maps further spellings to them."""
    spellings = {word.lower(): word for word in words} | dict(aliases or {})

    def parse(value: object) -> str:
        text = types.parse_text(value).strip().lower() if not isinstance(value, bool) else ""
        if text in spellings:
            return spellings[text]
        raise InvalidValue(
            f"expects one of {', '.join(words)}, not {types.shown(value)}",
            f"write {types.nearest_text(words)}",
        )

    return Kind("one of " + ", ".join(words), parse)


def _ranged(low: float, high: float) -> Callable[[float, object], None]:
    def check(number: float, value: object) -> None:
        if number < low or number > high:
            limits = f"at least {low:g}" if high == math.inf else f"within {low:g}..{high:g}"
            raise InvalidValue(f"must be {limits}, not {types.shown(value)}")

    return check


def integer(low: int = 0, high: int | None = None, *, unlimited: Sequence[str] = ()) -> Kind:
    """A whole number in a range; the words of ``unlimited`` give None."""
    check = _ranged(low, math.inf if high is None else high)

    def parse(value: object) -> int | None:
        if isinstance(value, str) and value.strip().lower() in unlimited:
            return None
        try:
            number = types.parse_integer(value)
        except InvalidValue as problem:
            if unlimited:
                words = types.nearest_text(unlimited)
                raise InvalidValue(problem.problem, f"write a number, or {words}") from None
            raise
        check(number, value)
        return number

    name = f"integer {low}..{high}" if high is not None else f"integer from {low}"
    if unlimited:
        name += " or " + " or ".join(unlimited)
    return Kind(name, parse)


def number(low: float, high: float) -> Kind:
    """A number with a fraction, in a range."""
    check = _ranged(low, high)

    def parse(value: object) -> float:
        result = types.parse_number(value)
        check(result, value)
        return result

    return Kind(f"number {low:g}..{high:g}", parse, lambda value: f"{value:g}")


def duration(low: float = 0.0, *, infinity: bool = False, high: float = math.inf) -> Kind:
    """A duration in seconds, at least ``low``; ``math.inf`` only where ``infinity`` is allowed."""

    def parse(value: object) -> float:
        seconds = types.parse_duration(value)
        bare = str(value).strip().isdecimal()
        if seconds == math.inf and not infinity:
            raise InvalidValue("cannot be infinite", "write a duration such as 15s")
        if seconds < low:
            least = types.format_duration(low)
            raise InvalidValue(
                f"must be at least {least}, not {types.shown(value)}",
                f"a bare number counts milliseconds: write {value}s" if bare else "",
            )
        if seconds > high and seconds != math.inf:
            most = types.format_duration(high)
            raise InvalidValue(f"must be at most {most}, not {types.shown(value)}")
        return seconds

    name = "duration or infinity" if infinity else "duration"
    return Kind(name, parse, types.format_duration)


def size(low: int = 0, high: int | None = None, *, infinity: bool = False) -> Kind:
    """A size in bytes, in a range; ``infinity`` gives None where it is allowed."""

    def parse(value: object) -> int | None:
        if infinity and types.is_infinity(value):
            return None
        result = types.parse_size(value)
        if result < low:
            raise InvalidValue(
                f"must be at least {types.format_size(low)}, not {types.shown(value)}"
            )
        if high is not None and result > high:
            raise InvalidValue(
                f"must be at most {types.format_size(high)}, not {types.shown(value)}"
            )
        return result

    return Kind("size or infinity" if infinity else "size", parse, types.format_size)

"""A HOCON file read by pyhocon: plain values, error places, no network, no surprises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pyparsing
from pyhocon import config_parser
from pyhocon.config_tree import ConfigTree, NoneValue
from pyhocon.exceptions import ConfigException
from typing_extensions import override

from mqttd.config.errors import ConfigurationErrors, Finding, warning
from mqttd.config.legacy import LegacyLine, take_legacy_lines
from mqttd.config.locate import locate

_MAX_INCLUDE_DEPTH = 10


@attrs.define
class Document:
    """What one configuration file and the files it includes hold.

    ``values`` is nested dictionaries, lists, text, numbers and booleans; ``null`` is left out.
    ``origins`` says by option path where it was written (``etc/mqttd.conf:12``). ``files`` are
    those that were read or looked for.
    """

    values: dict[str, Any] = attrs.field(factory=dict, repr=False)
    legacy: list[LegacyLine] = attrs.field(factory=list)
    origins: dict[str, str] = attrs.field(factory=dict)
    findings: list[Finding] = attrs.field(factory=list)
    files: list[Path] = attrs.field(factory=list)


def read_file(path: Path) -> Document:
    """Read the file and what it includes. Raises ConfigurationErrors naming file and line."""
    return _Reader().file(path)


def read_text(text: str, name: str = "text", directory: Path | None = None) -> Document:
    """Read a HOCON text; includes are looked for in ``directory``."""
    return _Reader().text(text, name, directory or Path())


def read_value(text: str) -> Any:
    """One HOCON value, such as ``8883``, ``[a, b]`` or ``on``; what is no HOCON is text itself."""
    try:
        return read_text(f"value = {text}").values.get("value", text)
    except ConfigurationErrors:
        return text


class _Reader:
    """Reads one document: pyhocon with its includes restricted and its durations left as text."""

    def __init__(self) -> None:
        self.document = Document()
        self.open_files: list[Path] = []

    def file(self, path: Path) -> Document:
        tree = self.parse_file(path, required=True)
        return self.finish(tree, str(path))

    def text(self, text: str, name: str, directory: Path) -> Document:
        tree = self.parse_text(text, name, directory)
        return self.finish(tree, name)

    def finish(self, tree: Any, name: str) -> Document:
        if not isinstance(tree, ConfigTree):
            raise _failure(name, "holds a list where sections are expected")
        try:
            config_parser.ConfigParser.resolve_substitutions(tree)
            self.document.values = _plain(tree)
        except ConfigException as problem:
            message = f"has a substitution without a value: {problem}"
            raise _failure(name, message, "put text that holds ${...} in double quotes") from None
        except RecursionError:
            raise _failure(name, "has a substitution ${...} that contains itself") from None
        return self.document

    def parse_file(self, path: Path, *, required: bool) -> Any:
        if path not in self.document.files:
            self.document.files.append(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise _failure(str(path), "is not UTF-8 text") from None
        except OSError as problem:
            if required:
                message = f"cannot be read: {problem.strerror}"
                cure = "name an existing file that the broker may read"
                raise _failure(str(path), message, cure) from None
            cure = 'write include required(file("...")) if it must be there'
            found = warning("", f"the included file {path} cannot be read and is left out", cure)
            if found not in self.document.findings:
                self.document.findings.append(found)
            return ConfigTree()
        if len(self.open_files) >= _MAX_INCLUDE_DEPTH or path in self.open_files:
            raise _failure(str(path), "is included by itself, or too deep")
        self.open_files.append(path)
        try:
            return self.parse_text(text, str(path), path.parent)
        finally:
            self.open_files.pop()

    def parse_text(self, text: str, name: str, directory: Path) -> Any:
        text, legacy = take_legacy_lines(text, name)
        self.document.legacy += [line for line in legacy if line not in self.document.legacy]
        lines = locate(text)
        self.document.origins |= {path: f"{name}:{line}" for path, line in lines.items()}
        try:
            with self.restricted() as parser:
                return parser.parse(text, str(directory), False, config_parser.NO_SUBSTITUTION)
        except pyparsing.ParseBaseException as problem:
            place = f"{name}:{_line_of(problem, text)}"
            raise _failure(place, *_explain(problem, text)) from None
        except ConfigException as problem:
            # pyhocon's text of it may quote values, and values may be secret
            raise _failure(name, *_explain_conflict(problem)) from None
        except RecursionError:
            raise _failure(name, "is nested too deep") from None

    @contextmanager
    def restricted(self) -> Iterator[type[config_parser.ConfigParser]]:
        """pyhocon without its two habits that do not fit here.

        It turns ``15m`` into date objects, though only the option knows whether that is a
        duration; and it would fetch ``include url(...)`` from the network.
        """
        reader = self

        class Includes(config_parser.ConfigFactory):  # type: ignore[misc]
            @override
            @classmethod
            def parse_file(cls, filename: str, *_: Any, required: bool = True, **__: Any) -> Any:
                return reader.parse_file(Path(filename), required=required)

            @override
            @classmethod
            def parse_URL(cls, url: str, *_: Any, **__: Any) -> Any:
                raise _failure(url, "is a URL; only files can be included", "copy it to a file")

        class Parser(config_parser.ConfigParser):  # type: ignore[misc]
            @override
            @classmethod
            def resolve_package_path(cls, package_path: str) -> Any:
                raise _failure(package_path, "is a package; only files can be included")

        saved = config_parser.ConfigFactory, config_parser.get_period_expr
        config_parser.ConfigFactory, config_parser.get_period_expr = Includes, pyparsing.NoMatch
        try:
            yield Parser
        finally:
            config_parser.ConfigFactory, config_parser.get_period_expr = saved


def _failure(place: str, message: str, cure: str = "") -> ConfigurationErrors:
    return ConfigurationErrors([Finding("error", "", message, cure, place)])


def _line_of(problem: pyparsing.ParseBaseException, text: str) -> int:
    """The line at fault: at the start of a line, what stood before it was not finished."""
    before = text[: problem.loc]
    if not before.rpartition("\n")[2].strip() and not text.startswith(("}", "]"), problem.loc):
        before = before.rstrip()
    return before.count("\n") + 1


def _explain(problem: pyparsing.ParseBaseException, text: str) -> tuple[str, str]:
    """What a syntax error most likely is; the text itself is not quoted, it may be secret."""
    if problem.loc >= len(text.rstrip()) and "'}'" in problem.msg:
        return "a section opened with { is not closed", "add the missing }"
    if problem.loc >= len(text.rstrip()) and "']'" in problem.msg:
        return "a list opened with [ is not closed", "add the missing ]"
    mark = text[problem.loc : problem.loc + 1]
    unexpected = f"unexpected {mark!r} in column {problem.column}"
    if mark == '"':
        return unexpected, "close the quotes on the same line"
    if mark == "}":
        return unexpected, "this } closes nothing: remove it, or add the missing {"
    if mark in set("=:,[]{&^`+?!@*$"):
        return unexpected, "put text that holds such a character in double quotes"
    return (
        "a key is not followed by =, : or {",
        "put text that holds commas or blanks in double quotes, and close every quote",
    )


def _explain_conflict(problem: ConfigException) -> tuple[str, str]:
    line = str(problem).rpartition("line: ")[2].partition(",")[0]
    where = f" (line {line})" if line.isdecimal() else ""
    return (
        f"has a value where a section or a list is expected{where}",
        'put text such as "[::1]:8883" in double quotes, and give each option one value',
    )


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigTree):
        return {
            str(key).strip('"'): _plain(item)
            for key, item in value.items()
            if not (item is None or isinstance(item, NoneValue))
        }
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value

"""Every plugin that is installed: what it is called, where it comes from, what is broken."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
from twisted.plugin import IPlugin
from twisted.python.reflect import namedAny
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from mqttd.plugins import KINDS
from twisted import plugins as twisted_plugins


@attrs.frozen
class Found:
    """One plugin, or a module that should hold some. ``error`` is empty for those that work."""

    name: str
    kind: str
    description: str
    file: Path
    distribution: str
    version: str
    error: str = ""


def survey() -> list[Found]:
    """Every plugin by kind and name; modules that cannot be imported are last.

    Modules are imported, and what the plugins name is looked up, but nothing is made of it.
    """
    sources = _Sources()
    found: list[Found] = []
    broken: list[Found] = []
    for file in _modules():
        distribution, version = sources.of(file)
        place = (file, distribution, version)
        try:
            module = importlib.import_module(f"twisted.plugins.{file.stem}")
        except Exception as error:
            broken.append(Found("", "", "", *place, f"cannot be imported: {_text(error)}"))
            continue
        for plugin in list(vars(module).values()):
            if IPlugin.providedBy(plugin):
                found += _of(plugin, place)
    order = {kind.word: number for number, kind in enumerate(KINDS)}
    found.sort(key=lambda each: (order[each.kind], each.name))
    return [*_distinct(found), *broken]


def _modules() -> Iterator[Path]:
    """The files of ``twisted.plugins``; of two with one name Python takes the first."""
    seen = set()
    for folder in twisted_plugins.__path__:
        for file in sorted(Path(folder).glob("*.py")):
            if file.stem != "__init__" and file.stem not in seen:
                seen.add(file.stem)
                yield file


def _of(plugin: Any, place: tuple[Path, str, str]) -> Iterator[Found]:
    for kind in KINDS:
        if not kind.interface.providedBy(plugin):
            continue
        name = getattr(plugin, "name", None)
        description = str(getattr(plugin, "description", ""))
        shown = name if isinstance(name, str) else ""
        error = _problem(plugin, kind.interface, name)
        yield Found(shown, kind.word, description, *place, error)


def _problem(plugin: Any, interface: Any, name: Any) -> str:
    if not isinstance(name, str) or not name:
        return "it has no name, so the configuration cannot name it"
    try:
        verifyObject(interface, plugin)
    except Invalid as problem:
        return str(problem)
    target = getattr(plugin, "target", None)
    if isinstance(target, str):
        try:
            if not callable(namedAny(target)):
                return f"{target} cannot be called"
        except Exception as error:
            return f"{target} cannot be imported: {_text(error)}"
    return ""


def _distinct(found: list[Found]) -> Iterator[Found]:
    """Of two that are called the same neither is used."""
    for each in found:
        same = [other for other in found if (other.kind, other.name) == (each.kind, each.name)]
        if each.name and not each.error and len(same) > 1:
            told = f"{len(same)} plugins of this kind are called so: none of them is used"
            yield attrs.evolve(each, error=told)
        else:
            yield each


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class _Sources:
    """Which installed distribution a file belongs to."""

    def __init__(self) -> None:
        self._files: dict[Path, tuple[str, str]] = {}
        self._folders: dict[Path, tuple[str, str]] = {}
        for each in distributions():
            named = (str(each.metadata["Name"] or ""), str(each.version or ""))
            for file in each.files or ():
                if file.parts[-3:-1] == ("twisted", "plugins"):
                    self._files.setdefault(Path(str(each.locate_file(file))).resolve(), named)
            folder = _editable(each)
            if folder is not None:
                self._folders.setdefault(folder, named)

    def of(self, file: Path) -> tuple[str, str]:
        """Name and version; both empty for a file that no distribution brought."""
        file = file.resolve()
        known = self._files.get(file)
        if known is not None:
            return known
        for folder, named in self._folders.items():
            if file.is_relative_to(folder):
                return named
        return "", ""


def _editable(distribution: Distribution) -> Path | None:
    """The source tree of an editable install (PEP 610)."""
    try:
        told = json.loads(distribution.read_text("direct_url.json") or "{}")
        url = urlsplit(told["url"])
        editable = told["dir_info"]["editable"]
    except (ValueError, KeyError, TypeError):
        return None
    return Path(unquote(url.path)).resolve() if editable and url.scheme == "file" else None

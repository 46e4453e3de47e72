"""A Sphinx directive that shows every interface of a module, which autodoc cannot."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from zope.interface.interface import InterfaceClass, Method


class Interfaces(SphinxDirective):
    """``.. interfaces:: MODULE``: its interfaces in the order of the source, and their methods."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = importlib.import_module(self.arguments[0])
        self.env.note_dependency(str(module.__file__))
        lines = StringList()
        for number, line in enumerate(lines_of(module.__name__)):
            lines.append(line, str(module.__file__), number)
        return self.parse_text_to_nodes("\n".join(lines))


def lines_of(module_name: str) -> Iterator[str]:
    """The page as reStructuredText."""
    module = importlib.import_module(module_name)
    yield f".. py:currentmodule:: {module_name}"
    for name, value in vars(module).items():
        if not isinstance(value, InterfaceClass) or value.__module__ != module_name:
            continue
        yield ""
        yield f".. py:class:: {name}"
        yield from indented(value.__doc__)
        for member, described in value.namesAndDescriptions():
            if value.get(member) is None or described.interface is not value:
                continue
            yield ""
            if isinstance(described, Method):
                yield f"   .. py:method:: {member}{described.getSignatureString()}"
            else:
                yield f"   .. py:attribute:: {member}"
            yield from indented(described.__doc__, "      ")
    yield ""


def indented(text: str | None, by: str = "   ") -> Iterator[str]:
    """A docstring below what it describes."""
    yield ""
    for line in inspect.cleandoc(text or "").splitlines():
        yield f"{by}{line}" if line else ""


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.add_directive("interfaces", Interfaces)
    return {"parallel_read_safe": True}

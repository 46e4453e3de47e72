"""The schema says what the settings reference needs, and the page is up to date."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from mqttd.config.option import Documentation, documentation_of
from mqttd.config.reference import settings_reference
from mqttd.config.schema import Configuration, ListenerOptions, Listeners
from mqttd.config.structure import nested_sections

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.rst"


def _sections(cls: type) -> Iterator[type]:
    yield cls
    inner_classes = [ListenerOptions] if cls is Listeners else nested_sections(cls).values()
    for inner in inner_classes:
        yield from _sections(inner)


def _options() -> Iterator[tuple[type, attrs.Attribute[Any], Documentation]]:
    for cls in _sections(Configuration):
        for field in attrs.fields(cls):
            documentation = documentation_of(field)
            if documentation is not None:
                yield cls, field, documentation


OPTIONS = list(_options())


@pytest.mark.parametrize(
    ("cls", "field", "documentation"),
    OPTIONS,
    ids=[f"{cls.__name__}.{field.name}" for cls, field, _ in OPTIONS],
)
def test_every_option_says_what_it_is(
    cls: type, field: attrs.Attribute[Any], documentation: Documentation
) -> None:
    assert cls.__doc__
    assert documentation.text.endswith(".")
    assert not documentation.ignored.endswith(".")
    if documentation.kind is None:
        return
    default = getattr(cls(), field.name)
    # a default shown as a value must read as that value
    if default is not None and documentation.kind.name not in {"any", "address:port"}:
        written = documentation.default.strip('"')
        if isinstance(default, list):
            written = written.strip("[]").replace('"', "")
        assert default == [] or documentation.kind.parse(written) == default


def test_types_resolve() -> None:
    for cls in _sections(Configuration):
        assert typing.get_type_hints(cls)


def test_every_option_is_in_the_reference() -> None:
    page = settings_reference()
    for _, field, documentation in OPTIONS:
        if documentation.kind is not None:
            assert f"{field.name}" in page
    assert ".. confval:: listeners.TYPE.NAME.ssl_options.handshake_timeout" in page
    assert "\n   :default: ``15s``\n" in page


def test_the_page_is_up_to_date() -> None:
    if not PAGE.exists():
        pytest.skip("the sources of the documentation are not here")
    assert PAGE.read_text(encoding="utf-8") == settings_reference(), (
        "run python docs/_generate_settings.py"
    )

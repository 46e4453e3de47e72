"""What plugin authors import from mqttd.testing stays as it is: names and signatures."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import mqttd.testing

PINNED = Path(__file__).with_name("public_names.txt")
"""To change it is to break somebody's tests: say so in the changelog."""


def signatures() -> list[str]:
    lines = []
    for name in sorted(mqttd.testing.__all__):
        value: Any = getattr(mqttd.testing, name)
        if inspect.isclass(value):
            lines.append(f"{name}{signature(value)}")
            lines += [f"{name}.{line}" for line in sorted(members(value))]
        elif callable(value):
            lines.append(f"{name}{signature(value)}")
        else:
            lines.append(f"{name}: {type(value).__name__}")
    return lines


def signature(value: Any) -> str:
    return str(inspect.signature(value)).replace(repr(mqttd.testing.SOMEBODY), "SOMEBODY")


def members(cls: Any) -> list[str]:
    lines = []
    for name, value in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            lines.append(name)
        elif inspect.isfunction(value):
            lines.append(f"{name}{signature(value)}")
    return lines


def test_names_and_signatures() -> None:
    assert signatures() == PINNED.read_text().splitlines()


def test_all_of_it_is_documented() -> None:
    for name in mqttd.testing.__all__:
        value: Any = getattr(mqttd.testing, name)
        if callable(value):
            assert inspect.getdoc(value), name
            for member, function in vars(value).items() if inspect.isclass(value) else ():
                if not member.startswith("_") and inspect.isfunction(function):
                    assert inspect.getdoc(function), f"{name}.{member}"

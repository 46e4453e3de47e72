"""The packet vectors, one test for each row."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

VECTORS = Path(__file__).parent.parent / "vectors"


def _load(name: str) -> ModuleType:
    """A module of tests/vectors, wherever pytest was started."""
    spec = importlib.util.spec_from_file_location(f"vectors_{name}", VECTORS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


packets = _load("packets")
malformed = _load("malformed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``written``, ``readable`` and ``refused`` are each row of a table."""
    tables = {
        "written": packets.BOTH,
        "readable": packets.BOTH + packets.READ,
        "refused": malformed.ROWS,
    }
    for name, rows in tables.items():
        if name in metafunc.fixturenames:
            ids = [
                row.name
                if hasattr(row, "name")
                else f"v{row.level} {row.data[:24].hex()} {row.why}"
                for row in rows
            ]
            metafunc.parametrize(name, rows, ids=ids)


@pytest.fixture(scope="session")
def refusals() -> ModuleType:
    """The module tests/vectors/malformed.py, for what is said of the table as a whole."""
    return malformed


@pytest.fixture(scope="session")
def vectors() -> ModuleType:
    """The module tests/vectors/packets.py."""
    return packets

"""What is in the wheel and in the source archive, and what must not be."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from mqttd import _version


@pytest.fixture(scope="module")
def in_wheel(built: Path) -> set[str]:
    """The names of the wheel's files."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def in_sdist(built: Path) -> set[str]:
    """The names of the source archive's files, without its top folder."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_the_wheel_brings_the_plugin_and_nothing_else_of_twisteds(in_wheel: set[str]) -> None:
    """An __init__.py there would overwrite Twisted's own and break all its plugins."""
    plugins = {name for name in in_wheel if name.startswith("twisted/")}
    assert plugins == {"twisted/plugins/mqttd_plugin.py", "twisted/plugins/mqttd_trust.py"}


def test_the_wheel_holds_the_package_and_its_metadata_only(in_wheel: set[str]) -> None:
    tops = {name.partition("/")[0] for name in in_wheel}
    assert tops == {"mqttd", "twisted", f"mqttd_broker-{_version.__version__}.dist-info"}
    assert "mqttd/py.typed" in in_wheel
    assert "mqttd/tls/ffdhe2048.pem" in in_wheel
    assert "mqttd/cli/templates/authenticator.py.txt" in in_wheel


def test_every_module_is_in_the_wheel(in_wheel: set[str], source_tree: Path) -> None:
    modules = {
        str(path.relative_to(source_tree)) for path in (source_tree / "mqttd").rglob("*.py")
    }
    assert modules <= in_wheel


def test_the_source_archive_has_what_distributors_need(in_sdist: set[str]) -> None:
    wanted = {
        "LICENSE",
        "README.rst",
        "Makefile",
        "etc/mqttd.conf",
        "etc/systemd/mqttd.service",
        "docs/conf.py",
        "tests/packaging/test_archives.py",
    }
    assert wanted <= in_sdist


def test_nothing_private_or_built_is_in_the_source_archive(in_sdist: set[str]) -> None:
    unwanted = ("etc/certs", "docs/_build", "node_modules", "dropin.cache", "__pycache__")
    assert [name for name in in_sdist if any(part in name for part in unwanted)] == []

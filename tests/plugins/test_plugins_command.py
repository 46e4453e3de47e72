"""``mqttd plugins``: what is installed with what is broken, and packages to begin with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mqttd.cli import main
from mqttd.cli.plugins_new import TEMPLATES, name_problem

BIN = Path(sys.executable).parent
GOOD = """
from mqttd.plugins import AuthenticatorPlugin, PSKStorePlugin
works = AuthenticatorPlugin("works", "It works.", "builtins.dict")
twice = PSKStorePlugin("twice", "One.", "builtins.dict")
again = PSKStorePlugin("twice", "Two.", "builtins.dict")
missing = PSKStorePlugin("missing", "Names what is not there.", "builtins.nothing")
no_code = PSKStorePlugin("no-code", "Names a value.", "sys.maxsize")
nameless = PSKStorePlugin(None, "Nobody can ask for it.", "builtins.dict")
"""


@pytest.fixture
def strangers(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds a stranger's plugins."""
    place = tmp_path / "twisted" / "plugins"
    place.mkdir(parents=True)
    (place / "good_plugin.py").write_text(GOOD)
    (place / "bad_plugin.py").write_text("import module_that_is_not_there\n")
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def listed(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "mqttd"), "plugins", "list", *options]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_broken_ones_are_listed_with_the_reason(strangers: dict[str, str]) -> None:
    done = listed(strangers, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    errors = {each["description"]: each["error"] for each in found}
    assert errors["It works."] is None
    assert errors["Client certificates by names and fingerprints."] is None
    taken = "2 plugins of this kind are called so: none of them is used"
    assert (errors["One."], errors["Two."]) == (taken, taken)
    told = errors["Names what is not there."]
    assert told.startswith("builtins.nothing cannot be imported: AttributeError: ")
    assert errors["Names a value."] == "sys.maxsize cannot be called"
    assert "no name" in errors["Nobody can ask for it."]
    (broken,) = (each for each in found if each["kind"] is None)
    assert broken["file"].endswith("bad_plugin.py")
    assert "No module named 'module_that_is_not_there'" in broken["error"]
    assert broken["distribution"] is None


def test_the_table(strangers: dict[str, str]) -> None:
    lines = listed(strangers).stdout.splitlines()
    assert lines[0].split() == ["NAME", "KIND", "FROM", "DESCRIPTION"]
    (works,) = (line for line in lines if line.startswith("works "))
    assert works.endswith("It works.")
    (own,) = (line for line in lines if line.startswith("certificate "))
    assert "  mqttd-broker " in own
    assert any(line.startswith("broken: psk-store missing of ") for line in lines)
    assert any(line.startswith("broken: plugins of ") for line in lines)


def test_all_of_ours_can_be_used() -> None:
    done = listed(dict(os.environ), "--json")
    assert [each for each in json.loads(done.stdout) if each["error"]] == []
    assert done.returncode == 0


# --- new ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A new package of each kind."""
    folder = tmp_path_factory.mktemp("new")
    packages = {}
    for kind in TEMPLATES:
        name = f"my-{kind.partition('-')[0]}"
        packages[kind] = folder / name
        command = ["plugins", "new", name, "--kind", kind, "--directory", str(folder / name)]
        assert main(command) == 0
    return packages


def test_what_is_written(written: dict[str, Path]) -> None:
    for kind, folder in written.items():
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        module = folder.name.replace("-", "_")
        assert files >= {
            "README.rst",
            "pyproject.toml",
            "setup.cfg",
            f"{module}.py",
            f"tests/test_{module}.py",
            f"twisted/plugins/{module}_plugin.py",
        }, kind
        for file in files:
            if not file.endswith(".pyc"):
                assert "@" not in (folder / file).read_text().replace("@implementer", "").replace(
                    "@pytest", ""
                ), file


def test_their_own_tests_pass(written: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    running = {
        kind: subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for kind, folder in written.items()
    }
    for kind, process in running.items():
        output, _ = process.communicate(timeout=50)
        assert process.returncode == 0, f"{kind}:\n{output}"


def test_style_and_types(written: dict[str, Path], tmp_path: Path) -> None:
    folders = list(map(str, written.values()))
    select = "E,F,W,I,N,UP,B,C4,SIM,RUF,PL,RET,ARG,PT"
    ruff = [str(BIN / "ruff"), "--isolated", "--config", "line-length = 99"]
    check = ["check", "--no-cache", "--select", select, "--ignore", "PLR2004"]
    for options in (check, ["format", "--no-cache", "--check"]):
        for folder in folders:  # each is a project of its own
            call([*ruff, *options, "."], folder)
    files = [str(path) for folder in written.values() for path in folder.glob("*.py")]
    files += [str(path) for folder in written.values() for path in folder.glob("tests/*.py")]
    mypy = [str(BIN / "mypy"), "--config-file", f"{folders[0]}/setup.cfg"]
    call([*mypy, "--cache-dir", str(tmp_path / "mypy"), *files], str(tmp_path), folders)


def call(command: list[str], cwd: str, path: list[str] | None = None) -> None:
    environment = {**os.environ, "MYPYPATH": os.pathsep.join(path or [])}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Acme", "lower-case letters"),
        ("acme login", "lower-case letters"),
        ("acme--login", "lower-case letters"),
        ("../acme", "lower-case letters"),
        ("7up", "lower-case letters"),
        ("", "lower-case letters"),
        ("class", "a word of Python's own"),
        ("json", "a Python module json already"),
        ("twisted", "a Python module twisted already"),
        ("a" * 51, "longer than 50"),
    ],
)
def test_names_that_cannot_be(name: str, told: str) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert told in problem


def test_nothing_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugins", "new", "Acme"]) == 2
    assert "'Acme': a name is lower-case letters" in capsys.readouterr().err
    (tmp_path / "acme-login").mkdir()
    (tmp_path / "acme-login" / "notes").write_text("mine")
    assert main(["plugins", "new", "acme-login"]) == 1
    assert "acme-login exists and is no empty folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "acme-login").iterdir()] == ["notes"]
    assert main(["plugins", "new", "acme-login", "--directory", "other"]) == 0
    assert (tmp_path / "other" / "acme_login.py").exists()


def test_their_sections_are_configuration(written: dict[str, Path]) -> None:
    from pyhocon import ConfigFactory

    for folder in written.values():
        text = (folder / "README.rst").read_text()
        _, _, rest = text.partition(".. code-block:: text\n")
        section: Any = ConfigFactory.parse_string(rest.partition("Test it")[0])
        assert folder.name in str(section.as_plain_ordered_dict())

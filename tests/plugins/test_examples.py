"""The example plugins of the documentation: their own tests pass, their types hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqttd.config.load import load_text

BIN = Path(sys.executable).parent
EXAMPLES = Path(__file__).parents[2] / "examples" / "plugins"
TESTED = sorted(path.parent.name for path in EXAMPLES.glob("*/tests"))


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copies: running them leaves files behind."""
    folder = tmp_path_factory.mktemp("examples")
    left_out = shutil.ignore_patterns("__pycache__", "dropin.cache")
    return {
        name: shutil.copytree(EXAMPLES / name, folder / name, ignore=left_out) for name in TESTED
    }


def test_there_is_one_of_each_kind() -> None:
    declared = "".join(path.read_text() for path in EXAMPLES.glob("*/twisted/plugins/*.py"))
    for kind in ("Authenticator", "Authorizer", "PSKStore", "RevocationChecker", "EventSink"):
        assert f"{kind}Plugin(" in declared


def test_their_own_tests_pass(copies: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    running = {
        name: subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name, folder in copies.items()
    }
    for name, process in running.items():
        output, _ = process.communicate(timeout=50)
        assert process.returncode == 0, f"{name}:\n{output}"


def test_types(copies: dict[str, Path], tmp_path: Path) -> None:
    files = [str(path) for folder in copies.values() for path in folder.glob("*.py")]
    files += [str(path) for folder in copies.values() for path in folder.glob("tests/*.py")]
    command = [str(BIN / "mypy"), "--config-file", str(copies["acme_sql"] / "setup.cfg")]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join(map(str, copies.values()))}
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "mypy"), *files],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "page",
    sorted((EXAMPLES.parents[1] / "docs" / "plugins").glob("*.rst")),
    ids=lambda page: page.name,
)
def test_configurations_of_the_pages(page: Path, tmp_path: Path) -> None:
    for block in blocks(page.read_text()):
        part_of_listener = block.startswith("ssl_options")
        text = f"listeners.ssl.a {{ bind = 0, {block} }}" if part_of_listener else block
        load_text(text, base_dir=tmp_path)  # raises what mqttd check would say


def blocks(text: str) -> Iterator[str]:
    """What stands in ``code-block:: text``, without its options."""
    for part in text.split(".. code-block:: text\n")[1:]:
        lines = []
        for line in part.splitlines():
            if line and not line.startswith("   "):
                break
            if not line.strip().startswith(":caption:"):
                lines.append(line.strip())
        yield "\n".join(lines).strip()

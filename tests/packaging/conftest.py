"""The package as users get it: built, then installed into environments of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
TREE = [
    "mqttd",
    "twisted",
    "etc",
    "docs",
    "tools",
    "tests",
    "benchmarks",
    "changelog.d",
    "examples",
]
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "dropin.cache", "_build", "node_modules", "*.egg-info"
)
TWISTED_SCRIPTS = {
    "twistd": "from twisted.scripts.twistd import run\nrun()\n",
    "twist": "from twisted.application.twist._twist import Twist\nTwist.main()\n",
}


def _call(*command: object, cwd: Path) -> str:
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@attrs.frozen
class Installation:
    """An environment with mqttd in it. ``home`` is where mqttd must come from."""

    folder: Path
    home: Path

    def script(self, name: str, *arguments: str) -> str:
        """What a command of the environment prints, run from a folder with nothing in it."""
        return self.python(str(self.folder / "bin" / name), *arguments)

    def python(self, *arguments: str) -> str:
        """What the environment's interpreter prints."""
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        return _call(self.folder / "bin" / "python", *arguments, cwd=elsewhere)


@pytest.fixture(scope="session")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree, so that nothing is written into the real one."""
    copy = tmp_path_factory.mktemp("source") / "mqttd"
    copy.mkdir()
    for name in TREE:
        shutil.copytree(ROOT / name, copy / name, ignore=LEFT_OUT)
    shutil.rmtree(copy / "etc" / "certs", ignore_errors=True)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy2(path, copy / path.name)
    return copy


@pytest.fixture(scope="session")
def built(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel made from that archive."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source_tree]
    _call(*command, cwd=folder)
    return folder


def _install(folder: Path, home: Path, *what: object) -> Installation:
    """Make an environment whose dependencies are those of the running one; install mqttd."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    variables = {"base": str(folder), "platbase": str(folder)}
    own = Path(sysconfig.get_path("purelib", "venv", variables))
    # Only the folder is added: .pth files in it, such as our own tree's, are not followed.
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for name, text in TWISTED_SCRIPTS.items():
        (folder / "bin" / name).write_text(text)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--ignore-installed"]
    _call(*pip, *options, *what, cwd=folder)
    return Installation(folder, own if home == folder else home)


@pytest.fixture(scope="session", params=["wheel", "editable"])
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """mqttd installed from the wheel, and as the editable install of ``make run``."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "wheel":
        (wheel,) = request.getfixturevalue("built").glob("*.whl")
        return _install(folder, folder, wheel)
    tree: Path = request.getfixturevalue("source_tree")
    return _install(folder, tree, "-e", tree)


PLUGINS = ("acme_tickets", "acme_sql")
"""The example plugins that are built and used."""


@pytest.fixture(scope="session")
def with_plugins(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """mqttd from the wheel, and beside it wheels of strangers: the examples, and ``acme-new`` as
    ``mqttd plugins new`` writes it."""
    folder = tmp_path_factory.mktemp("strangers")
    sources = [folder / "source" / name for name in PLUGINS]
    for source in sources:
        shutil.copytree(ROOT / "examples" / "plugins" / source.name, source, ignore=LEFT_OUT)
    new = folder / "source" / "acme-new"
    command = [Path(sys.executable).parent / "mqttd", "plugins", "new", "acme-new"]
    _call(*command, "--directory", new, cwd=folder)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    options = ["--no-build-isolation", "--wheel-dir", folder / "wheels"]
    _call(*pip, *options, *sources, new, cwd=folder)
    return _install(
        folder / "venv", folder / "venv", *built.glob("*.whl"), *(folder / "wheels").glob("*.whl")
    )

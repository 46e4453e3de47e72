"""The page on rules: its files are sound, and its commands say what it says."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqttd.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "authorization.rst"


def blocks() -> Iterator[tuple[str, str]]:
    """Caption, or language where there is none, and text of each code block."""
    lines = PAGE.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if not line.startswith(".. code-block:: "):
            continue
        name, start = line.removeprefix(".. code-block:: "), number + 1
        if lines[start].startswith("   :caption: "):
            name, start = lines[start].removeprefix("   :caption: "), start + 1
        end = start
        while end < len(lines) and (not lines[end] or lines[end].startswith("   ")):
            end += 1
        yield name, textwrap.dedent("\n".join(lines[start:end])).strip() + "\n"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The files of the page lie in the folder that is current."""
    monkeypatch.chdir(tmp_path)
    found = dict(blocks())
    for name, text in found.items():
        if "." in name:
            (tmp_path / name).write_text(text)
    conf = tmp_path / "mqttd.conf"
    conf.write_text('listeners.tcp.default.bind = "127.0.0.1:0"\n' + conf.read_text())
    return found


def test_the_commands_say_what_the_page_says(
    page: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ""
    for line in page["console"].splitlines():
        if line.startswith("$ "):
            status = main(shlex.split(line.removeprefix("$ mqttd ")))
            out = capsys.readouterr().out.replace(f"{tmp_path}/", "")
            assert status == int(out.endswith("denied\n"))
            said += f"{line}\n{out}"
    assert said == page["console"]


def test_each_file_is_sound(page: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["acl.conf"], ["office.conf"], ["--type", "mosquitto", "mosquitto.acl"]):
        assert main(["acl", "check", *words]) == 0
        assert "nothing to mend" in capsys.readouterr().out

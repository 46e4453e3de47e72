"""The commands of the page on an authority of one's own, run as they stand."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mqttd.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "own_ca.rst"


def test_the_page_on_an_authority_works(
    tmp_path: Path, start_broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PAGE.read_text("utf-8").replace("/srv/www", "www")
    text = text.replace("broker.example.com,192.0.2.1", "localhost,192.0.2.1")
    commands = re.findall(r"^   \$ (mqttd certs .*)$", text, re.MULTILINE)
    assert len(commands) == 10
    (tmp_path / "www").mkdir()
    monkeypatch.chdir(tmp_path)
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    assert (tmp_path / "www/crl.pem").read_text() == (tmp_path / "ca/crl.pem").read_text()
    (options,) = re.findall(r"^   ssl_options \{.*?^   \}", text, re.MULTILINE | re.DOTALL)
    broker = start_broker(
        f'listeners.ssl.default {{ bind = "127.0.0.1:0"\n{options} }}\n', tmp_path
    )
    client = shutil.which("mosquitto_pub")
    assert client is not None
    done = subprocess.run(
        [client, "-h", "localhost", "-p", str(broker.ports["ssl:default"]), "-t", "t", "-m", "x",
         "-q", "1", "--cafile", "ca/ca.pem", "--cert", "dev1.pem", "--key", "dev1.key"],
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")

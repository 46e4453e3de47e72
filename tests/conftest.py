"""A real ``twistd mqttd`` process on ports the kernel chose."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_LISTENING = re.compile(r"((?:tcp|ssl|ws|wss):\w+) listening on \S*:(\d+)")
_READY = "mqttd is ready"

CONFIG = """
listeners.tcp.default { bind = "127.0.0.1:0" }
listeners.ssl.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "etc/certs/key.pem"
    certfile = "etc/certs/cert.pem"
    cacertfile = "etc/certs/cacert.pem"
  }
}
listeners.ws.default { bind = "127.0.0.1:0" }
listeners.wss.default {
  bind = "127.0.0.1:0"
  ssl_options {
    keyfile = "etc/certs/key.pem"
    certfile = "etc/certs/cert.pem"
    cacertfile = "etc/certs/cacert.pem"
  }
}
log.console.level = debug
"""


class Running:
    """A broker process: its ports by listener id, its log, and a way to stop it."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        path = folder / "mqttd.conf"
        path.write_text(config)
        twistd = Path(sys.executable).parent / "twistd"
        self.process = subprocess.Popen(
            [str(twistd), "-n", "--pidfile=", "mqttd", "--config", str(path)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def cafile(self) -> str:
        """The CA that signed the server certificate."""
        return str(self.folder / "etc/certs/cacert.pem")

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def wait_for(self, text: str, seconds: float = 20.0) -> str:
        """The first log line, past or to come, that holds ``text``."""
        for line in self.lines:
            if text in line:
                return line
        until = time.monotonic() + seconds
        while True:
            try:
                line_or_end = self._new.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                break
            if line_or_end is None:
                break
            self.lines.append(line_or_end)
            match = _LISTENING.search(line_or_end)
            if match:
                self.ports[match[1]] = int(match[2])
            if text in line_or_end:
                return line_or_end
        log = "\n".join(self.lines)
        pytest.fail(f"the log has no {text!r}; it says:\n{log}")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10.0) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(seconds)
        while (line := self._new.get(timeout=5)) is not None:
            self.lines.append(line)
        self._new.put(None)
        return status


@pytest.fixture(scope="session")
def start_broker(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Running]]:
    """Start a broker with a configuration; it is ready when this returns."""
    running: list[Running] = []

    def start(config: str = CONFIG) -> Running:
        broker = Running(tmp_path_factory.mktemp("broker"), config)
        running.append(broker)
        broker.wait_for(_READY)
        return broker

    yield start
    for each in running:
        each.stop()

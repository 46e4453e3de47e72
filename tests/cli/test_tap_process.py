"""How a twistd or twist process with mqttd starts, fails and logs."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FREE = 'listeners.tcp.default { bind = "127.0.0.1:0" }\n'


@pytest.fixture
def busy() -> Iterator[int]:
    """A port somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def wait_for(path: Path, text: str) -> str:
    """What the file holds once it holds ``text``."""
    until = time.monotonic() + 20
    while True:
        content = path.read_text() if path.exists() else ""
        if text in content:
            return content
        assert time.monotonic() < until, f"no {text!r} in {content!r}"
        time.sleep(0.05)


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until, "it does not end"
        time.sleep(0.02)


def test_a_busy_port_is_one_clear_line(command: Any, write: Any, folder: Path, busy: int) -> None:
    name = write(f'listeners.tcp.default.bind = "127.0.0.1:{busy}"')
    ended = command("twistd", "-n", "mqttd", "-c", name)
    assert ended.status == 1
    told = [line for line in ended.output.splitlines() if str(busy) in line]
    assert len(told) == 1
    assert "[critical] tcp:default: cannot listen on" in told[0]
    assert "Traceback" not in ended.output
    assert ended.errors == ""
    assert not (folder / "twistd.pid").exists()


def test_a_busy_port_is_told_on_standard_error_when_the_log_is_elsewhere(
    command: Any, write: Any, folder: Path, busy: int
) -> None:
    bind = f'listeners.tcp.default.bind = "127.0.0.1:{busy}"\n'
    for more, arguments in (
        ("log.console.enable = false", ()),
        ("", ("-l", "given.log")),
        ("", ("--syslog",)),
    ):
        ended = command("twistd", "-n", *arguments, "mqttd", "-c", write(bind + more))
        assert ended.status == 1
        assert ended.output == ""
        assert ended.errors.startswith(f"tcp:default: cannot listen on 127.0.0.1:{busy}: ")
        assert ended.errors.count("\n") == 1
    assert f"127.0.0.1:{busy}" in (folder / "given.log").read_text()


def _wait_for_end(pidfile: Path) -> None:
    """Until the process that a pidfile names, if it is still there, has ended."""
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        process = os.pidfd_open(int(pidfile.read_text()))
        try:
            select.select([process], [], [], 10)
        finally:
            os.close(process)


def test_a_daemon_that_cannot_start_tells_who_started_it(
    command: Any, write: Any, folder: Path, busy: int
) -> None:
    name = write(f'listeners.tcp.default.bind = "127.0.0.1:{busy}"')
    ended = command("twistd", "mqttd", "-c", name)
    assert ended.status == 1
    assert f"tcp:default: cannot listen on 127.0.0.1:{busy}" in ended.errors
    assert f"127.0.0.1:{busy}" in (folder / "twistd.log").read_text()
    # The daemon tells its parent first and tidies up then; the parent does not wait for that.
    _wait_for_end(folder / "twistd.pid")
    assert not (folder / "twistd.pid").exists()


def test_a_busy_port_under_twist(command: Any, write: Any, busy: int) -> None:
    ended = command(
        "twist", "mqttd", "-c", write(f'listeners.tcp.default.bind = "127.0.0.1:{busy}"')
    )
    assert ended.status == 1
    assert (ended.output + ended.errors).count(f"127.0.0.1:{busy}") == 1
    assert "Traceback" not in ended.errors


def test_an_unusable_configuration_is_status_78(command: Any, write: Any) -> None:
    name = write("log.console.levl = info")
    for program in (("twistd", "-n"), ("twistd",), ("twist",)):
        ended = command(*program, "mqttd", "-c", name)
        assert ended.status == 78
        assert ended.output == ""
        assert ended.errors.splitlines()[0] == "error: log.console.levl (test.conf:1)"


def test_a_daemon_logs_to_twistds_file_in_our_form(command: Any, write: Any, folder: Path) -> None:
    name = write(FREE + "log.console.formatter = json")
    assert command("twistd", "mqttd", "-c", name).status == 0
    log = wait_for(folder / "twistd.log", "mqttd is ready")
    stop(int((folder / "twistd.pid").read_text()))
    assert all(line.startswith('{"ts": "') for line in log.splitlines())
    assert "Try it" not in log


def test_a_daemon_reloads_and_opens_its_log_anew(command: Any, write: Any, folder: Path) -> None:
    assert command("twistd", "mqttd", "-c", write(FREE)).status == 0
    pid = int((folder / "twistd.pid").read_text())
    try:
        wait_for(folder / "twistd.log", "mqttd is ready")
        write(FREE + 'listeners.ws.new.bind = "127.0.0.1:0"')
        (folder / "twistd.log").rename(folder / "old.log")
        os.kill(pid, signal.SIGUSR1)
        wait_for(folder / "twistd.log", "")
        os.kill(pid, signal.SIGHUP)
        content = wait_for(folder / "twistd.log", "reload (SIGHUP)")
        assert "ws:new listening on" in content
        assert "SIGHUP" not in (folder / "old.log").read_text()
    finally:
        stop(pid)


def test_a_daemon_with_a_log_file_needs_no_other(command: Any, write: Any, folder: Path) -> None:
    name = write(FREE + 'log.file { enable = true, path = "own.log" }')
    assert command("twistd", "mqttd", "-c", name).status == 0
    log = wait_for(folder / "own.log", "mqttd is ready")
    stop(int((folder / "twistd.pid").read_text()))
    assert "tcp:default listening on 127.0.0.1:" in log
    assert not (folder / "twistd.log").exists()


def test_twist_runs_it_and_the_log_file_works(
    command: Any, write: Any, folder: Path, start: Any
) -> None:
    name = write(FREE + 'log.file { enable = true, path = "own.log" }')
    process = start("twist", "mqttd", "-c", name)
    log = wait_for(folder / "own.log", "mqttd is ready")
    assert "tcp:default listening on 127.0.0.1:" in log
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM

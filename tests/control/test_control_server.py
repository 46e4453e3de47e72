"""The control socket's file: its mode, its directory, and what may stand in its place."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher

from mqttd.cli.ctl_client import ControlClient
from mqttd.control.server import ControlServer

Serve = Callable[..., ControlServer]


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    observer = cast("ILogObserver", lambda event: lines.append(formatEvent(event)))
    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)


@pytest.fixture
def serve(live_reactor: Any, memory: Any, settle: Callable[..., Any]) -> Iterator[Serve]:
    """Start a server at a path."""
    made: list[ControlServer] = []

    def start(path: Path) -> ControlServer:
        made.append(ControlServer(memory, path, live_reactor))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        settle(each.stop())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_only_its_user_may_open_it(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "run" / "deep" / "c.sock"
    before = os.umask(0)
    try:
        assert serve(path).running
        assert os.umask(0) == 0  # it is as it was
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700


def test_the_mode_is_right_from_the_first_moment(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    chmod = os.chmod

    def seen_before(path: bytes, wanted: int) -> None:  # Twisted sets the mode once it is bound
        modes.append(mode(Path(os.fsdecode(path))))
        chmod(path, wanted)

    monkeypatch.setattr(os, "chmod", seen_before)
    serve(tmp_path / "c.sock")
    assert modes == [0o600]


def test_the_file_goes_with_the_server(
    serve: Serve, tmp_path: Path, settle: Callable[..., Any]
) -> None:
    path = tmp_path / "c.sock"
    server = serve(path)
    settle(server.stop())
    assert not path.exists()
    assert not server.running
    server.start()
    assert server.running


def test_what_a_dead_process_left_is_removed(
    serve: Serve, tmp_path: Path, settle: Callable[..., Any]
) -> None:
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert serve(path).running
    client = ControlClient(str(path), timeout=5)
    assert settle(deferToThread(client.get, "status")) == {"version": "1.2.3"}


def test_a_live_one_is_left_alone(serve: Serve, tmp_path: Path, logged: list[str]) -> None:
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        live.listen()
        assert not serve(path).running
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    assert any("another process listens on" in line for line in logged)


def test_other_files_are_left_alone(serve: Serve, tmp_path: Path, logged: list[str]) -> None:
    path = tmp_path / "c.sock"
    path.write_text("mine")
    assert not serve(path).running
    assert path.read_text() == "mine"
    assert any("is there and is no socket" in line for line in logged)


def test_a_link_is_not_followed(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    path.symlink_to(tmp_path / "elsewhere")
    assert not serve(path).running
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_others_may_write_to_is_refused(
    serve: Serve, tmp_path: Path, logged: list[str]
) -> None:
    open_to_all = tmp_path / "run"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert not serve(open_to_all / "c.sock").running
    assert any("others than its owner may write" in line for line in logged)
    open_to_all.chmod(0o1777)  # as /tmp: nobody can replace what is another's
    assert serve(open_to_all / "c.sock").running


def test_a_file_in_the_place_of_the_directory(
    serve: Serve, tmp_path: Path, logged: list[str]
) -> None:
    (tmp_path / "run").write_text("")
    assert not serve(tmp_path / "run" / "c.sock").running
    assert any("no control socket" in line and "not a directory" in line for line in logged)


def test_a_path_that_is_too_long(serve: Serve, tmp_path: Path, logged: list[str]) -> None:
    assert not serve(tmp_path / ("x" * 110)).running
    assert any("is longer than 107 bytes" in line for line in logged)

"""Finding the control socket, and saying plainly why nobody answers there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mqttd.cli import main
from mqttd.cli.ctl_client import ControlClient, NoAnswer, find_socket

Answering = Callable[[bytes], str]


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    """A socket on which the first request gets these bytes; returns its path."""
    made: list[tuple[socket.socket, threading.Thread]] = []

    def start(data: bytes) -> str:
        path = str(tmp_path / "a.sock")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(data)
                while not data and connection.recv(1):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        made.append((server, thread))
        return path

    yield start
    for server, thread in made:
        thread.join(10)
        server.close()


def reason(path: str) -> str:
    with pytest.raises(NoAnswer) as caught:
        ControlClient(path, timeout=0.2).get("status")
    return str(caught.value)


def test_there_is_no_socket(tmp_path: Path) -> None:
    text = reason(str(tmp_path / "none.sock"))
    assert "the broker is not running, or was started in another directory" in text


def test_nobody_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    assert "the broker is not running: nobody listens" in reason(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every socket")
def test_not_permitted(tmp_path: Path) -> None:
    path = tmp_path / "closed.sock"
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(path))
        closed.listen()
        path.chmod(0)
        assert "permission denied" in reason(str(path))


def test_not_permitted_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(_self: socket.socket, _path: str) -> None:
        raise PermissionError(13, "Permission denied")

    class Denied(socket.socket):
        connect = denied  # type: ignore[assignment]

    monkeypatch.setattr(socket, "socket", Denied)
    assert main(["ctl", "--socket", "x", "status"]) == 1
    assert "permission denied: only the user who runs the broker" in capsys.readouterr().err


def test_no_answer_in_time(answering: Answering) -> None:
    assert "does not answer" in reason(answering(b""))


@pytest.mark.parametrize(
    "data",
    [b"220 mail\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]", b"\0" * 100],
)
def test_something_else_listens_there(answering: Answering, data: bytes) -> None:
    text = reason(answering(data))
    assert "did not answer as expected" in text or "is not a control socket of mqttd" in text


def test_a_path_that_is_too_long() -> None:
    assert "too long" in reason("/" + "x" * 200)


def test_the_socket_of_the_configuration(folder: Path, write: Callable[..., str]) -> None:
    assert find_socket("given.sock", None) == "given.sock"
    assert find_socket(None, None) == str(folder / "run" / "mqttd.sock")
    path = write('control.socket = "other/c.sock"\n')
    assert find_socket(None, path) == str(folder / "other" / "c.sock")
    path = write('control.socket = "/run/c.sock"\n')
    assert find_socket(None, path) == "/run/c.sock"


def test_a_configuration_that_is_broken_by_now(folder: Path, write: Callable[..., str]) -> None:
    path = write('control.socket = "c.sock"\nmqtt.max_inflight = many\n')
    assert find_socket(None, path) == str(folder / "c.sock")


def test_a_configuration_that_cannot_be_read(
    folder: Path, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (write("{{{"), str(folder / "missing.conf")):
        assert main(["ctl", "--config", path, "status"]) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"mqttd ctl: the configuration cannot be read: ({path}")
        assert "[" in err, "the cure"
    assert main(["ctl", "status"]) == 1
    assert "not running" in capsys.readouterr().err

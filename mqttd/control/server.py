"""The control socket: a Unix socket that only the broker's own user can open."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorUNIX
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.web.server import Site
from typing_extensions import override

from mqttd.config.load import Loaded
from mqttd.control.api import Api, ControlRequest, Told
from mqttd.control.ports import Control

MODE: Final = 0o600
"""Whoever may open the socket controls the broker: its own user, and root."""
LONGEST_PATH: Final = 107
"""Bytes of a Unix socket's path on Linux (unix(7))."""
MOST_CONNECTIONS: Final = 32
"""Connections at a time; one more is closed."""
_IDLE_TIME: Final = 60.0
"""Seconds an idle connection is kept."""


def control_server(
    control: Control, loaded: Loaded, reactor: Any, told: Told = lambda *_: None
) -> ControlServer:
    """The server the configuration asks for; without a socket where it asks for none. ``told`` is
    called after each request that was to change something."""
    options = loaded.configuration.control
    enabled = options.enable and IReactorUNIX.providedBy(reactor)
    path = (loaded.base_dir / options.socket).absolute() if enabled else None
    return ControlServer(control, path, reactor, told)


class SocketProblem(Exception):  # noqa: N818 - becomes a line of the log
    """The socket cannot be opened; the text says why and what to do."""


class ControlSite(Site):
    """HTTP without an access log."""

    noisy = False

    @override
    def log(self, request: Any) -> None:
        """Nothing: who asks is the operator."""


class FewConnections(WrappingFactory):
    """Closes what comes beyond the limit at once."""

    noisy = False

    @override
    def buildProtocol(self, addr: Any) -> Any:
        return None if len(self.protocols) >= MOST_CONNECTIONS else super().buildProtocol(addr)


class ControlServer:
    """Serves ``control`` on a socket at ``path`` from start to stop; None: nowhere."""

    _log = Logger()

    def __init__(
        self, control: Control, path: Path | None, reactor: Any, told: Told = lambda *_: None
    ) -> None:
        self.path = path
        self._control = control
        self._reactor = reactor
        self._told = told
        self._port: Any = None

    @property
    def running(self) -> bool:
        """Whether the socket is open."""
        return self._port is not None

    def start(self) -> None:
        """Open the socket. When that is not possible a line says why: the broker itself does not
        need it."""
        path = self.path
        if self._port is not None or path is None:
            return
        try:
            _prepare(path)
            self._port = self._listen(path)
        except SocketProblem as problem:
            self._log.error(
                "no control socket: {problem}", event="control_failed", problem=str(problem)
            )
        else:
            self._log.info("control socket at {path}", event="control_started", path=str(path))

    def stop(self) -> Deferred[None]:
        """Close the socket and remove its file."""
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening)

    def _listen(self, path: Path) -> Any:
        site = ControlSite(
            Api(self._control, self._told), timeout=_IDLE_TIME, requestFactory=ControlRequest
        )
        before = os.umask(0o777 & ~MODE)  # bind(2) makes the file: never with another mode
        try:
            return self._reactor.listenUNIX(str(path), FewConnections(site), mode=MODE)
        except CannotListenError as problem:
            reason = getattr(problem.socketError, "strerror", None) or problem.socketError
            raise SocketProblem(f"{path}: {reason}") from None
        finally:
            os.umask(before)


def _prepare(path: Path) -> None:
    """Make the directory, remove what a broker that is no more left. Raises SocketProblem."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SocketProblem(
            f"{path} is longer than {LONGEST_PATH} bytes [set control.socket to another path]"
        )
    try:
        _make_directory(path.parent)
        status = path.lstat()
    except FileNotFoundError:
        return
    except OSError as problem:
        raise SocketProblem(f"{problem.filename}: {problem.strerror}") from None
    if not stat.S_ISSOCK(status.st_mode):
        raise SocketProblem(f"{path} is there and is no socket [move it away]")
    if _answers(path):
        raise SocketProblem(
            f"another process listens on {path} [stop it, or set control.socket to another "
            "path for one of the two]"
        )
    try:
        path.unlink(missing_ok=True)
    except OSError as problem:
        raise SocketProblem(f"cannot remove the old {path}: {problem.strerror}") from None


def _make_directory(path: Path) -> None:
    """A directory nobody else can enter, unless there is one already. Raises OSError.

    One that others may write to is refused: they could put their own socket there.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", str(path)) from None
        if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
            raise PermissionError(
                errno.EPERM,
                "others than its owner may write to this directory [chmod go-w, or set "
                "control.socket to another path]",
                str(path),
            ) from None


def _answers(path: Path) -> bool:
    """Whether somebody listens on a socket's file."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # it is busy, or not ours to connect to
            return True
        return True

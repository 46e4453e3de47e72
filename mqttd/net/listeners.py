"""A configured listener as an open port."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.tcp import Port
from typing_extensions import override

from mqttd.config.schema.listeners import ListenerOptions
from mqttd.net.factory import ListenerFactory


class ListenError(Exception):
    """A listener's port could not be opened; the text names listener, port and cure."""


class _Port(Port):
    """Twisted's port, with the socket options of ``tcp_options`` set before it listens."""

    recbuf: int | None = None
    sndbuf: int | None = None
    reuseaddr = True

    @override
    def _getLogPrefix(self, applicationObject: object) -> str:
        return getattr(applicationObject, "id", "")

    @override
    def createInternetSocket(self) -> socket.socket:
        result: socket.socket = super().createInternetSocket()
        result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(self.reuseaddr))
        # Accepted sockets inherit the buffers, and only so does TCP window scaling fit them.
        if self.recbuf is not None:
            result.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.recbuf)
        if self.sndbuf is not None:
            result.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.sndbuf)
        return result


class Listener:
    """One ``listeners.TYPE.NAME``: its factory and, while it runs, its port."""

    def __init__(self, factory: ListenerFactory, reactor: Any) -> None:
        self.factory = factory
        self.id = factory.id
        self._reactor = reactor
        self._port: Port | None = None

    @property
    def running(self) -> bool:
        """Whether the port is open."""
        return self._port is not None

    @property
    def address(self) -> str:
        """``host:port``; the real port when the configured one is 0."""
        bind = self.factory.options.bind
        host = f"[{bind.host}]" if ":" in bind.host else bind.host
        return f"{host}:{self.port}"

    @property
    def port(self) -> int:
        """The port number in use, or the configured one while not running."""
        if self._port is None:
            return self.factory.options.bind.port
        number: int = self._port.getHost().port
        return number

    def open(self) -> None:
        """Bind and listen. Raises ListenError."""
        self._port = self.listen(self.factory.options)

    def listen(self, options: ListenerOptions) -> Port:
        """One more port, at the ``bind`` of ``options``, beside the one there is; for
        :meth:`move`. Raises ListenError."""
        port = _Port(
            options.bind.port,
            self.factory,
            options.tcp_options.backlog,
            options.bind.host,
            self._reactor,
        )
        port.recbuf = options.tcp_options.recbuf
        port.sndbuf = options.tcp_options.sndbuf
        port.reuseaddr = options.tcp_options.reuseaddr
        try:
            port.startListening()
        except CannotListenError as error:
            raise ListenError(
                f"{self.id}: cannot listen on {options.bind}: {_why(error)}"
            ) from None
        return port

    def move(self, port: Port) -> Deferred[None]:
        """Go on with a port of :meth:`listen` and close the one before; connections stay."""
        closed = self.close()
        self._port = port
        return closed

    def hold(self) -> None:
        """Accept nobody for now: who connects waits in the backlog."""
        if self._port is not None:
            self._port.stopReading()

    def release(self) -> None:
        """Accept again."""
        if self._port is not None:
            self._port.startReading()

    def close(self) -> Deferred[None]:
        """Stop listening; live connections stay."""
        port, self._port = self._port, None
        if port is None:
            return maybeDeferred(lambda: None)
        return maybeDeferred(port.stopListening)


def _why(error: CannotListenError) -> str:
    number = getattr(error.socketError, "errno", None)
    if number == errno.EADDRINUSE:
        return "the port is in use; stop the other program or change bind"
    if number == errno.EACCES:
        return "no permission; ports below 1024 need root or CAP_NET_BIND_SERVICE"
    if number == errno.EADDRNOTAVAIL:
        return "this machine does not have that address"
    return str(error.socketError)

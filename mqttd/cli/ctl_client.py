"""HTTP over the broker's control socket, and finding that socket."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from typing_extensions import override

from mqttd.config.errors import ConfigurationErrors
from mqttd.config.load import UnusableOptions, load_configuration
from mqttd.config.places import default_configuration
from mqttd.config.schema.control import ControlOptions

TIMEOUT: Final = 120.0
"""Seconds for an answer; a refresh waits for servers elsewhere."""
_BASE: Final = "/api/v5"


class NoAnswer(Exception):  # noqa: N818 - its text says what is wrong
    """The broker cannot be asked."""


class Refusal(Exception):  # noqa: N818
    """The broker says no: ``status`` of HTTP, ``code`` a word, and the text."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _Connection(http.client.HTTPConnection):
    """HTTP to a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path
        self._seconds = timeout

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        self.sock.connect(self._path)


class ControlClient:
    """Asks the broker that listens on the socket at ``path``."""

    def __init__(self, path: str, *, timeout: float = TIMEOUT) -> None:
        self.path = path
        self._timeout = timeout

    def get(self, *names: str, **query: object) -> Any:
        """What is at an address. Raises NoAnswer and Refusal, as all of these do."""
        return self.ask("GET", names, query)

    def post(self, *names: str) -> Any:
        """Do something."""
        return self.ask("POST", names)

    def put(self, value: object, *names: str) -> Any:
        """Set something."""
        return self.ask("PUT", names, body=json.dumps(value))

    def delete(self, *names: str) -> Any:
        """End something."""
        return self.ask("DELETE", names)

    def ask(
        self,
        method: str,
        names: tuple[str, ...],
        query: dict[str, object] | None = None,
        body: str | None = None,
    ) -> Any:
        """One request: ``names`` are the parts of the address below ``/api/v5``."""
        target = "/".join((_BASE, *(quote(name, safe="") for name in names)))
        given = {name: value for name, value in (query or {}).items() if value is not None}
        if given:
            target += f"?{urlencode(given)}"
        connection = _Connection(self.path, self._timeout)
        try:
            connection.request(method, target, body, {"Accept": "application/json"})
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as problem:
            raise NoAnswer(_why(problem, self.path)) from None
        finally:
            connection.close()
        try:
            value = json.loads(data) if data else None
        except ValueError:
            raise NoAnswer(f"{self.path} is not a control socket of mqttd") from None
        if response.status >= 400:
            said = value if isinstance(value, dict) else {}
            raise Refusal(
                response.status, str(said.get("code", "")), str(said.get("message", "refused"))
            )
        return value


def find_socket(given: str | None, config: str | None) -> str:
    """The socket's path: ``given``, or as the configuration says. Raises NoAnswer.

    A configuration that cannot be used any more does not matter: the broker may still run with
    an earlier one.
    """
    if given is not None:
        return given
    path = config or default_configuration()
    control = ControlOptions()
    if path is not None:
        try:
            control = load_configuration(path).configuration.control
        except UnusableOptions as errors:
            control = errors.rest.configuration.control
        except ConfigurationErrors as errors:
            if config is not None:
                said = errors.findings[0].text
                raise NoAnswer(f"the configuration cannot be read: {said}") from None
    if not control.enable:
        raise NoAnswer(f"{path} says control.enable = false: there is no control socket")
    return str(Path(control.socket).absolute())


def _why(problem: Exception, path: str) -> str:
    match problem:
        case FileNotFoundError():
            return (
                f"the broker is not running, or was started in another directory: there is no "
                f"{path}. Name its socket with --socket, or its configuration with --config."
            )
        case ConnectionRefusedError():
            return f"the broker is not running: nobody listens on {path}"
        case PermissionError():
            return (
                f"permission denied: only the user who runs the broker, and root, may use {path}"
            )
        case TimeoutError():
            return f"the broker does not answer on {path}"
        case OSError() if problem.strerror or "too long" in str(problem):
            return f"{path}: {problem.strerror or problem}"
        case _:
            return f"the broker on {path} did not answer as expected ({type(problem).__name__})"

"""SCRAM with the users of a file: ``mechanism = scram``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from zope.interface import implementer

from mqttd.auth.scram import ScramAuthenticator, ScramCredential
from mqttd.auth.user_file import checked_users
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.authentication import ScramOptions
from mqttd.identity import ConnectRequest
from mqttd.interfaces import IAuthenticator, PluginContext

_METHODS = {"sha256": "SCRAM-SHA-256", "sha512": "SCRAM-SHA-512"}


@implementer(IAuthenticator)
class ScramFile:
    """Offers SCRAM to clients that ask for it; the others are left to the next authenticator."""

    _log = Logger()

    def __init__(
        self,
        options: ScramOptions,
        base_dir: Path,
        *,
        path: str = "authentication",
        in_thread: Callable[..., Deferred[Any]] = deferToThread,
    ) -> None:
        self._options = options
        self._base_dir = base_dir
        self._path = f"{path}.file"
        self._in_thread = in_thread
        self._method = method = _METHODS[options.algorithm]
        self._take(self._read())
        self.methods = {method: ScramAuthenticator(method, self._find, looks=lambda: self._looks)}
        """By name, for MQTT 5's enhanced authentication."""

    def authenticate(self, request: ConnectRequest) -> None:  # noqa: ARG002
        """See IAuthenticator: this client named no authentication method."""
        return

    def reload(self) -> Deferred[None]:
        """Read the file again; one with a bad line changes nothing."""
        reading: Deferred[Mapping[str, ScramCredential]] = self._in_thread(self._read)
        return reading.addCallbacks(self._take, self._keep)

    def _find(self, username: str) -> ScramCredential | None:
        return self._users.get(username)

    def _read(self) -> Mapping[str, ScramCredential]:
        return checked_users(self._options.file, self._base_dir, ScramCredential.parse, self._path)

    def _take(self, users: Mapping[str, ScramCredential]) -> None:
        self._users: Mapping[str, ScramCredential] = users
        self._looks = [each for each in users.values() if each.method == self._method]

    def _keep(self, failure: Any) -> None:
        failure.trap(ConfigurationErrors)
        for finding in failure.value.errors:
            self._log.error("{finding}", event="users_refused", finding=finding.text)


def make(options: ScramOptions, context: PluginContext, path: str = "authentication") -> ScramFile:
    """The plugin's target. Raises ConfigurationErrors."""
    return ScramFile(options, context.base_dir, path=path)

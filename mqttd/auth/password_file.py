"""User names and passwords of a file: ``backend = "built_in_database"``."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from typing_extensions import override
from zope.interface import implementer

from mqttd.auth.password_hash import check_hash, hash_password, verify
from mqttd.auth.unknown import WRONG, unknown
from mqttd.auth.user_file import checked_users
from mqttd.config.errors import ConfigurationErrors
from mqttd.config.schema.authentication import PasswordFileOptions
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.packets.reason_codes import ReasonCode

_AT_ONCE: Final = 4
"""Hashes computed at a time: each takes 19 MiB and a core."""
_MOST_WAITING: Final = 1000
"""Clients whose turn has not come: some seconds of work. One more is refused as busy, or a crowd
with wrong passwords would keep everybody waiting until nobody waits any more."""


@implementer(IAuthenticator)
class PasswordFile:
    """Lets in who knows the password of a user in the file. Raises ConfigurationErrors.

    A name that is not in the file is left to the next authenticator, after as much work as a
    wrong password costs: names cannot be found out by the time an answer takes.
    """

    _log = Logger()

    def __init__(
        self,
        options: PasswordFileOptions,
        base_dir: Path,
        *,
        path: str = "authentication",
        in_thread: Callable[..., Deferred[Any]] = deferToThread,
    ) -> None:
        self._options = options
        self._base_dir = base_dir
        self._path = f"{path}.file"
        self._in_thread = in_thread
        self._hashing = DeferredSemaphore(_AT_ONCE)
        self._nobody = hash_password(b"nobody's")
        self._secret = secrets.token_bytes(32)
        self._take(self._read())

    @override
    def __repr__(self) -> str:
        return f"<PasswordFile {self._options.file}: {len(self._users)} users>"

    async def authenticate(self, request: ConnectRequest) -> Identity | None:
        """See IAuthenticator."""
        by_client_id = self._options.user_id_type == "clientid"
        name = request.client_id if by_client_id else request.username
        if not name:
            return None
        if len(self._hashing.waiting) >= _MOST_WAITING:
            raise Refused(ReasonCode.SERVER_BUSY, "too many passwords are being checked")
        kept = self._users.get(name)
        password = request.password
        right = await self._hashing.run(
            self._in_thread,
            verify,
            password or b"",
            self._stand_in(name) if kept is None else kept,
        )
        if kept is None:
            return None
        if password is None:
            raise unknown(request)
        if not right:
            raise Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, WRONG)
        return Identity(username=request.username)

    def reload(self) -> Deferred[None]:
        """Read the file again; one with a bad line changes nothing."""
        reading: Deferred[Mapping[str, str]] = self._in_thread(self._read)
        return reading.addCallbacks(self._take, self._keep)

    def _read(self) -> Mapping[str, str]:
        return checked_users(self._options.file, self._base_dir, _checked, self._path)

    def _take(self, users: Mapping[str, str]) -> None:
        self._users: Mapping[str, str] = users
        self._hashes = list(users.values())

    def _stand_in(self, name: str) -> str:
        """The hash checked for a name that nobody has: always the same one for a name, and of the
        kinds that the file has, for they differ in the time they take."""
        if not self._hashes:
            return self._nobody
        number = hmac.digest(self._secret, name.encode(), "sha256")
        return self._hashes[int.from_bytes(number) % len(self._hashes)]

    def _keep(self, failure: Any) -> None:
        failure.trap(ConfigurationErrors)
        for finding in failure.value.errors:
            self._log.error("{finding}", event="users_refused", finding=finding.text)


def _checked(text: str) -> str:
    check_hash(text)
    return text


def make(
    options: PasswordFileOptions, context: PluginContext, path: str = "authentication"
) -> PasswordFile:
    """The plugin's target. Raises ConfigurationErrors."""
    return PasswordFile(options, context.base_dir, path=path)

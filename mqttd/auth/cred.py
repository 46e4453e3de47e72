"""Any checker of twisted.cred as an authenticator: ``mechanism = cred``."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.cred.checkers import FilePasswordDB, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.cred.strcred import StrcredException, makeChecker
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.plugins.cred_unix import UNIXChecker
from zope.interface import implementer

from mqttd.config.schema.authentication import CredOptions
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.packets.reason_codes import ReasonCode

_BLOCKING: Final = (FilePasswordDB, UNIXChecker)
"""Checkers that read a file, or hash, while the caller waits: those that come with Twisted."""


class CredProblem(ValueError):  # noqa: N818 - says what is wrong
    """The checker cannot be used; ``cure`` says what to do."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(problem)
        self.cure = cure


@implementer(IUsernamePassword)
@attrs.frozen
class _Credentials:
    """What the client sent. Checkers compare by it, or read it."""

    username: bytes
    password: bytes = attrs.field(repr=False)

    def checkPassword(self, password: Any) -> bool:  # noqa: N802 - Twisted's name
        """Whether this is the password; it takes as long for every wrong one."""
        return hmac.compare_digest(_as_bytes(password), self.password)


@implementer(IAuthenticator)
class CredAuthenticator:
    """Asks a checker about user name and password. Raises CredProblem for one it cannot use.

    Twisted's own checkers work in a thread; one of somebody else's is called in the reactor's,
    and has to answer by a Deferred if it waits for anything.
    """

    def __init__(
        self, options: CredOptions, in_thread: Callable[..., Deferred[Any]] = deferToThread
    ) -> None:
        if not options.checker:
            raise CredProblem("is not set", 'write one such as "file:/etc/mqttd/passwords"')
        kind, _, rest = options.checker.partition(":")  # what follows may hold passwords
        if kind == "file" and not Path(rest).is_file():
            raise CredProblem("names a file that does not exist", "correct the path or create it")
        try:
            checker: Any = makeChecker(options.checker)
        except StrcredException:
            problem = f"{kind} is no checker, or one that wants other words"
            raise CredProblem(problem, "twist conch --help-auth lists them") from None
        if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
            # Made of a string it holds text, and compares it with bytes.
            checker.users = {_as_bytes(k): _as_bytes(v) for k, v in checker.users.items()}
        self._checker = checker
        self._in_thread = in_thread if isinstance(checker, _BLOCKING) else None
        if IUsernamePassword not in self._checker.credentialInterfaces:
            problem = "the checker does not take user names and passwords"
            raise CredProblem(problem, "name another one")

    async def authenticate(self, request: ConnectRequest) -> Identity | None:
        """See IAuthenticator."""
        if request.username is None or request.password is None:
            return None
        credentials = _Credentials(request.username.encode(), request.password)
        try:
            found = await self._ask(credentials)
        except (UnauthorizedLogin, LoginFailed):
            code = ReasonCode.BAD_USER_NAME_OR_PASSWORD
            raise Refused(code, "wrong user name or password") from None
        if not isinstance(found, str | bytes):
            raise TypeError("the checker names nobody")
        name = found.decode() if isinstance(found, bytes) else found
        return Identity(username=name or request.username)

    async def _ask(self, credentials: _Credentials) -> Any:
        ask = self._checker.requestAvatarId
        if self._in_thread is None:
            return await ask(credentials)
        (answer,) = await self._in_thread(lambda: (ask(credentials),))
        return await answer


def _as_bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def make(options: CredOptions, _context: PluginContext) -> CredAuthenticator:
    """The plugin's target. Raises ValueError."""
    return CredAuthenticator(options)

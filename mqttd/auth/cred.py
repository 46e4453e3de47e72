"""Any checker of twisted.cred as an authenticator: ``mechanism = cred``."""

from __future__ import annotations

from typing import Any

from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.cred.strcred import StrcredException, makeChecker
from zope.interface import implementer

from mqttd.config.schema.authentication import CredOptions
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.packets.reason_codes import ReasonCode


@implementer(IAuthenticator)
class CredAuthenticator:
    """Asks a checker about user name and password. Raises ValueError for one it cannot use."""

    def __init__(self, options: CredOptions) -> None:
        if not options.checker:
            raise ValueError("checker is not set")
        try:
            self._checker: Any = makeChecker(options.checker)
        except StrcredException as problem:
            raise ValueError(f"no such checker: {problem}") from None
        if IUsernamePassword not in self._checker.credentialInterfaces:
            raise ValueError("the checker does not take user names and passwords")

    async def authenticate(self, request: ConnectRequest) -> Identity | None:
        """See IAuthenticator."""
        if request.username is None or request.password is None:
            return None
        credentials = UsernamePassword(request.username.encode(), request.password)
        try:
            found = await self._checker.requestAvatarId(credentials)
        except (UnauthorizedLogin, LoginFailed):
            code = ReasonCode.BAD_USER_NAME_OR_PASSWORD
            raise Refused(code, "wrong user name or password") from None
        name = found.decode() if isinstance(found, bytes) else str(found or "")
        return Identity(username=name or request.username)


def make(options: CredOptions, _context: PluginContext) -> CredAuthenticator:
    """The plugin's target. Raises ValueError."""
    return CredAuthenticator(options)

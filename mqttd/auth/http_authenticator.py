"""Asks an HTTP server whether a client may come in."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mqttd.auth.connect_placeholders import CONNECT
from mqttd.auth.http_answer import Allowed, Denied, read_answer
from mqttd.config.errors import Finding
from mqttd.config.schema.authentication_http import HttpAuthenticatorOptions
from mqttd.http_backend.backend import HTTPBackend, backend
from mqttd.http_backend.plan import check
from mqttd.identity import ConnectRequest, Identity, Refused
from mqttd.interfaces import IAuthenticator, PluginContext
from mqttd.packets.reason_codes import ReasonCode
from mqttd.placeholders import CannotRender


@implementer(IAuthenticator)
class HTTPAuthenticator:
    """Lets clients in or refuses them as an HTTP server says."""

    def __init__(self, backend: HTTPBackend[Allowed | Denied]) -> None:
        self._backend = backend

    async def authenticate(self, request: ConnectRequest) -> Identity | None:
        """See IAuthenticator. Raises Refused, and BackendFailed when no server can say."""
        try:
            answer = await self._backend.ask(request)
        except CannotRender as problem:
            raise Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, str(problem)) from None
        match answer:
            case None:
                return None
            case Denied():
                raise Refused(ReasonCode.NOT_AUTHORIZED, "the HTTP server refuses the client")
            case Allowed():
                return Identity(
                    username=request.username,
                    client_id=answer.client_id,
                    is_superuser=answer.is_superuser,
                    attributes=answer.attributes,
                    expires_at=answer.expires_at,
                    rules=answer.rules,
                )

    def start(self) -> None:
        """See IAuthenticator."""

    def stop(self) -> Deferred[None]:
        """Close the connections that wait, and forget the answers."""
        return self._backend.stop()

    def refresh(self) -> None:
        """The operator says that the server may answer otherwise now."""
        self._backend.forget()


def make(
    options: HttpAuthenticatorOptions, context: PluginContext, path: str = "authentication"
) -> HTTPAuthenticator:
    """The plugin's target. Raises ConfigurationErrors."""
    return HTTPAuthenticator(
        backend("authentication", options, CONNECT, context, path, read_answer, _ends)
    )


def check_http_authenticator(
    options: HttpAuthenticatorOptions, path: str, base_dir: str | Path
) -> list[Finding]:
    """Everything wrong or risky in the options and the files they name, errors first."""
    return check(options, path, CONNECT, base_dir)


def _ends(answer: Allowed | Denied) -> float | None:
    return answer.expires_at if isinstance(answer, Allowed) else None

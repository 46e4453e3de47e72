"""Asks an HTTP server what clients may do: ``type = "http"`` of ``authorization.sources``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mqttd.authz.placeholders import ASKED
from mqttd.config.errors import Finding
from mqttd.config.schema.authorization_http import HttpSourceOptions
from mqttd.http_backend.answer import ALLOW, IGNORE, read_said
from mqttd.http_backend.backend import HTTPBackend, backend
from mqttd.http_backend.plan import check
from mqttd.http_backend.template import ASKED_OF
from mqttd.identity import AccessRequest
from mqttd.interfaces import IAuthorizer, PluginContext
from mqttd.placeholders import CannotRender, Placeholders

ACCESS: Final = Placeholders({**ASKED_OF, **ASKED}, lambda request: request.identity.attributes)
"""The placeholders of an :class:`~mqttd.identity.AccessRequest`."""


@implementer(IAuthorizer)
class HTTPAuthorizer:
    """Allows or denies as an HTTP server says."""

    def __init__(self, backend: HTTPBackend[bool]) -> None:
        self._backend = backend

    async def authorize(self, request: AccessRequest) -> bool | None:
        """See IAuthorizer. Raises BackendFailed, which denies, when no server can say."""
        try:
            return await self._backend.ask(request)
        except CannotRender:
            return False

    def start(self) -> None:
        """See IAuthorizer."""

    def stop(self) -> Deferred[None]:
        """Close the connections that wait, and forget the answers."""
        return self._backend.stop()

    def refresh(self) -> None:
        """The operator says that the server may answer otherwise now."""
        self._backend.forget()

    def on_change(self, changed: Callable[[], object]) -> None:
        """Nobody tells us when the server changes its mind."""


def read_answer(status: int, content_type: str | None, body: bytes, _: float) -> bool | None:
    """Whether the answer allows; None: other sources are asked. Raises BadAnswer."""
    result = read_said(status, content_type, body).result
    return None if result == IGNORE else result == ALLOW


def make(
    options: HttpSourceOptions,
    context: PluginContext,
    path: str = "authorization.sources",
) -> HTTPAuthorizer:
    """The plugin's target. Raises ConfigurationErrors."""
    return HTTPAuthorizer(backend("authorization", options, ACCESS, context, path, read_answer))


def check_http_source(
    options: HttpSourceOptions, path: str, base_dir: str | Path
) -> list[Finding]:
    """Everything wrong or risky in the options and the files they name, errors first."""
    return check(options, path, ACCESS, base_dir)

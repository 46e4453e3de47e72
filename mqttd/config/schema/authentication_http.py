"""The options of authentication by an HTTP server: ``backend = "http"``."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any, Final

import attrs

from mqttd.config.option import option
from mqttd.config.schema.http_backend import BODY, HEADERS, HttpBackendOptions

__all__ = ["HEADERS", "HttpAuthenticatorOptions"]

_BODY: Final = {
    "username": "${username}",
    "password": "${password}",
    "clientid": "${clientid}",
}


@attrs.frozen(kw_only=True)
class HttpAuthenticatorOptions(HttpBackendOptions):
    """Authentication by an HTTP server: ``backend = "http"``.

    ``url``, ``headers`` and ``body`` are templates: ``${username}`` and the like stand for what
    is known of the client.
    """

    body: dict[str, Any] = option(BODY, _BODY, "What is sent: names and templates.", hidden=True)

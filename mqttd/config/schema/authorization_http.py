"""The options of a source of rules that is an HTTP server: ``type = "http"``."""

# ruff: noqa: RUF009 - option() and section() make attrs fields, not values

from __future__ import annotations

from typing import Any, Final

import attrs

from mqttd.config.option import option
from mqttd.config.schema.http_backend import BODY, HttpBackendOptions

_BODY: Final = {
    "username": "${username}",
    "clientid": "${clientid}",
    "action": "${action}",
    "topic": "${topic}",
    "qos": "${qos}",
    "retain": "${retain}",
}


@attrs.frozen(kw_only=True)
class HttpSourceOptions(HttpBackendOptions):
    """Rules asked of an HTTP server: ``type = "http"``.

    ``url``, ``headers`` and ``body`` are templates: ``${username}``, ``${topic}`` and the like
    stand for what is known of the client and what it wants to do.
    """

    body: dict[str, Any] = option(BODY, _BODY, "What is sent: names and templates.", hidden=True)

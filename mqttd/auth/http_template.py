"""The placeholders of templates about a client that connects."""

from __future__ import annotations

from typing import Final

from mqttd.http_backend.peer_values import PEER, text_of
from mqttd.http_backend.template import (
    BadTemplate,
    CannotRender,
    Placeholders,
    Template,
)
from mqttd.http_backend.template import parse_template as parse

__all__ = ["CONNECT", "BadTemplate", "CannotRender", "Template", "parse_template"]

CONNECT: Final = Placeholders(
    {
        "username": lambda request: request.username or "",
        "password": lambda request: text_of("password", request.password),
        "clientid": lambda request: request.client_id,
        **PEER,
    },
    lambda request: request.attributes,
)
"""Those of a :class:`~mqttd.identity.ConnectRequest`."""


def parse_template(text: str) -> Template:
    """A template of these. Raises BadTemplate."""
    return parse(text, CONNECT)
